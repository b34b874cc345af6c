import ApusFiles
import ApusHub
import ApusHubTesting
import ApusJSON
import Foundation
import Testing

/// A hub with a model, and a client for it that waits for nothing.
struct HubFixture {
    let server: HubServer
    var configuration: HubConfiguration
    /// As large as to come from the store in many pieces.
    let weights = HubServer.bytes(3 << 20)

    init(page: Int = 1000) throws {
        server = try HubServer(page: page)
        let model = "models/owner/tiny-model.v1"
        try server.write(#"{"model_type": "llama"}"#, to: "\(model)/config.json")
        try server.write(#"{"version": "1.0"}"#, to: "\(model)/tokenizer.json")
        try server.write("---\nlicense: mit\n---\n", to: "\(model)/README.md")
        try server.write(weights, to: "\(model)/model.safetensors")
        try server.write(HubServer.bytes(1 << 20, seed: 2), to: "\(model)/pytorch_model.bin")
        try server.write(HubServer.bytes(1 << 10, seed: 3), to: "\(model)/onnx/model.onnx")
        try server.write("{}", to: "\(model)/1_Pooling/config.json")
        try server.write(#"{"model_type": "qwen2"}"#, to: "\(model)/.revisions/v2/config.json")
        configuration = HubConfiguration(environment: server.environment, home: server.scratch("home"))
        configuration.firstPause = 0.01
    }

    var model: Repository { get throws { try repository("owner/tiny-model.v1") } }

    func repository(_ id: String, _ kind: Repository.Kind = .model, on hub: Hub = .huggingFace) throws -> Repository {
        try #require(Repository(id, kind: kind, on: hub))
    }

    func client(
        token: String? = nil, _ files: any FileSystem = LocalFileSystem(), events: HubEvents = HubEvents()
    ) -> HubClient {
        var configuration = configuration
        configuration.huggingFace.token = token
        configuration.modelScope.token = token
        return HubClient(configuration, events: events, files: files)
    }

    func contents(_ snapshot: HubClient.Snapshot, _ path: String) -> Data? {
        FileManager.default.contents(atPath: "\(snapshot.folder)/\(path)")
    }

    /// The requests for the bytes of large files.
    func parts() throws -> [JSONValue] { try server.log().filter { $0["host"] == "cdn" } }

    /// Where the parts began that were asked for.
    func starts() throws -> [Int] {
        try parts().map { part in
            part["range"]?.stringValue.flatMap { Int($0.dropFirst("bytes=".count).dropLast()) } ?? 0
        }
    }

    /// Names of all files below a folder, links among them.
    static func names(below folder: String) -> [String] {
        (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []).sorted()
    }
}

/// The error that something throws.
func hubError(_ body: () async throws -> some Any) async -> HubError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? HubError
    }
}
