import ApusFiles
import ApusFilesTesting
import ApusHub
import ApusHubTesting
import ApusJSON
import Foundation
import NIOHTTP1
import Testing

@testable import struct ApusHub.Subject

@Suite(.serialized) struct RefusalTests {
    /// One paragraph that says where, and holds some words.
    private func check(_ error: HubError?, _ kind: HubError.Kind, _ words: [String]) {
        #expect(error?.kind == kind, "\(String(describing: error))")
        let text = error?.description ?? ""
        #expect(!text.contains("\n") && text.hasSuffix("."))
        for word in words { #expect(text.contains(word), "\(word) is missing in: \(text)") }
    }

    @Test func whatIsMissingGatedOrForbiddenIsSaidInOneParagraph() async throws {
        let hub = try HubFixture()
        try hub.server.write("{}", to: "models/owner/gated/config.json")
        try hub.server.write(#"{"gated": true}"#, to: "models/owner/gated/.hub.json")
        try hub.server.write("{}", to: "models/owner/private/config.json")
        try hub.server.write(#"{"private": true}"#, to: "models/owner/private/.hub.json")
        func error(
            _ id: String, _ token: String? = nil, revision: String? = nil, on host: Hub = .huggingFace
        ) async throws -> HubError? {
            let repository = try hub.repository(id, on: host)
            return await hubError {
                try await hub.client(token: token).download(repository, revision: revision, FileChoice(.model))
            }
        }
        check(try await error("owner/nothing"), .notFound, ["no such model", "no token", "HF_TOKEN", "--use_hf false"])
        check(try await error("owner/nothing", "hf_good"), .notFound, ["the token may not see it"])
        check(try await error("owner/private", "hf_limited"), .notFound, ["private"])
        check(try await error("owner/nothing", on: .modelScope), .notFound, ["--use_hf true", "MODELSCOPE_API_TOKEN"])
        check(try await error("owner/gated"), .gated, ["conditions", "HF_TOKEN", "/owner/gated"])
        check(try await error("owner/gated", "hf_limited"), .gated, ["account whose token"])
        check(try await error("owner/gated", "hf_wrong"), .unauthorized, ["does not know the token"])
        check(try await error("owner/tiny-model.v1", revision: "v9"), .notFound, ["no revision \"v9\""])
        #expect(try await error("owner/gated", "hf_good") == nil)
        #expect(try await error("owner/private", "hf_good") == nil)
    }

    @Test func withoutANetworkItIsSaidAtOnce() async throws {
        // Where the machine is busy with other things, one of three times is quick.
        var seconds = Double.infinity
        for _ in 0..<3 where seconds >= 5 { seconds = min(seconds, try await secondsWithoutANetwork()) }
        #expect(seconds < 5)
    }

    private func secondsWithoutANetwork() async throws -> TimeInterval {
        var hub = try HubFixture()
        hub.configuration.huggingFace.endpoint = "http://127.0.0.1:9"
        let start = Date()
        var error = await hubError { try await hub.client().listing(of: hub.model) }
        check(error, .unreachable, ["127.0.0.1:9 cannot be reached", "tried 2 times", "HF_ENDPOINT", "--local_dir"])
        hub.configuration.huggingFace.endpoint = "https://hub.invalid"
        error = await hubError { try await hub.client().listing(of: hub.model) }
        check(error, .unreachable, ["hub.invalid"])
        hub.configuration.offlineReason = "HF_HUB_OFFLINE=1"
        error = await hubError { try await hub.client().listing(of: hub.model) }
        check(error, .offline, ["HF_HUB_OFFLINE=1"])
        return Date().timeIntervalSince(start)
    }

    @Test func aServerThatStaysOutOfOrderIsGivenUp() async throws {
        let hub = try HubFixture()
        try hub.server.rules(["match": "/revision/", "times": 99, "status": 503])
        let error = await hubError { try await hub.client().listing(of: hub.model) }
        check(error, .busy, ["503", "tried 5 times"])
        #expect(try hub.server.log().count == 5)
        try hub.server.rules(["match": "/revision/", "times": 99, "status": 429, "headers": ["Retry-After": "4000"]])
        let later = await hubError { try await hub.client().listing(of: hub.model) }
        check(later, .busy, ["429"])
        #expect(try hub.server.log().count == 1, "more than an hour is not waited")
    }

    @Test func aPageInTheHubsPlaceIsNoAnswer() async throws {
        let hub = try HubFixture()
        try hub.server.rules([
            "match": "/revision/", "times": 1, "status": 200, "text": "<html>Log in to the guest network",
        ])
        let error = await hubError { try await hub.client().listing(of: hub.model) }
        #expect(error?.kind == .invalid && error?.description.contains("no JSON") == true)
        try hub.server.rules([
            "match": "/revision/", "times": 99, "status": 302,
            "headers": ["Location": "/api/models/owner/x/revision/main"],
        ])
        let loop = await hubError { try await hub.client().listing(of: hub.model) }
        #expect(loop?.kind == .invalid && loop?.description.contains("redirects") == true)
    }

    @Test func pathsThatLeaveTheFolderAreRefused() async throws {
        let hub = try HubFixture()
        let entry =
            #"[{"type": "file", "path": "../../../evil", "size": 1, "oid": "0000000000000000000000000000000000000000"}]"#
        try hub.server.rules(.object(["match": "/tree/", "times": 1, "status": 200, "text": .string(entry)]))
        let error = await hubError { try await hub.client().download(hub.model, FileChoice(.all)) }
        #expect(error?.kind == .invalid && error?.description.contains("outside") == true)
    }

    @Test func aFullDiskIsSaidAndWhatHasComeIsKept() async throws {
        let hub = try HubFixture()
        let counting = FaultyFileSystem(LocalFileSystem(), failing: .once(0), atCall: 0)
        _ = try await hub.client(counting).download(hub.model, FileChoice(.model))
        try LocalFileSystem().removeTree(hub.configuration.huggingFace.cache)
        for call in stride(from: 1, to: counting.callCount, by: 7) {
            let full = FaultyFileSystem(LocalFileSystem(), failing: .persistent(ENOSPC), atCall: call)
            let error = await hubError { try await hub.client(full).download(hub.model, FileChoice(.model)) }
            guard let error else { continue }
            check(error, .disk, ["owner/tiny-model.v1", "No space left", "HF_HOME"])
        }
        let snapshot = try await hub.client().download(hub.model, FileChoice(.model))
        #expect(hub.contents(snapshot, "model.safetensors") == hub.weights)
    }

    @Test func spaceIsLookedAtBeforeAnythingIsFetched() async throws {
        let hub = try HubFixture()
        try hub.server.rules()
        let error = await hubError {
            try await hub.client(SmallDisk()).download(hub.model, FileChoice(.model))
        }
        check(error, .disk, ["3.0MiB are still to be downloaded", "1.0MiB free", "HF_HOME"])
        #expect(try hub.parts().isEmpty)
    }

    @Test func pausesAreReadInEveryForm() {
        let now = Date(timeIntervalSince1970: 1_700_000_000)
        #expect(Subject.pause(["Retry-After": "12"], now: now) == 12)
        #expect(Subject.pause(["Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"], now: now) == 30)
        #expect(Subject.pause(["RateLimit": "\"resolvers\";r=0;t=17"], now: now) == 17)
        #expect(Subject.pause([:], now: now) == nil)
        #expect(Subject.pause(["Retry-After": "soon"], now: now) == nil)
    }
}

/// A disk with room for one mebibyte.
private struct SmallDisk: FileSystem {
    private let base = LocalFileSystem()
    func createDirectory(_ path: String) throws { try base.createDirectory(path) }
    func open(_ path: String, _ mode: FileOpenMode) throws -> any OpenFile { try base.open(path, mode) }
    func synchronizeDirectory(_ path: String) throws { try base.synchronizeDirectory(path) }
    func rename(_ path: String, to newPath: String) throws { try base.rename(path, to: newPath) }
    func exchange(_ first: String, _ second: String) throws { try base.exchange(first, second) }
    func createSymbolicLink(_ path: String, to target: String) throws {
        try base.createSymbolicLink(path, to: target)
    }
    func removeFile(_ path: String) throws { try base.removeFile(path) }
    func removeDirectory(_ path: String) throws { try base.removeDirectory(path) }
    func contentsOfDirectory(_ path: String) throws -> [String] { try base.contentsOfDirectory(path) }
    func status(_ path: String) throws -> FileStatus? { try base.status(path) }
    func freeSpace(_ path: String) throws -> Int64 { 1 << 20 }
    func lock(_ path: String) throws -> (any FileLock)? { try base.lock(path) }
}
