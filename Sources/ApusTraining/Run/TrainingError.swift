/// Why a run stops: what happened at which step, and what to try.
package struct TrainingError: Error, CustomStringConvertible, Sendable {
    package enum Kind: Sendable {
        case notFinite
        case resume
        case other
    }

    package let kind: Kind
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
