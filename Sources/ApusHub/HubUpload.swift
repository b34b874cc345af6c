import ApusFiles
import ApusJSON
package import Foundation
import NIOHTTP1

/// A file that is to be published.
package struct UploadFile: Sendable {
    package enum Content: Sendable {
        case file(String)
        case bytes(Data)
    }

    /// Its path in the repository.
    package let path: String
    package let content: Content

    package init(path: String, content: Content) {
        self.path = path
        self.content = content
    }
}

/// What was published.
package struct Publication: Sendable, Equatable {
    /// Where it can be looked at.
    package let address: String
    package let commit: String
}

extension HubClient {
    /// The name of the user whose token it is.
    ///
    /// - Throws: `HubError` where there is no token, or an unknown one.
    package func user(of hub: Hub = .huggingFace) async throws -> String {
        let question = hub == .huggingFace ? "whoami" : "users/me"
        guard let nobody = Repository(question, kind: .model, on: hub) else {
            throw HubError(.invalid, "\(question): is no id of a repository")
        }
        guard configuration[hub].token != nil else {
            let subject = writing(nobody)
            throw HubError(
                .unauthorized,
                "Publishing on \(hub.name) needs a token with the right to write: make one (\(subject.tokenPage)) and set it as "
                    + "\(subject.tokenName)=… or with --hub_token.")
        }
        if let reason = configuration.offlineReason {
            throw HubError(
                .offline,
                "Publishing on \(hub.name) needs the network, which is not to be used (\(reason)). Unset that variable."
            )
        }
        if hub == .modelScope { return try await modelScopeUser(nobody) }
        return try await open(nobody) { connection in
            let url = "\(configuration.huggingFace.endpoint)/api/whoami-v2"
            let answer = try await connection.json(.init(url: url, hub: .huggingFace, subject: writing(nobody))).value
            guard let name = answer["name"]?.stringValue else {
                throw HubError(.invalid, "\(configuration.huggingFace.endpoint): does not say whose token it is")
            }
            return name
        }
    }

    /// Makes a repository unless there is one.
    ///
    /// - Parameter isPrivate: Whether its owner alone can see it; one that exists stays as it is.
    package func create(_ repository: Repository, owner user: String, isPrivate: Bool) async throws {
        if repository.hub == .modelScope {
            return try await createOnModelScope(repository, isPrivate: isPrivate)
        }
        let parts = repository.id.split(separator: "/").map(String.init)
        var wanted: JSONObject = [
            "name": .string(parts.last ?? ""), "type": .string(repository.kind.rawValue), "private": .bool(isPrivate),
        ]
        if parts.count == 2, parts[0] != user { wanted["organization"] = .string(parts[0]) }
        let body = Array(JSONValue.object(wanted).serialized().utf8)
        try await open(repository) { connection in
            _ = try await connection.answer(
                .init(
                    method: .POST, url: "\(configuration.huggingFace.endpoint)/api/repos/create",
                    headers: [("Content-Type", "application/json")], body: .bytes(body), hub: .huggingFace,
                    subject: writing(repository), accepted: [409]))
        }
    }

    /// Publishes files in one commit on the main branch: large ones first, to the store, then the commit that names
    /// all.
    ///
    /// Follows what `huggingface_hub` sends: `preupload`, the batches of git-lfs, and a commit of JSON lines.
    ///
    /// - Throws: `HubError`; nothing is visible of what was published in part.
    package func publish(
        _ uploads: [UploadFile], to repository: Repository, message: String
    ) async throws -> Publication {
        try await open(repository) { connection in
            let uploads = try uploads.map { try PreparedUpload($0, files) }
            if repository.hub == .modelScope {
                return try await publishOnModelScope(uploads, to: repository, message: message, connection)
            }
            let large = try await modes(of: uploads, in: repository, connection)
            let kept = uploads.filter { large[$0.path] != nil }
            let stored = kept.filter { large[$0.path] == true }
            let meter = DownloadMeter(
                DownloadProgress(
                    repository: repository, bytes: 0, totalBytes: stored.reduce(0) { $0 + $1.size }, files: 0,
                    totalFiles: stored.count, isUpload: true), events.onProgress)
            for upload in stored {
                try await store(upload, in: repository, connection)
                meter.add(upload.size)
                meter.finishFile()
            }
            return try await commit(kept, large: large, to: repository, message: message, connection)
        }
    }

    func writing(_ repository: Repository) -> Subject {
        var subject = Subject(repository, revision: repository.revision(nil), in: configuration)
        subject.writes = true
        return subject
    }

    private var api: String { "\(configuration.huggingFace.endpoint)/api" }

    func post(
        _ url: String, _ body: [UInt8], type: String = "application/json", accept: String? = nil,
        _ repository: Repository,
        _ connection: HubConnection
    ) async throws -> JSONValue {
        let headers = [("Content-Type", type)] + (accept.map { [("Accept", $0)] } ?? [])
        return try await connection.json(
            .init(
                method: .POST, url: url, headers: headers, body: .bytes(body), hub: repository.hub,
                subject: writing(repository), patience: 120)
        ).value
    }

    /// Whether the hub wants each file in its store; a file that it ignores is absent.
    private func modes(
        of uploads: [PreparedUpload], in repository: Repository, _ connection: HubConnection
    ) async throws -> [String: Bool] {
        var modes: [String: Bool] = [:]
        for start in stride(from: 0, to: uploads.count, by: 256) {
            let group = uploads[start..<min(start + 256, uploads.count)]
            let entries = group.map { upload -> JSONValue in
                ["path": .string(upload.path), "sample": .string(upload.sample), "size": .int(Int(upload.size))]
            }
            let body = JSONValue.object(["files": .array(entries)]).serialized()
            let answer = try await post(
                "\(api)/\(repository.kind.plural)/\(repository.id)/preupload/main", Array(body.utf8), repository,
                connection)
            for entry in answer["files"]?.arrayValue ?? [] where entry["shouldIgnore"]?.boolValue != true {
                guard let path = entry["path"]?.stringValue else { continue }
                modes[path] = entry["uploadMode"]?.stringValue == "lfs"
            }
        }
        // The store takes no empty files.
        for upload in uploads where upload.size == 0 && modes[upload.path] != nil { modes[upload.path] = false }
        return modes
    }

    /// Puts a large file into the store, unless it is there already.
    private func store(_ upload: PreparedUpload, in repository: Repository, _ connection: HubConnection) async throws {
        let type = "application/vnd.git-lfs+json"
        let folder = repository.kind == .dataset ? "datasets/" : ""
        let base = "\(configuration.huggingFace.endpoint)/\(folder)\(repository.id).git/info/lfs/objects"
        let wanted: JSONValue = [
            "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256", "ref": ["name": "main"],
            "objects": [["oid": .string(upload.sha256), "size": .int(Int(upload.size))]],
        ]
        let answer = try await post(
            "\(base)/batch", Array(wanted.serialized().utf8), type: type, accept: type, repository, connection)
        guard let object = answer["objects"]?[0] else {
            throw HubError(.invalid, "\(upload.path): the hub does not say where to put it")
        }
        if let error = object["error"] {
            throw HubError(
                .invalid, "\(upload.path): the hub refuses it: \(error["message"]?.stringValue ?? "no reason given")")
        }
        guard let action = object["actions"]?["upload"], let address = action["href"]?.stringValue else { return }
        let header = action["header"]?.objectValue ?? [:]
        if let chunk = header["chunk_size"]?.stringValue.flatMap({ Int64($0) }), chunk > 0 {
            let parts = header.filter { Int($0.0) != nil }.sorted { (Int($0.0) ?? 0) < (Int($1.0) ?? 0) }
            guard Int64(parts.count) == (upload.size + chunk - 1) / chunk else {
                throw HubError(
                    .invalid, "\(upload.path): the hub wants \(parts.count) parts, which are not those of its size")
            }
            var done: [JSONValue] = []
            for (index, part) in parts.enumerated() {
                let range = Int64(index) * chunk..<min(Int64(index + 1) * chunk, upload.size)
                let answer = try await put(upload, range, to: part.1.stringValue ?? "", repository, connection)
                guard let tag = answer.headers.first(name: "ETag") else {
                    throw HubError(.invalid, "\(upload.path): the store does not name part \(index + 1)")
                }
                done.append(["partNumber": .int(index + 1), "etag": .string(tag)])
            }
            let body: JSONValue = ["oid": .string(upload.sha256), "parts": .array(done)]
            // Where the parts are put together is signed as the parts are.
            _ = try await connection.answer(
                .init(
                    method: .POST, url: address, headers: [("Content-Type", type), ("Accept", type)],
                    body: .bytes(Array(body.serialized().utf8)), subject: writing(repository), patience: 300))
        } else {
            _ = try await put(upload, 0..<upload.size, to: address, repository, connection)
        }
        if let verify = object["actions"]?["verify"]?["href"]?.stringValue {
            let body: JSONValue = ["oid": .string(upload.sha256), "size": .int(Int(upload.size))]
            _ = try await connection.answer(
                .init(
                    method: .POST, url: verify, headers: [("Content-Type", type), ("Accept", type)],
                    body: .bytes(Array(body.serialized().utf8)), hub: .huggingFace, subject: writing(repository)))
        }
    }

    private func put(
        _ upload: PreparedUpload, _ range: Range<Int64>, to address: String, _ repository: Repository,
        _ connection: HubConnection
    ) async throws -> HubConnection.Answer {
        try await connection.answer(
            .init(
                method: .PUT, url: address, body: upload.body(range), subject: writing(repository), patience: 86_400))
    }

    private func commit(
        _ uploads: [PreparedUpload], large: [String: Bool], to repository: Repository, message: String,
        _ connection: HubConnection
    ) async throws -> Publication {
        var lines: [JSONValue] = [
            ["key": "header", "value": ["summary": .string(message), "description": ""]]
        ]
        for upload in uploads {
            if large[upload.path] == true {
                lines.append([
                    "key": "lfsFile",
                    "value": [
                        "path": .string(upload.path), "algo": "sha256", "oid": .string(upload.sha256),
                        "size": .int(Int(upload.size)),
                    ],
                ])
            } else {
                lines.append([
                    "key": "file",
                    "value": [
                        "content": .string(try upload.data(files).base64EncodedString()), "path": .string(upload.path),
                        "encoding": "base64",
                    ],
                ])
            }
        }
        let body = lines.map { $0.serialized() + "\n" }.joined()
        let answer = try await post(
            "\(api)/\(repository.kind.plural)/\(repository.id)/commit/main", Array(body.utf8),
            type: "application/x-ndjson",
            repository, connection)
        let folder = repository.kind == .dataset ? "datasets/" : ""
        return Publication(
            address: "\(configuration.huggingFace.endpoint)/\(folder)\(repository.id)",
            commit: answer["commitOid"]?.stringValue ?? "")
    }
}

/// A file with what the hub wants to know of it first.
struct PreparedUpload: Sendable {
    let path: String
    let content: UploadFile.Content
    let size: Int64
    let sha256: String
    /// Its first bytes in base 64, by which the hub tells text from other things.
    let sample: String

    init(_ upload: UploadFile, _ files: any FileSystem) throws {
        path = upload.path
        content = upload.content
        var check = ContentCheck(RemoteFile(path: upload.path, size: -1, digest: .sha256("")))
        switch upload.content {
        case .bytes(let data):
            check.update(data)
            sample = data.prefix(512).base64EncodedString()
        case .file(let path):
            try check.read(path, files)
            let file = try files.open(path, .read)
            var start = [UInt8](repeating: 0, count: 512)
            let count = try start.withUnsafeMutableBytes { try file.read(into: $0) }
            sample = Data(start.prefix(count)).base64EncodedString()
        }
        size = check.count
        sha256 = check.digest
    }

    /// A part of it as the body of a request.
    func body(_ range: Range<Int64>) -> HubConnection.Request.Body {
        switch content {
        case .file(let path): .file(path, range)
        case .bytes(let data): .bytes(Array(data.dropFirst(Int(range.lowerBound)).prefix(range.count)))
        }
    }

    func data(_ files: any FileSystem) throws -> Data {
        switch content {
        case .bytes(let data): data
        case .file(let path): try files.contents(of: path)
        }
    }
}
