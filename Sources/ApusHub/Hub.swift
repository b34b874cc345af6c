/// A place that models and data sets are downloaded from.
package enum Hub: String, Sendable, CaseIterable {
    case huggingFace = "hf"
    case modelScope = "ms"

    /// The name that people know it by.
    package var name: String {
        switch self {
        case .huggingFace: "Hugging Face"
        case .modelScope: "ModelScope"
        }
    }

    /// The branch that is meant where none is named.
    var defaultRevision: String {
        switch self {
        case .huggingFace: "main"
        case .modelScope: "master"
        }
    }

    package var other: Hub { self == .huggingFace ? .modelScope : .huggingFace }

    /// Takes the prefix `hf::` or `ms::` off an id.
    package static func split(_ text: String) -> (hub: Hub?, id: String) {
        for hub in allCases where text.hasPrefix("\(hub.rawValue)::") {
            return (hub, String(text.dropFirst(hub.rawValue.count + 2)))
        }
        return (nil, text)
    }
}

/// What lies on a hub under an id such as `Qwen/Qwen2.5-0.5B`.
package struct Repository: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        case model
        case dataset

        /// In addresses and names of folders.
        var plural: String { "\(rawValue)s" }

        /// In messages.
        var words: String {
            switch self {
            case .model: "model"
            case .dataset: "data set"
            }
        }
    }

    package let hub: Hub
    package let kind: Kind
    package let id: String

    /// - Returns: Nil for what cannot be an id there: those of ModelScope have an owner, and parts are of letters,
    ///   digits, `.`, `_` and `-`.
    package init?(_ id: String, kind: Kind, on hub: Hub) {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 || (parts.count == 1 && hub == .huggingFace), parts.allSatisfy(Self.isPart) else {
            return nil
        }
        self.hub = hub
        self.kind = kind
        self.id = id
    }

    private static func isPart(_ part: Substring) -> Bool {
        guard let first = part.unicodeScalars.first, part.count <= 96, first != ".", first != "-" else { return false }
        // Owners and names of ModelScope may be Chinese.
        return !part.contains("..")
            && part.unicodeScalars.allSatisfy {
                $0.properties.isAlphabetic || ("0"..."9").contains($0) || "._-".unicodeScalars.contains($0)
            }
    }

    /// `--` in place of `/`, as names of folders have it.
    var folderName: String { id.replacing("/", with: "--") }

    /// A revision as this hub calls it: each has another name for the branch that all have.
    func revision(_ revision: String?) -> String {
        guard let revision, !revision.isEmpty else { return hub.defaultRevision }
        return revision == hub.other.defaultRevision ? hub.defaultRevision : revision
    }
}
