import ApusFiles
import ApusHubTesting
import ApusJSON
import Foundation
import Synchronization
import Testing

@testable import ApusHub

@Suite(.serialized) struct CacheTests {
    @Test func whatLiesInACacheIsFoundWhenItIsWhole() async throws {
        let hub = try HubFixture()
        let cache = HubCache(hub.configuration)
        func found(_ need: HubCache.Need, revision: String? = nil) -> String? {
            cache.folder(of: "owner/tiny-model.v1", hubs: [.huggingFace], revision: revision, need: need)
        }
        #expect(found(.texts) == nil)
        let texts = try await hub.client().download(hub.model, FileChoice(.texts))
        #expect(found(.texts) == texts.folder && found(.weights) == nil)
        _ = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(found(.weights) == texts.folder && found(.weights, revision: texts.commit) == texts.folder)
        #expect(found(.weights, revision: "v2") == nil)
        // A shard that is missing makes a model that is not there.
        let index = #"{"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}"#
        try Data(index.utf8).write(to: URL(fileURLWithPath: "\(texts.folder)/model.safetensors.index.json"))
        #expect(found(.weights) == nil && found(.texts) == texts.folder)
    }

    /// What the hub listed is known later, and what of it is not there in full.
    @Test func listingsOfDataSetsAreKept() async throws {
        let hub = try HubFixture()
        for name in ["README.md", "data/a.jsonl", "data/b.jsonl"] {
            // Of files alike a cache has one copy.
            try hub.server.write("{\"of\": \"\(name)\"}\n", to: "datasets/owner/rows/\(name)")
        }
        let repository = try hub.repository("owner/rows", .dataset)
        let snapshot = try await hub.client().download(repository, FileChoice(.paths(["data/a.jsonl", "README.md"])))
        let kept = try #require(KeptListing(of: repository, in: snapshot.folder, hub.configuration))
        let paths = kept.files.map(\.path)
        #expect(Set(paths).isSuperset(of: ["README.md", "data/a.jsonl", "data/b.jsonl"]))
        #expect(
            kept.missing(of: ["README.md", "data/a.jsonl", "data/b.jsonl"], in: snapshot.folder) == ["data/b.jsonl"])
        // A file that was cut is not there in full.
        let file = URL(fileURLWithPath: "\(snapshot.folder)/data/a.jsonl").resolvingSymlinksInPath()
        try Data("{".utf8).write(to: file)
        #expect(kept.missing(of: ["README.md", "data/a.jsonl"], in: snapshot.folder) == ["data/a.jsonl"])
        #expect(HubFixture.names(below: hub.configuration.listings).count { $0.hasSuffix(".json") } == 1)
        let cache = hub.configuration.huggingFace.cache
        #expect(
            !HubFixture.names(below: cache).contains { $0.hasSuffix(".json") },
            "the hub's own cache has its files alone")
        // Of a model, and of a folder of the user's, nothing is kept.
        _ = try await hub.client().download(hub.model, FileChoice(.texts))
        _ = try await hub.client().download(repository, FileChoice(.all), to: hub.server.scratch("mine"))
        #expect(HubFixture.names(below: hub.configuration.listings).count { $0.hasSuffix(".json") } == 1)
        #expect(KeptListing(of: repository, in: hub.server.scratch("mine"), hub.configuration) == nil)
    }

    /// What a branch held once says nothing of files that another program may have fetched since.
    @Test func ofBranchesNothingIsKept() async throws {
        let hub = try HubFixture()
        try hub.server.write("{}\n", to: "datasets/owner/rows/a.jsonl")
        let repository = try hub.repository("owner/rows", .dataset, on: .modelScope)
        let snapshot = try await hub.client().download(repository, FileChoice(.all))
        #expect(snapshot.commit == "master")
        #expect(KeptListing(of: repository, in: snapshot.folder, hub.configuration) == nil)
        #expect(HubFixture.names(below: hub.configuration.listings).isEmpty)
    }

    /// A listing that cannot be written is told of once, however many downloads follow it.
    @Test func aListingIsKeptOnce() async throws {
        let hub = try HubFixture()
        try hub.server.write("# Rows\n", to: "datasets/owner/rows/README.md")
        try hub.server.write("{}\n", to: "datasets/owner/rows/a.jsonl")
        let place = hub.configuration.listings
        try FileManager.default.createDirectory(
            atPath: FilePath.parent(of: place), withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: place))
        let notes = Mutex<[String]>([])
        let client = hub.client(events: HubEvents(onNote: { note in notes.withLock { $0.append(note) } }))
        let listing = try await client.listing(of: hub.repository("owner/rows", .dataset))
        for choice in [FileChoice(.card), FileChoice(.all)] { _ = try await client.download(listing, choice) }
        #expect(notes.withLock { $0.count { $0.contains("what owner/rows holds could not be written down") } } == 1)
    }

    @Test(arguments: ["models/owner/tiny-model___v1", "hub/models/owner/tiny-model___v1", "hub/owner/tiny-model___v1"])
    func earlierLayoutsOfModelScopeAreFound(place: String) throws {
        let server = try HubServer()
        let configuration = HubConfiguration(environment: server.environment, home: server.scratch("home"))
        let folder = "\(configuration.modelScope.cache)/\(place)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["config.json", "model.safetensors"] {
            try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        }
        #expect(HubCache(configuration).folder(of: "owner/tiny-model.v1", hubs: [.modelScope, .huggingFace]) == folder)
    }

    @Test func whatIsPublishedIsWhatWasThere() async throws {
        let hub = try HubFixture()
        try hub.server.set("chunk", 1 << 20)
        let client = hub.client(token: "hf_good")
        #expect(try await client.user() == "tester")
        let repository = try hub.repository("tester/published")
        try await client.create(repository, owner: "tester", isPrivate: true)
        try await client.create(repository, owner: "tester", isPrivate: true)
        let large = hub.server.scratch("large")
        try hub.weights.write(to: URL(fileURLWithPath: large))
        let publication = try await client.publish(
            [
                UploadFile(path: "README.md", content: .bytes(Data("# A model\n".utf8))),
                UploadFile(path: "model.safetensors", content: .file(large)),
                UploadFile(path: "small.safetensors", content: .bytes(HubServer.bytes(900))),
                UploadFile(path: "empty.bin", content: .bytes(Data())),
            ], to: repository, message: "First")
        #expect(publication.address == "\(hub.server.address)/tester/published")
        let snapshot = try await client.download(repository, FileChoice(.all))
        #expect(snapshot.commit == publication.commit)
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
        #expect(hub.contents(snapshot, "README.md") == Data("# A model\n".utf8))
        #expect(hub.contents(snapshot, "empty.bin") == Data())
        let log = try hub.server.log()
        #expect(log.filter { $0["method"] == "PUT" }.count == 4, "three parts and a small one")
        #expect(log.allSatisfy { $0["host"] != "cdn" || $0["authorization"] == .null })
        // Seen by its owner alone.
        let error = await hubError { try await hub.client().listing(of: repository) }
        #expect(error?.kind == .notFound)
    }

    @Test func whatIsPublishedOnModelScopeIsWhatWasThere() async throws {
        let hub = try HubFixture()
        let client = hub.client(token: "hf_good")
        #expect(try await client.user(of: .modelScope) == "tester")
        let repository = try hub.repository("tester/published", on: .modelScope)
        try await client.create(repository, owner: "tester", isPrivate: true)
        try await client.create(repository, owner: "tester", isPrivate: true)
        let large = hub.server.scratch("large")
        try hub.weights.write(to: URL(fileURLWithPath: large))
        let vocabulary = HubServer.bytes(65 << 10)
        let uploads = [
            UploadFile(path: "config.json", content: .bytes(HubServer.bytes(70 << 10))),
            UploadFile(path: "model.safetensors", content: .file(large)),
            UploadFile(path: "copy/model.safetensors", content: .file(large)),
            UploadFile(path: "vocab.txt", content: .bytes(vocabulary)),
            UploadFile(path: "empty.bin", content: .bytes(Data())),
        ]
        let publication = try await client.publish(uploads, to: repository, message: "First")
        #expect(publication.address == "\(hub.server.address)/models/tester/published")
        let snapshot = try await client.download(repository, FileChoice(.all))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
        #expect(hub.contents(snapshot, "copy/model.safetensors") == hub.weights)
        #expect(hub.contents(snapshot, "vocab.txt") == vocabulary)
        #expect(hub.contents(snapshot, "config.json") == HubServer.bytes(70 << 10))
        #expect(hub.contents(snapshot, "empty.bin") == Data())
        #expect(try hub.server.log().filter { $0["method"] == "PUT" }.count == 2, "one for each content in the store")
        // What is there is not sent again.
        _ = try await client.publish(uploads, to: repository, message: "Second")
        #expect(try hub.server.log().filter { $0["method"] == "PUT" }.count == 2)
        let error = await hubError { try await hub.client().listing(of: repository) }
        #expect(error?.kind == .notFound)
        let nobody = await hubError { try await hub.client().user(of: .modelScope) }
        #expect(nobody?.kind == .unauthorized && nobody?.description.contains("MODELSCOPE_API_TOKEN") == true)
        let guest = await hubError { try await hub.client(token: "hf_limited").user(of: .modelScope) }
        #expect(guest?.kind == .forbidden)
    }

    /// The token goes to hosts of ModelScope's own domain alone.
    @Test(
        arguments: [
            ("https://lfs.modelscope.cn/a", true), ("https://www.modelscope.cn/a", true),
            ("http://lfs.modelscope.cn/a", false), ("https://store.example.com/a", false),
            ("https://modelscope.cn.example.com/a", false), ("https://evilmodelscope.cn/a", false),
            ("https://lfs.modelscope.ai/a", false),
        ])
    func theStoreGetsTheToken(place: String, isOwn: Bool) {
        #expect(Hub.modelScope.hasStore(place, besides: "https://www.modelscope.cn") == isOwn)
        #expect(!Hub.modelScope.hasStore("https://b.s3.amazonaws.com.cn/a", besides: "https://hub.example.com.cn"))
    }

    @Test func publishingWithoutTheRightIsRefused() async throws {
        let hub = try HubFixture()
        let error = await hubError { try await hub.client().user() }
        #expect(error?.kind == .unauthorized && error?.description.contains("HF_TOKEN") == true)
        let repository = try hub.repository("other/model")
        let forbidden = await hubError {
            try await hub.client(token: "hf_limited").create(repository, owner: "guest", isPrivate: false)
        }
        #expect(forbidden?.kind == .forbidden && forbidden?.description.contains("write") == true)
    }
}
