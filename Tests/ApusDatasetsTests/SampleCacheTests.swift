import ApusFiles
import ApusText
import Foundation
import Synchronization
import Testing

@testable import ApusDatasets

/// Rows that were encoded once are found again, and are what encoding anew gives.
@Suite struct SampleCacheTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// What a cache said, and how many rows were encoded.
    private final class Record: Sendable {
        let said = Mutex<[String]>([])
        let calls = Mutex(0)
    }

    private var cacheFolder: String { folder.url.appending(path: "kept").path }

    private func entries() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: cacheFolder).filter { !$0.hasPrefix(".") }.sorted()
    }

    /// Rows of two forms, some too long, one of them with weights of its own and a channel, some without an answer.
    private func rows(_ change: (inout DatasetLoader) -> Void = { _ in }, note: String = "") throws
        -> ConversationDataset
    {
        let lines = (0..<60).map { row in
            let text = String(repeating: "x", count: row % 7 == 0 ? 90 : row % 5)
            return #"{"messages": [{"role": "user", "content": "q\#(row)\#(note)"}, {"role": "assistant", "content": ""#
                + #"\#(text)!", "loss_scale": \#(row % 4 == 0 ? 0.5 : 1)}]"#
                + (row % 3 == 0 ? #", "channel": "c\#(row % 2)"}"# : "}") + "\n"
        }
        let json = try folder.write(lines.joined(), to: "rows.jsonl")
        let table = try folder.write(
            "query,response\n" + (0..<20).map { "t\($0),\($0 % 6 == 0 ? "" : "a")\n" }.joined(), to: "rows.csv")
        var loader = DatasetLoader()
        change(&loader)
        return try loader.load(["\(json)#150", table]).train
    }

    private func encoded(
        _ rows: ConversationDataset, _ record: Record = Record(), origin: String = "origin", length: Int = 40,
        cached: Bool = true, _ change: (inout SampleCache) -> Void = { _ in }
    ) throws -> (dataset: TokenizedDataset, report: EncodingReport) {
        var cache = SampleCache(folder: cacheFolder, origin: origin) { text in record.said.withLock { $0.append(text) }
        }
        cache.leastRows = 1
        cache.patience = 0.1
        change(&cache)
        return try rows.tokenized(
            truncation: Truncation(maximumLength: length), threads: 2, cache: cached ? cache : nil
        ) { conversation in
            record.calls.withLock { $0 += 1 }
            var encoded = try byteEncoding(conversation)
            encoded.channel = conversation.channel
            let weight = conversation.messages.last?.weight ?? 1
            encoded.weights = encoded.weights.map { $0 * weight }
            if encoded.ids.count % 5 == 0 { encoded.notes = ["a length that five divides"] }
            return encoded
        }
    }

    private func expectEqual(
        _ one: (dataset: TokenizedDataset, report: EncodingReport),
        _ other: (dataset: TokenizedDataset, report: EncodingReport)
    ) {
        #expect(one.report == other.report)
        #expect(one.dataset.conversations == other.dataset.conversations)
        #expect(one.dataset.indices.map(one.dataset.sample) == other.dataset.indices.map(other.dataset.sample))
    }

    @Test func whatIsFoundIsWhatEncodingGives() throws {
        let rows = try rows()
        let anew = try encoded(rows, cached: false)
        #expect(anew.report.dropped.total > 0 && anew.report.notes.total > 0)
        #expect(anew.dataset.indices.contains { anew.dataset.sample($0).weights != nil })
        #expect(anew.dataset.indices.contains { anew.dataset.sample($0).channel != nil })
        let (first, second) = (Record(), Record())
        expectEqual(try encoded(rows, first), anew)
        #expect(first.calls.withLock { $0 } > 0)
        expectEqual(try encoded(rows, second), anew)
        #expect(second.calls.withLock { $0 } == 0)
        #expect(second.said.withLock { $0 }.first?.hasPrefix("encoded by an earlier run: \(cacheFolder)/") == true)
        // The file may have another name: places are those of this run.
        let moved = folder.url.appending(path: "other.csv").path
        try FileManager.default.copyItem(atPath: folder.url.appending(path: "rows.csv").path, toPath: moved)
        let (json, third) = (folder.url.appending(path: "rows.jsonl").path, Record())
        let renamed = try encoded(try DatasetLoader().load(["\(json)#150", moved]).train, third)
        #expect(third.calls.withLock { $0 } == 0)
        #expect(renamed.dataset.indices.map(renamed.dataset.sample) == anew.dataset.indices.map(anew.dataset.sample))
        #expect(renamed.report.text == anew.report.text.replacing("/rows.csv:", with: "/other.csv:"))
    }

    @Test func anythingElseIsEncodedAnew() throws {
        _ = try encoded(try rows())
        func calls(_ body: (Record) throws -> Void) throws -> Int {
            let record = Record()
            try body(record)
            return record.calls.withLock { $0 }
        }
        #expect(try calls { _ = try encoded(try rows(), $0) } == 0)
        #expect(try calls { _ = try encoded(try rows(), $0, origin: "other") } > 0)
        #expect(try calls { _ = try encoded(try rows(), $0, length: 41) } > 0)
        #expect(try calls { _ = try encoded(try rows { $0.seed = 7 }, $0) } > 0)
        #expect(try calls { _ = try encoded(try rows(note: "."), $0) } > 0)
        #expect(try calls { _ = try encoded(try rows(), $0) { $0.leastRows = 81 } } > 0)
        #expect(try entries().count == 5)
    }

    @Test(arguments: ["", "samples.bin", "MANIFEST.json", "end"])
    func damageIsSeen(file: String) throws {
        let rows = try rows()
        let anew = try encoded(rows)
        let entry = "\(cacheFolder)/\(try #require(entries().first))"
        if file == "end" {
            let handle = try FileHandle(forWritingTo: URL(filePath: "\(entry)/samples.bin"))
            try handle.truncate(atOffset: 100)
            try handle.close()
        } else if file.isEmpty {
            try FileManager.default.removeItem(atPath: "\(entry)/samples.bin")
        } else {
            var data = try Data(contentsOf: URL(filePath: "\(entry)/\(file)"))
            data[data.count / 2] ^= 1
            try data.write(to: URL(filePath: "\(entry)/\(file)"))
        }
        let (second, third) = (Record(), Record())
        expectEqual(try encoded(rows, second), anew)
        #expect(second.calls.withLock { $0 } > 0)
        #expect(second.said.withLock { $0 }.contains { $0.contains("is damaged, and the rows are encoded anew") })
        expectEqual(try encoded(rows, third), anew)
        #expect(third.calls.withLock { $0 } == 0)
    }

    @Test func theOldestAreRemoved() throws {
        let rows = try rows()
        let size = try {
            _ = try encoded(rows, origin: "0")
            let entry = try #require(entries().first)
            return try FileManager.default.contentsOfDirectory(atPath: "\(cacheFolder)/\(entry)").reduce(Int64(0)) {
                $0 + (try LocalFileSystem().status("\(cacheFolder)/\(entry)/\($1)")?.size ?? 0)
            }
        }()
        let first = try entries()
        _ = try encoded(rows, origin: "1")
        let second = try entries().filter { !first.contains($0) }
        // The first was used last.
        for (names, age) in [(first, 50.0), (second, 100.0)] {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: "\(cacheFolder)/\(names[0])")
        }
        _ = try encoded(rows, origin: "2") { $0.capacity = size * 5 / 2 }
        let left = try entries()
        #expect(left.count == 2 && left.contains(first[0]) && !left.contains(second[0]))
        // What does not fit is not written.
        _ = try encoded(rows, origin: "3") { $0.capacity = 100 }
        #expect(try entries() == left)
    }

    @Test func aFolderThatCannotBeUsedIsPassedOver() throws {
        let rows = try rows()
        let anew = try encoded(rows)
        let lock = try #require(try LocalFileSystem().lock(cacheFolder))
        let second = Record()
        expectEqual(try encoded(rows, second), anew)
        #expect(second.calls.withLock { $0 } > 0)
        #expect(second.said.withLock { $0 }.contains { $0.contains("another process has had it") })
        lock.release()
        try FileManager.default.removeItem(atPath: cacheFolder)
        _ = try folder.write("a file", to: "kept")
        let third = Record()
        expectEqual(try encoded(rows, third), anew)
        #expect(third.said.withLock { $0 }.contains { $0.contains("not kept for a later run") })
    }

    @Test func strictRunsStopAtTheRowsThatOthersLeaveOut() throws {
        let rows = try rows()
        _ = try encoded(rows)
        let cache = SampleCache(folder: cacheFolder, origin: "origin") { _ in }
        #expect(throws: DatasetError.self) {
            try rows.tokenized(
                truncation: Truncation(maximumLength: 40), isStrict: true, cache: cache, encode: byteEncoding)
        }
    }
}
