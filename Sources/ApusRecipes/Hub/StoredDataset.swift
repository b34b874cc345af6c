import ApusFiles
import ApusHub
import Crypto
import Foundation

/// A data set in a folder of this machine, of which a download that was broken off may have left a part.
struct StoredDataset {
    let folder: String
    /// The paths of all its files, also of those that should be there and are not.
    let paths: [String]
    /// Nil for a folder of the user's.
    private let repository: Repository?
    private let kept: KeptListing?

    /// A folder of the user's, which may hold what the user likes, but no file that is being fetched.
    ///
    /// - Throws: `DatasetChoiceError`, or what the file system says.
    init(folder: String) throws {
        self.folder = folder
        (repository, kept) = (nil, nil)
        paths = try Self.paths(in: folder)
        for hub in ["huggingface", "modelscope"] {
            let state = "\(folder)/.cache/\(hub)/download"
            guard FileManager.default.fileExists(atPath: state) else { continue }
            for path in try Self.paths(in: state) where path.hasSuffix(".incomplete") {
                guard !Self.isThere(path, in: folder) else { continue }
                throw DatasetChoiceError(
                    "was not fetched to its end: there is \(state)/\(path). The same `apus download` fetches the rest; if "
                        + "that file is of no use, remove it")
            }
        }
    }

    /// The snapshot of a repository in a cache: by what the hub listed where that is known, else by what other programs
    /// leave of a download that was broken off.
    ///
    /// - Throws: `DatasetChoiceError`, or what the file system says.
    init(_ repository: Repository, in folder: String, _ configuration: HubConfiguration) throws {
        self.folder = folder
        self.repository = repository
        kept = KeptListing(of: repository, in: folder, configuration)
        if let kept {
            paths = kept.files.map(\.path)
            return
        }
        paths = try Self.paths(in: folder)
        let blobs = "\(FilePath.parent(of: FilePath.parent(of: folder)))/blobs"
        for place in repository.hub == .huggingFace ? [blobs] : [folder] {
            guard FileManager.default.fileExists(atPath: place) else { continue }
            for path in try Self.paths(in: place) where path.hasSuffix(".incomplete") {
                // Behind the digest the hub's own program puts a word, and a part that it left it does not remove.
                let whole =
                    repository.hub == .huggingFace ? path.prefix { $0 != "." } : path.dropLast(".incomplete".count)
                guard !FileManager.default.fileExists(atPath: "\(place)/\(whole)") else { continue }
                throw DatasetChoiceError(
                    "is not whole in the cache: \(place)/\(path) is a file that was not fetched to its end. \(advice)")
            }
        }
    }

    /// The text of the card; empty where the data set has none.
    ///
    /// - Throws: `DatasetChoiceError` for one that was not fetched, or what the file system says.
    func card() throws -> String {
        guard paths.contains("README.md") else { return "" }
        try check(["README.md"], DatasetCard(""))
        return try Self.card(in: folder)
    }

    /// The card of a folder that has one; bytes that are no UTF-8 become `U+FFFD`, and what they say of files is nothing.
    static func card(in folder: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(folder)/README.md")), as: UTF8.self)
    }

    /// - Throws: `DatasetChoiceError` where files that were chosen are not there, or not in full.
    func check(_ files: [String], _ card: DatasetCard) throws {
        guard repository != nil else { return }
        let missing =
            kept?.missing(of: files, in: folder)
            ?? files.filter { !FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
        guard missing.isEmpty else {
            throw DatasetChoiceError(
                "is not whole in the cache: of \(files.count) files that are wanted \(missing.count) are not there in full "
                    + "(\(missing.prefix(3).joined(separator: ", "))\(missing.count > 3 ? ", …" : "")). \(advice)")
        }
        guard kept == nil else { return }
        // A card that names single parts wants no others.
        let named = Set(card.subsets.flatMap(\.files).flatMap(\.patterns))
        var found: [String: Set<String>] = [:]
        var counts: [String: Int] = [:]
        for path in files where !named.contains(path) {
            guard let match = path.wholeMatch(of: /(.*)-([0-9]+)-of-([0-9]+)([^0-9].*)?/), let count = Int(match.3)
            else {
                continue
            }
            let family = "\(match.1)-…-of-\(match.3)\(match.4 ?? "")"
            found[family, default: []].insert(String(match.2))
            counts[family] = count
        }
        for (family, count) in counts.sorted(by: { $0.key < $1.key }) {
            let present = found[family]?.count ?? 0
            guard present < count else { continue }
            throw DatasetChoiceError(
                "is not whole in the cache: there are \(present) of \(count) files \(family). \(advice)")
        }
    }

    private var advice: String {
        guard let repository else { return "" }
        return "`apus download --dataset \(repository.hub.rawValue)::\(repository.id)` fetches the rest"
    }

    /// Whether a folder has the file in full that a part of it, among the state of downloads, belongs to.
    ///
    /// The part is called by the path, a digest and the mark, with points between; by huggingface_hub by a digest of
    /// the name in its place, and lately with a word before the mark.
    private static func isThere(_ part: String, in folder: String) -> Bool {
        let pieces = part.split(separator: ".", omittingEmptySubsequences: false)
        let whole = "\(folder)/\(pieces.dropLast(2).joined(separator: "."))"
        if FileManager.default.fileExists(atPath: whole) { return true }
        let digest = FilePath.lastComponent(of: part).prefix { $0 != "." }
        let beside = try? FileManager.default.contentsOfDirectory(
            atPath: FilePath.parent(of: "\(folder)/\(part)"))
        return beside?.contains { name in
            let hash = Data(Insecure.SHA1.hash(data: Data("\(name).metadata".utf8))).base64EncodedString()
            return hash.replacing("+", with: "-").replacing("/", with: "_") == digest
        } ?? false
    }

    /// The paths of all files below a folder, links followed, in order.
    ///
    /// A link whose file is gone is one that should be there.
    static func paths(in folder: String) throws -> [String] {
        var paths: [String] = []
        func visit(_ below: String, depth: Int) throws {
            let names = try FileManager.default.contentsOfDirectory(atPath: FilePath.join(folder, below)).sorted()
            for name in names {
                let path = FilePath.join(below, name)
                var isFolder: ObjCBool = false
                let isThere = FileManager.default.fileExists(atPath: "\(folder)/\(path)", isDirectory: &isFolder)
                if isThere, isFolder.boolValue {
                    if depth < 8, !name.hasPrefix(".") { try visit(path, depth: depth + 1) }
                } else {
                    paths.append(path)
                }
            }
        }
        try visit("", depth: 0)
        return paths
    }
}
