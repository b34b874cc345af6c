import ApusFiles
import ApusHub
import ApusHubTesting
import ApusJSON
import Foundation
import Synchronization
import Testing

@Suite(.serialized) struct DownloadTests {
    @Test func ofAModelOnlyWhatIsReadComesAndLiesAsPythonPutsIt() async throws {
        let hub = try HubFixture(page: 2)
        try hub.server.rules()
        let snapshot = try await hub.client(token: "hf_good").download(hub.model, FileChoice(.model))
        #expect(
            snapshot.paths == [
                "1_Pooling/config.json", "README.md", "config.json", "model.safetensors", "tokenizer.json",
            ])
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
        let root = "\(hub.configuration.huggingFace.cache)/models--owner--tiny-model.v1"
        #expect(snapshot.folder == "\(root)/snapshots/\(snapshot.commit)")
        #expect(try String(contentsOfFile: "\(root)/refs/main", encoding: .utf8) == snapshot.commit)
        let link = try FileManager.default.destinationOfSymbolicLink(
            atPath: "\(snapshot.folder)/1_Pooling/config.json")
        // git's digest of "{}".
        #expect(link == "../../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b")
        #expect(!HubFixture.names(below: root).contains { $0.hasSuffix(".incomplete") })
        let log = try hub.server.log()
        #expect(log.filter { $0["path"]?.stringValue?.contains("/tree/") == true }.count == 5, "the pages of the list")
        #expect(log.allSatisfy { ($0["authorization"] == .null) == ($0["host"] == "cdn") }, "the store sees no token")
    }

    @Test func whatIsThereIsNotFetchedAgain() async throws {
        let hub = try HubFixture()
        let first = try await hub.client().download(hub.model, FileChoice(.model))
        try hub.server.rules()
        let second = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(second.folder == first.folder && second.fetchedBytes == 0)
        #expect(try !hub.server.log().contains { $0["path"]?.stringValue?.contains("/resolve/") == true })
    }

    @Test func aConnectionThatDropsIsGoneOnWith() async throws {
        let hub = try HubFixture()
        try hub.server.rules(["match": "GET cdn", "times": 3, "drop_after": 700_000])
        let snapshot = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
        let starts = try hub.starts()
        #expect(starts.count == 4 && starts[0] == 0)
        // What was in the buffers when the connection broke off comes again.
        for (before, start) in zip(starts, starts.dropFirst()) {
            #expect((before + 1...before + 700_000).contains(start))
        }
    }

    @Test(arguments: ["ignore_range", "wrong_range"])
    func aServerThatDoesNotGiveThePartAskedForGivesTheWhole(fault: String) async throws {
        let hub = try HubFixture()
        try hub.server.rules(
            ["match": "GET cdn", "times": 1, "drop_after": 500_000],
            .object(["match": "GET cdn", "times": 1, fault: true]))
        let snapshot = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
    }

    @Test func damagedBytesAreFetchedAgainAndThenRefused() async throws {
        let hub = try HubFixture()
        try hub.server.rules(["match": "GET cdn", "times": 1, "corrupt": true])
        let snapshot = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)

        let other = try HubFixture()
        try other.server.rules(["match": "GET cdn", "times": 99, "corrupt": true])
        let error = await hubError { try await other.client().download(other.model, FileChoice(.model)) }
        #expect(error?.kind == .damaged && error?.description.contains("its digest is") == true)
        let cache = other.configuration.huggingFace.cache
        let names = HubFixture.names(below: cache)
        #expect(!names.contains { $0.hasSuffix("model.safetensors") })
        #expect(!names.contains { FileManager.default.contents(atPath: "\(cache)/\($0)")?.count == 3 << 20 })
        #expect(!names.contains { $0.hasSuffix("refs/main") }, "what is not whole has no name")
    }

    @Test(
        arguments: [
            ["status": 429, "headers": ["Retry-After": "0"]], ["status": 503], ["status": 500], ["status": 504],
            ["hang_up": true],
        ] as [JSONValue])
    func troublesThatPassAreWaitedFor(trouble: JSONValue) async throws {
        let hub = try HubFixture()
        var object = try #require(trouble.objectValue)
        (object["times"], object["match"]) = (2, "/revision/|/tree/|/resolve/.*config|GET cdn")
        try hub.server.rules(.object(object), .object(object))
        let snapshot = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
    }

    @Test func theStoresAddressIsAskedForAgainWhenItHasExpired() async throws {
        let hub = try HubFixture()
        try hub.server.rules([
            "match": "GET cdn", "times": 1, "status": 403, "text": "<Error><Code>Expired</Code></Error>",
        ])
        let snapshot = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
        #expect(
            try hub.server.log().filter { $0["path"]?.stringValue?.contains("/model.safetensors") == true }.count == 2)
    }

    @Test func aTrickleIsWaitedForAndSilenceIsNot() async throws {
        var hub = try HubFixture()
        hub.configuration.idleTimeout = 0.5
        try hub.server.rules(["match": "GET cdn", "times": 1, "rate": 2_000_000])
        let snapshot = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
        hub = try HubFixture()
        (hub.configuration.answerTimeout, hub.configuration.idleTimeout) = (1, 0.5)
        try hub.server.rules(["match": "/revision/", "times": 9, "stall": 5])
        let start = Date()
        let error = await hubError { try await hub.client().listing(of: hub.model) }
        #expect(error?.kind == .unreachable)
        #expect(Date().timeIntervalSince(start) < 4.5)
    }

    /// A list may leave out how large files are: their bytes are checked by their digests all the same.
    @Test func filesOfUnknownSize() async throws {
        let hub = try HubFixture()
        let listed = try await hub.client().listing(of: hub.model).files.first { $0.path == "model.safetensors" }
        guard case .sha256(let weights) = listed?.digest else {
            Issue.record("the store names no digest")
            return
        }
        func list(_ digest: String) throws {
            let entries: JSONValue = [
                ["type": "file", "path": "1_Pooling/config.json", "oid": .string(digest)],
                ["type": "file", "path": "README.md"],
                ["type": "file", "path": "model.safetensors", "lfs": ["oid": .string(weights)]],
            ]
            try hub.server.rules(
                .object(["match": "/tree/", "times": 99, "status": 200, "text": .string(entries.serialized())]))
        }
        let right = "9e26dfeeb6e641a33dae4961196235bdb965b21b"
        for folder in [nil, hub.server.scratch("mine")] {
            try list(right)
            let first = try await hub.client().download(hub.model, FileChoice(.all), to: folder)
            #expect(first.paths == ["1_Pooling/config.json", "README.md", "model.safetensors"])
            #expect(hub.contents(first, "1_Pooling/config.json") == Data("{}".utf8))
            #expect(hub.contents(first, "README.md")?.isEmpty == false)
            #expect(hub.contents(first, "model.safetensors") == hub.weights)
            #expect(first.fetchedBytes == Int64(hub.weights.count + 2 + "---\nlicense: mit\n---\n".utf8.count))
            #expect(try await hub.client().download(hub.model, FileChoice(.all), to: folder).fetchedBytes == 0)
        }
        // A file of the user's that was changed is seen by its digest.
        let changed = "\(hub.server.scratch("mine"))/1_Pooling/config.json"
        try Data("[]".utf8).write(to: URL(fileURLWithPath: changed))
        let again = try await hub.client().download(hub.model, FileChoice(.all), to: hub.server.scratch("mine"))
        #expect(again.fetchedBytes == 2 && hub.contents(again, "1_Pooling/config.json") == Data("{}".utf8))
        try list(String(repeating: "0", count: 40))
        let error = await hubError {
            try await hub.client().download(hub.model, FileChoice(.all), to: hub.server.scratch("other"))
        }
        #expect(error?.kind == .damaged && error?.description.contains("its digest is \(right)") == true)
    }

    /// What an earlier try left of a file of unknown size is the whole of it, or is not gone on with.
    @Test func partsOfFilesOfUnknownSize() async throws {
        let hub = try HubFixture()
        let digest = "9e26dfeeb6e641a33dae4961196235bdb965b21b"
        let entry = #"[{"type": "file", "path": "1_Pooling/config.json", "oid": "\#(digest)"}]"#
        for (left, requests) in [("{}", 0), ("{", 1), ("{}{}", 1)] {
            let folder = hub.server.scratch("left-\(left.count)")
            let place = "\(folder)/.cache/huggingface/download/1_Pooling"
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
            try Data(left.utf8).write(to: URL(fileURLWithPath: "\(place)/config.json.\(digest).incomplete"))
            try hub.server.rules(
                .object(["match": "/tree/", "times": 99, "status": 200, "text": .string(entry)]))
            let seen = Mutex<DownloadProgress?>(nil)
            let events = HubEvents(onProgress: { progress in seen.withLock { $0 = progress } })
            let snapshot = try await hub.client(events: events).download(hub.model, FileChoice(.all), to: folder)
            #expect(hub.contents(snapshot, "1_Pooling/config.json") == Data("{}".utf8))
            let asked = try hub.server.log().filter { $0["path"]?.stringValue?.contains("/resolve/") == true }
            #expect(asked.count == requests && asked.allSatisfy { $0["range"] == .null })
            let last = seen.withLock { $0 }
            #expect(last?.bytes == 0 && last?.totalBytes == 0 && last?.files == 1 && snapshot.fetchedBytes == 2)
        }
    }

    @Test func progressGrowsToTheTotal() async throws {
        let hub = try HubFixture()
        let seen = Mutex<[DownloadProgress]>([])
        let events = HubEvents(onProgress: { progress in seen.withLock { $0.append(progress) } })
        _ = try await hub.client(events: events).download(hub.model, FileChoice(.model))
        let all = seen.withLock { $0 }
        let last = try #require(all.last)
        #expect(all.first?.bytes == 0 && last.bytes == last.totalBytes && last.files == 5 && last.totalFiles == 5)
        #expect(all.count > 8)
    }

    @Test func severalClientsFetchAFileOnce() async throws {
        let hub = try HubFixture()
        try hub.server.set("rate", 6_000_000)
        let notes = Mutex(0)
        let client = hub.client(events: HubEvents(onNote: { _ in notes.withLock { $0 += 1 } }))
        let model = try hub.model
        try hub.server.rules()
        let folders = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<3 { group.addTask { try await client.download(model, FileChoice(.model)).folder } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(folders.count == 1)
        #expect(try hub.parts().count == 1)
        #expect(notes.withLock { $0 } > 0)
    }

    @Test func aFolderOfTheUsersHoldsTheFilesThemselves() async throws {
        let hub = try HubFixture()
        let folder = hub.server.scratch("mine")
        let snapshot = try await hub.client().download(hub.model, revision: "v2", FileChoice(.all), to: folder)
        #expect(snapshot.folder == folder && snapshot.paths == ["config.json"])
        let path = "\(folder)/config.json"
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(#"{"model_type": "qwen2"}"#.utf8))
        // A file that was changed is another one.
        try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
        _ = try await hub.client().download(hub.model, revision: "v2", FileChoice(.all), to: folder)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count > 2)
    }

    @Test func aNameThatHasMovedIsFollowed() async throws {
        let hub = try HubFixture()
        try hub.server.write(#"{"moved_to": "owner/tiny-model.v1"}"#, to: "models/owner/old/.hub.json")
        let snapshot = try await hub.client().download(hub.repository("owner/old"), FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
    }

    @Test func modelScopeServesTheSameFiles() async throws {
        let hub = try HubFixture()
        try hub.server.rules(["match": "GET cdn", "times": 1, "drop_after": 700_000])
        let model = try hub.repository("owner/tiny-model.v1", on: .modelScope)
        let snapshot = try await hub.client().download(model, revision: "main", FileChoice(.model))
        #expect(snapshot.folder == "\(hub.configuration.modelScope.cache)/models/owner--tiny-model.v1/snapshots/master")
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
        let starts = try hub.starts()
        #expect(starts.count == 2 && starts[0] == 0 && (1...700_000).contains(starts[1]))
        #expect(HubFixture.names(below: snapshot.folder).count == 6, "five files and a folder")
    }

    @Test func modelScopesListsAreReadPageByPage() async throws {
        let hub = try HubFixture()
        for index in 0..<450 { try hub.server.write("\(index)", to: "datasets/owner/rows/part/\(index).json") }
        let rows = try hub.repository("owner/rows", .dataset, on: .modelScope)
        #expect(try await hub.client().listing(of: rows).files.count == 450)
    }
}
