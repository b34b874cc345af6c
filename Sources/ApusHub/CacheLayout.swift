import ApusFiles
import Crypto
import Foundation

/// Where the files of a repository lie in a cache or folder: as the hub's own program for Python puts them.
struct CacheLayout: Sendable {
    /// Where the files of the listing can be read.
    let folder: String
    private let listing: RepositoryListing
    private let storage: Storage

    private enum Storage: Sendable {
        /// `models--org--name` with `blobs`, `refs` and `snapshots`.
        case huggingFace(root: String, cache: String)
        /// `models/org--name/snapshots/<revision>`.
        case modelScope(cache: String)
        /// A folder of the user's.
        case folder
    }

    /// Where one file goes.
    struct Place: Sendable {
        /// Where the bytes lie in the end.
        let path: String
        /// Where they lie until they are whole.
        let partial: String
        /// Who fetches the file holds a lock on this one.
        let lock: String
        /// Another name for the bytes, and what it points to.
        let link: (path: String, target: String)?
    }

    /// - Parameter localFolder: A folder of the user's; nil puts the files into the cache.
    init(_ listing: RepositoryListing, cache: String, localFolder: String?) {
        self.listing = listing
        let repository = listing.repository
        if let localFolder {
            folder = localFolder
            storage = .folder
        } else if repository.hub == .huggingFace {
            let root = "\(cache)/\(repository.kind.plural)--\(repository.folderName)"
            folder = "\(root)/snapshots/\(listing.commit)"
            storage = .huggingFace(root: root, cache: cache)
        } else {
            folder = "\(cache)/\(repository.kind.plural)/\(repository.folderName)/snapshots/\(listing.commit)"
            storage = .modelScope(cache: cache)
        }
    }

    func place(of file: RemoteFile) -> Place {
        let repository = listing.repository
        let path = "\(folder)/\(file.path)"
        switch storage {
        case .huggingFace(let root, let cache):
            // Without a digest the path has to name the bytes.
            let name = file.digest.name ?? Self.sha256("\(listing.commit)/\(file.path)")
            let up = String(repeating: "../", count: file.path.split(separator: "/").count + 1)
            return Place(
                path: "\(root)/blobs/\(name)", partial: "\(root)/blobs/\(name).incomplete",
                lock: "\(cache)/.locks/\(repository.kind.plural)--\(repository.folderName)/\(name).lock",
                link: (path, "\(up)blobs/\(name)"))
        case .modelScope(let cache):
            let key = ["modelscope-hub-download-lock-v2", "file", repository.kind.rawValue, repository.id, file.path]
            return Place(
                path: path, partial: "\(path).incomplete",
                lock: "\(cache)/.lock/file_\(Self.sha256(key.joined(separator: "\0"))).lock", link: nil)
        case .folder:
            let state =
                "\(folder)/.cache/\(repository.hub == .huggingFace ? "huggingface" : "modelscope")/download/\(file.path)"
            return Place(
                path: path, partial: "\(state).\(file.digest.name ?? "unnamed").incomplete", lock: "\(state).lock",
                link: nil)
        }
    }

    /// Whether a file is there in full.
    ///
    /// In the cache of Hugging Face a name stands for its bytes; elsewhere the bytes are what tells.
    func holds(_ file: RemoteFile, _ files: any FileSystem) throws -> Bool {
        let place = place(of: file)
        guard let status = try files.status(place.path), status.kind == .file else { return false }
        switch storage {
        // Bytes get their name here when they have been checked.
        case .huggingFace, .modelScope: return file.size < 0 || file.size == status.size
        case .folder:
            guard file.size < 0 || file.size == status.size else { return false }
            var check = ContentCheck(file, present: status.size)
            try check.read(place.path, files)
            return check.isRight
        }
    }

    /// Writes down what a branch or tag stands for.
    func writeReference(_ files: any FileSystem) throws {
        guard case .huggingFace(let root, let cache) = storage else { return }
        let tag = "\(cache)/CACHEDIR.TAG"
        if try files.status(tag) == nil {
            // The format of https://bford.info/cachedir/, by which backup programs know a cache.
            try files.writeAtomically(
                Data("Signature: 8a477f597d28d172789f06886806bc55\n# Downloads of models and data sets.\n".utf8),
                to: tag)
        }
        guard listing.revision != listing.commit, FilePath.isInside(listing.revision) else { return }
        let path = "\(root)/refs/\(listing.revision)"
        try files.createDirectories(FilePath.parent(of: path))
        try files.writeAtomically(Data(listing.commit.utf8), to: path)
    }

    private static func sha256(_ text: String) -> String {
        SHA256.hash(data: Data(text.utf8)).map { String(format: "%02x", $0) }.joined()
    }
}
