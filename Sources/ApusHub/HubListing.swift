import ApusJSON
import Foundation
import NIOHTTP1

extension HubConnection {
    /// Looks up a revision and lists its files.
    ///
    /// - Throws: `HubError` saying which of the two does not exist, or what hindered.
    func listing(of repository: Repository, revision: String?) async throws -> RepositoryListing {
        let revision = repository.revision(revision)
        return switch repository.hub {
        case .huggingFace: try await huggingFaceListing(of: repository, revision: revision)
        case .modelScope: try await modelScopeListing(of: repository, revision: revision)
        }
    }

    /// The address of a file's bytes.
    func address(of file: RemoteFile, in listing: RepositoryListing) -> String {
        let (repository, endpoint) = (listing.repository, configuration[listing.repository.hub].endpoint)
        switch repository.hub {
        case .huggingFace:
            let folder = repository.kind == .dataset ? "datasets/" : ""
            return "\(endpoint)/\(folder)\(repository.id)/resolve/\(listing.commit)/"
                + HubConnection.escaped(file.path, keeping: "/")
        case .modelScope:
            return
                "\(endpoint)/api/v1/\(repository.kind.plural)/\(HubConnection.escaped(repository.id, keeping: "/"))/repo"
                + "?Revision=\(HubConnection.escaped(listing.commit))&FilePath=\(HubConnection.escaped(file.path))"
        }
    }

    // MARK: - Hugging Face

    private func huggingFaceListing(of repository: Repository, revision: String) async throws -> RepositoryListing {
        let subject = Subject(repository, revision: revision, in: configuration)
        let base = "\(configuration[.huggingFace].endpoint)/api/\(repository.kind.plural)/\(repository.id)"
        let info = try await json(
            Request(url: "\(base)/revision/\(HubConnection.escaped(revision))", hub: .huggingFace, subject: subject))
        guard let commit = info.value["sha"]?.stringValue, Self.isCommit(commit) else {
            throw HubError(
                .invalid, "\(subject.place): the answer names no commit; is HF_ENDPOINT the address of a hub?")
        }
        var files: [RemoteFile] = []
        var next: String? = "\(base)/tree/\(commit)?recursive=true&expand=false"
        var seen: Set<String> = []
        while let page = next, seen.insert(page).inserted {
            let answer = try await json(Request(url: page, hub: .huggingFace, subject: subject))
            guard let entries = answer.value.arrayValue else {
                throw HubError(.invalid, "\(subject.place): the list of files is not a list")
            }
            files += entries.compactMap(Self.huggingFaceFile)
            next = try Self.next(in: answer.links, after: page)
        }
        return try RepositoryListing(repository: repository, revision: revision, commit: commit, files: files)
    }

    static func isCommit(_ text: String) -> Bool {
        text.utf8.count == 40 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    private static func huggingFaceFile(_ entry: JSONValue) -> RemoteFile? {
        guard entry["type"]?.stringValue == "file", let path = entry["path"]?.stringValue else { return nil }
        let lfs = entry["lfs"]
        let size = lfs?["size"]?.intValue ?? entry["size"]?.intValue ?? -1
        let digest: RemoteFile.Digest =
            if let oid = lfs?["oid"]?.stringValue, isHexadecimal(oid, 64) {
                .sha256(oid)
            } else if let oid = entry["oid"]?.stringValue, isHexadecimal(oid, 40) {
                .gitSHA1(oid)
            } else {
                .none
            }
        return RemoteFile(path: path, size: Int64(size), digest: digest)
    }

    /// The address of the next page; on the same host, or none at all.
    static func next(in links: [String], after page: String) throws -> String? {
        for link in links.flatMap({ $0.split(separator: ",") }) {
            let parts = link.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
            guard let first = parts.first, first.hasPrefix("<"), first.hasSuffix(">"),
                parts.dropFirst().contains(where: { $0.replacing("\"", with: "") == "rel=next" })
            else { continue }
            guard let next = resolved(String(first.dropFirst().dropLast()), against: page), isSameHost(next, page)
            else {
                throw HubError(.invalid, "the list of files goes on at another host (\(first)); not followed")
            }
            return next
        }
        return nil
    }

    // MARK: - ModelScope

    /// As many files are listed by one answer about a model, and no more.
    private static let modelScopeLimit = 3000
    private static let modelScopePage = 200

    private func modelScopeListing(of repository: Repository, revision: String) async throws -> RepositoryListing {
        let entries =
            switch repository.kind {
            case .model: try await modelScopeFolder(nil, of: repository, revision: revision, isRecursive: true)
            case .dataset: try await modelScopePages(of: repository, revision: revision)
            }
        let files = entries.compactMap { entry -> RemoteFile? in
            guard entry["Type"]?.stringValue != "tree",
                let path = entry["Path"]?.stringValue ?? entry["Name"]?.stringValue
            else { return nil }
            let digest = entry["Sha256"]?.stringValue.flatMap { Self.isHexadecimal($0, 64) ? $0 : nil }
            return RemoteFile(
                path: path, size: Int64(entry["Size"]?.intValue ?? -1),
                digest: digest.map(RemoteFile.Digest.sha256) ?? .none)
        }
        return try RepositoryListing(repository: repository, revision: revision, commit: revision, files: files)
    }

    /// The entries of a folder, or of all below it: a list that is as long as answers get is asked for folder by
    /// folder.
    private func modelScopeFolder(
        _ root: String?, of repository: Repository, revision: String, isRecursive: Bool
    ) async throws -> [JSONValue] {
        let entries = try await modelScopeEntries(
            of: repository, revision: revision,
            query: "Recursive=\(isRecursive ? "True" : "False")" + (root.map { "&Root=\(Self.escaped($0))" } ?? ""))
        guard isRecursive, entries.count >= Self.modelScopeLimit else { return entries }
        var all: [JSONValue] = []
        for entry in try await modelScopeFolder(root, of: repository, revision: revision, isRecursive: false) {
            if entry["Type"]?.stringValue == "tree", let path = entry["Path"]?.stringValue {
                all += try await modelScopeFolder(path, of: repository, revision: revision, isRecursive: true)
            } else {
                all.append(entry)
            }
        }
        return all
    }

    private func modelScopePages(of repository: Repository, revision: String) async throws -> [JSONValue] {
        var all: [JSONValue] = []
        for page in 1...100_000 {
            let entries = try await modelScopeEntries(
                of: repository, revision: revision,
                query: "Recursive=True&PageNumber=\(page)&PageSize=\(Self.modelScopePage)")
            all += entries
            if entries.count < Self.modelScopePage { break }
        }
        return all
    }

    private func modelScopeEntries(
        of repository: Repository, revision: String, query: String
    ) async throws -> [JSONValue] {
        let subject = Subject(repository, revision: revision, in: configuration)
        let place = repository.kind == .dataset ? "tree" : "files"
        let id = Self.escaped(repository.id, keeping: "/")
        let answer = try await json(
            Request(
                url: "\(configuration[.modelScope].endpoint)/api/v1/\(repository.kind.plural)/\(id)/repo/\(place)"
                    + "?Revision=\(Self.escaped(revision))&\(query)", hub: .modelScope, subject: subject)
        ).value
        // Refusals come with status 200 too.
        if answer["Success"]?.boolValue == false {
            let said = answer["Message"]?.stringValue ?? ""
            let status = answer["Code"]?.intValue ?? 400
            let isMissing =
                status == 404 || said.lowercased().contains("not found") || said.lowercased().contains("not exist")
            throw subject.refusal(
                isMissing ? 404 : status == 401 || status == 403 ? status : 400, [:], said,
                place: configuration[.modelScope], isElsewhere: false)
        }
        let data = answer["Data"] ?? answer
        guard let entries = data.arrayValue ?? data["Files"]?.arrayValue else {
            if data["Files"] == .null || data == .null { return [] }
            throw HubError(
                .invalid, "\(subject.place): the answer lists no files; is MODELSCOPE_ENDPOINT the address of a hub?")
        }
        return entries
    }

    // MARK: - Parts

    static func isHexadecimal(_ text: String, _ count: Int) -> Bool {
        text.utf8.count == count && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// The JSON of an answer, and what its `Link` headers say.
    func json(_ request: Request) async throws -> (value: JSONValue, links: [String]) {
        let answer = try await answer(request)
        do {
            return (try JSONValue(parsing: Data(answer.body)), answer.headers["Link"])
        } catch {
            throw HubError(
                .invalid,
                "\(request.subject.place): the answer is no JSON (\(String(decoding: answer.body.prefix(80), as: UTF8.self))…); "
                    + "a portal or proxy may have answered in the hub's place")
        }
    }
}
