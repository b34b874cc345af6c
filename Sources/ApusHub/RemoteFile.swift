import ApusFiles

/// One file of a repository, as the hub lists it.
package struct RemoteFile: Sendable, Equatable {
    /// What its bytes are checked with.
    package enum Digest: Sendable, Hashable {
        case sha256(String)
        /// Of the bytes with git's header in front of them.
        case gitSHA1(String)
        /// The hub gives none.
        case none

        /// The name that the bytes have in Hugging Face's cache.
        var name: String? {
            switch self {
            case .sha256(let hex), .gitSHA1(let hex): hex
            case .none: nil
            }
        }
    }

    /// With `/` between folders; relative and without `..`.
    package let path: String
    /// In bytes; below 0 where the hub does not say.
    package let size: Int64
    package let digest: Digest

    package init(path: String, size: Int64, digest: Digest) {
        self.path = path
        self.size = size
        self.digest = digest
    }
}

/// The files of a repository at one revision.
package struct RepositoryListing: Sendable {
    package let repository: Repository
    /// As it was asked for: a branch, a tag or a commit.
    package let revision: String
    /// What the revision stood for when it was looked up: of Hugging Face a commit, of ModelScope the revision itself.
    package let commit: String
    package let files: [RemoteFile]

    init(repository: Repository, revision: String, commit: String, files: [RemoteFile]) throws {
        // What a server lists becomes paths on this machine.
        if let file = files.first(where: { !FilePath.isInside($0.path) }) {
            throw HubError(
                .invalid,
                "\(repository.id): the hub lists a file \"\(file.path)\" that would lie outside the folder of the "
                    + "\(repository.kind.words); nothing was downloaded")
        }
        self.repository = repository
        self.revision = revision
        self.commit = commit
        self.files = files.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }
}
