import ApusFiles
import ApusJSON
import Foundation

/// What a hub listed of a commit of a data set when files of it were last fetched: without a hub it tells whether all is
/// there.
///
/// Of a branch, which is all that ModelScope's caches tell, nothing is kept: another program may have fetched what came to
/// it since. It lies in a folder of Apus's own, since the caches of the hubs hold what their own programs know.
package struct KeptListing: Sendable {
    /// Without digests.
    package let files: [RemoteFile]

    /// - Parameter folder: A snapshot in a cache.
    /// - Returns: Nil where nothing was kept of it, as of what another program fetched.
    package init?(of repository: Repository, in folder: String, _ configuration: HubConfiguration) {
        guard let snapshots = folder.range(of: "/snapshots/", options: .backwards),
            let path = Self.path(of: repository, commit: String(folder[snapshots.upperBound...]), configuration),
            let data = FileManager.default.contents(atPath: path),
            let entries = (try? JSONValue(parsing: data))?["files"]?.arrayValue
        else { return nil }
        let files = entries.compactMap { entry -> RemoteFile? in
            guard let path = entry["path"]?.stringValue, FilePath.isInside(path), let size = entry["size"]?.intValue
            else { return nil }
            return RemoteFile(path: path, size: Int64(size), digest: .none)
        }
        guard files.count == entries.count else { return nil }
        self.files = files
    }

    /// Those of the listed paths whose files are not in a folder, or not in full.
    package func missing(of paths: some Sequence<String>, in folder: String) -> [String] {
        let sizes = Dictionary(files.map { ($0.path, $0.size) }, uniquingKeysWith: { first, _ in first })
        return paths.filter { path in
            let file = URL(fileURLWithPath: "\(folder)/\(path)").resolvingSymlinksInPath().path
            let attributes = try? FileManager.default.attributesOfItem(atPath: file)
            guard let size = (attributes?[.size] as? NSNumber)?.int64Value else { return true }
            return sizes[path].map { $0 >= 0 && $0 != size } ?? false
        }
    }

    /// - Throws: `FileError`.
    static func keep(
        _ listing: RepositoryListing, _ configuration: HubConfiguration, _ files: any FileSystem
    ) throws {
        guard let path = path(of: listing.repository, commit: listing.commit, configuration) else { return }
        let entries = listing.files.map { JSONValue.object(["path": .string($0.path), "size": .int(Int($0.size))]) }
        let data = Data(JSONValue.object(["files": .array(entries)]).serialized().utf8)
        if FileManager.default.contents(atPath: path) == data { return }
        try files.createDirectories(FilePath.parent(of: path))
        try files.writeAtomically(data, to: path)
    }

    /// Nil for a branch.
    private static func path(of repository: Repository, commit: String, _ configuration: HubConfiguration) -> String? {
        guard HubConnection.isCommit(commit) else { return nil }
        let name = "\(repository.hub.rawValue)/\(repository.kind.plural)--\(repository.folderName)/\(commit).json"
        return "\(configuration.listings)/\(name)"
    }
}
