import ApusJSON
import Foundation
import NIOHTTP1

/// Publishing on ModelScope, as its own client `modelscope_hub` 0.5 does it.
extension HubClient {
    /// Files that the hub reads itself are never put into the store.
    private static let inline: Set<String> = [
        "readme.md", ".gitattributes", ".gitignore", "configuration.json", "configuration.yaml", "configuration.yml",
        "dataset_infos.json", "config.json", ".msc", ".mdl",
    ]
    /// What lies in the store whatever its size.
    private static let stored: Set<String> = [
        "7z", "arrow", "bin", "bz2", "ckpt", "ftz", "gz", "h5", "joblib", "mlmodel", "model", "msgpack", "npy", "npz",
        "onnx", "ot", "parquet", "pb", "pickle", "pkl", "pt", "pth", "rar", "safetensors", "tar", "tflite", "tgz",
        "wasm",
        "xz", "zip", "zst",
    ]
    /// Bytes of the largest file that a commit holds itself.
    private static let largestInline: Int64 = 64 << 10
    /// Files of one question to the store, and of one commit.
    private static let (objects, actions) = (64, 2000)

    private var scope: String { "\(configuration.modelScope.endpoint)/api/v1" }

    /// The name of the user whose token it is.
    func modelScopeUser(_ nobody: Repository) async throws -> String {
        try await open(nobody) { connection in
            let url = "\(configuration.modelScope.endpoint)/openapi/v1/users/me"
            let answer = try await connection.json(.init(url: url, hub: .modelScope, subject: writing(nobody))).value
            let keys = ["Username", "username", "name", "preferred_username"]
            guard let name = keys.lazy.compactMap({ answer["data"]?[$0]?.stringValue }).first(where: { !$0.isEmpty })
            else {
                throw HubError(.invalid, "\(configuration.modelScope.endpoint): does not say whose token it is")
            }
            return name
        }
    }

    /// Makes a model unless there is one.
    func createOnModelScope(_ repository: Repository, isPrivate: Bool) async throws {
        let parts = repository.id.split(separator: "/").map { JSONValue.string(String($0)) }
        let wanted: JSONValue = [
            "Path": parts[0], "Name": parts[1], "Visibility": .int(isPrivate ? 1 : 5), "License": "Apache-2.0",
        ]
        try await open(repository) { connection in
            let there = try await connection.answer(
                .init(
                    url: "\(scope)/models/\(repository.id)", hub: .modelScope, subject: writing(repository),
                    accepted: [404]))
            guard there.status == 404 else { return }
            _ = try await ask("\(scope)/models", wanted, repository, connection)
        }
    }

    /// Puts large files into the store, then commits all on the main branch: at once up to 2000 files.
    func publishOnModelScope(
        _ uploads: [PreparedUpload], to repository: Repository, message: String, _ connection: HubConnection
    ) async throws -> Publication {
        let isLarge = uploads.map { upload in
            let name = FilePathName(upload.path)
            return upload.size > 0 && !Self.inline.contains(name.name)
                && (upload.size > Self.largestInline || Self.stored.contains(name.ending))
        }
        let large = zip(uploads, isLarge).filter(\.1).map(\.0)
        let meter = DownloadMeter(
            DownloadProgress(
                repository: repository, bytes: 0, totalBytes: large.reduce(0) { $0 + $1.size }, files: 0,
                totalFiles: large.count, isUpload: true), events.onProgress)
        let base = "\(scope)/repos/models/\(repository.id)"
        var done: Set<String> = []
        for start in stride(from: 0, to: large.count, by: Self.objects) {
            let group = large[start..<min(start + Self.objects, large.count)]
            let wanted = group.map { JSONValue.object(["oid": .string($0.sha256), "size": .int(Int($0.size))]) }
            let answer = try await ask(
                "\(base)/info/lfs/objects/batch", ["operation": "upload", "objects": .array(wanted)], repository,
                connection)
            var places: [String: String] = [:]
            for object in answer["objects"]?.arrayValue ?? [] {
                guard let id = object["oid"]?.stringValue else { continue }
                places[id] = object["actions"]?["upload"]?["href"]?.stringValue
            }
            for upload in group {
                // Without a place it is in the store already.
                if done.insert(upload.sha256).inserted, let place = places[upload.sha256] {
                    try await put(upload, to: place, repository, connection)
                }
                meter.add(upload.size)
                meter.finishFile()
            }
        }
        var commit = ""
        for start in stride(from: 0, to: uploads.count, by: Self.actions) {
            let group = start..<min(start + Self.actions, uploads.count)
            let actions = try group.map { index -> JSONValue in
                let upload = uploads[index]
                return [
                    "action": "create", "path": .string(upload.path), "type": isLarge[index] ? "lfs" : "normal",
                    "size": .int(Int(upload.size)), "sha256": .string(isLarge[index] ? upload.sha256 : ""),
                    "content": .string(isLarge[index] ? "" : try upload.data(files).base64EncodedString()),
                    "encoding": isLarge[index] ? "" : "base64",
                ]
            }
            let answer = try await ask(
                "\(base)/commit/master", ["commit_message": .string(message), "actions": .array(actions)], repository,
                connection)
            commit = answer["oid"]?.stringValue ?? commit
        }
        return Publication(
            address: "\(configuration.modelScope.endpoint)/models/\(repository.id)", commit: commit)
    }

    /// The last part of a path and what stands behind its last dot, in small letters.
    private struct FilePathName {
        let name: String
        let ending: String

        init(_ path: String) {
            name = (path.split(separator: "/").last.map(String.init) ?? path).lowercased()
            ending = name.contains(".") ? name.split(separator: ".").last.map(String.init) ?? "" : ""
        }
    }

    /// The `Data` of an answer.
    private func ask(
        _ url: String, _ body: JSONValue, _ repository: Repository, _ connection: HubConnection
    ) async throws -> JSONValue {
        let answer = try await post(url, Array(body.serialized().utf8), repository, connection)
        try check(answer, repository)
        return answer["Data"] ?? answer
    }

    /// ModelScope refuses in answers of status 200 too.
    private func check(_ answer: JSONValue, _ repository: Repository) throws {
        let isRefused = answer["Success"]?.boolValue == false || (answer["Code"]?.intValue ?? 200) != 200
        guard isRefused else { return }
        let reason = answer["Message"]?.stringValue ?? "no reason given"
        throw HubError(.invalid, "\(repository.id) on ModelScope: the hub refuses it: \(reason)")
    }

    /// Sends a file to the store, whose host belongs to the hub and wants the token, or whose address is signed.
    private func put(
        _ upload: PreparedUpload, to place: String, _ repository: Repository, _ connection: HubConnection
    ) async throws {
        let answer = try await connection.answer(
            .init(
                method: .PUT, url: place, body: upload.body(0..<upload.size), hub: .modelScope, isForStore: true,
                subject: writing(repository), patience: 86_400))
        if let said = try? JSONValue(parsing: Data(answer.body)) { try check(said, repository) }
    }
}

extension Hub {
    /// Whether an address is one of the hub's own hosts beside that of its endpoint, such as lfs.modelscope.cn beside
    /// www.modelscope.cn.
    func hasStore(_ place: String, besides endpoint: String) -> Bool {
        guard self == .modelScope, let place = URLComponents(string: place),
            let endpoint = URLComponents(string: endpoint),
            place.scheme == "https", endpoint.scheme == "https"
        else { return false }
        return ["modelscope.cn", "modelscope.ai"].contains { (domain: String) in
            [place, endpoint].allSatisfy { $0.host == domain || $0.host?.hasSuffix(".\(domain)") == true }
        }
    }
}
