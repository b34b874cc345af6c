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
        /// How often it was asked what decides beside the rows.
        let origins = Mutex(0)
        /// Done before the first row is encoded.
        let interruption = Mutex<(@Sendable () -> Void)?>(nil)
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
        var cache = SampleCache(
            folder: cacheFolder,
            origin: {
                record.origins.withLock { $0 += 1 }
                if origin.isEmpty { throw DatasetError("the tokenizer cannot be read") }
                return origin
            }, say: { text in record.said.withLock { $0.append(text) } })
        cache.leastRows = 1
        cache.patience = 0.1
        change(&cache)
        return try rows.tokenized(
            truncation: Truncation(maximumLength: length), threads: 2, cache: cached ? cache : nil
        ) { conversation in
            record.calls.withLock { $0 += 1 }
            record.interruption.withLock { interruption in
                interruption?()
                interruption = nil
            }
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
        #expect(try entries().count == 5)
    }

    /// What is encoded in a second is neither looked for nor kept, and nothing is digested for it.
    @Test func fewRowsHaveNoCache() throws {
        let rows = try rows()
        #expect(SampleCache(folder: "", origin: { "" }, say: { _ in }).leastRows == 5000)
        func used(_ leastRows: Int) throws -> (calls: Int, origins: Int) {
            let record = Record()
            _ = try encoded(rows, record) { $0.leastRows = leastRows }
            return (record.calls.withLock { $0 }, record.origins.withLock { $0 })
        }
        // 60 rows of JSON and 20 of the table, of which some come several times.
        #expect(try used(81) == (80, 0))
        #expect(!FileManager.default.fileExists(atPath: cacheFolder))
        // Before and after encoding.
        #expect(try used(80) == (80, 2))
        #expect(try used(80) == (0, 1))
        #expect(try used(81) == (80, 0))
    }

    @Test func whatCannotBeNamedIsNotKept() throws {
        let (rows, record) = (try rows(), Record())
        let anew = try encoded(rows, cached: false)
        expectEqual(try encoded(rows, record, origin: ""), anew)
        #expect(
            record.said.withLock { $0 }
                == ["note: encoded samples are not looked for and not kept: the tokenizer cannot be read"])
        #expect(!FileManager.default.fileExists(atPath: cacheFolder))
    }

    /// A file that is changed while its rows are encoded: where the change was seen nothing is kept, and what was kept is never
    /// taken for the rows that the file has now.
    @Test func whatChangesMeanwhileIsNotKept() throws {
        let (rows, record) = (try rows(note: String(repeating: ".", count: 1000)), Record())
        let path = folder.url.appending(path: "rows.jsonl").path
        record.interruption.withLock {
            $0 = {
                let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
                let handle = FileHandle(forUpdatingAtPath: path)
                try? handle?.write(contentsOf: Data(text.replacing(": \"q", with: ": \"Q").utf8))
                try? handle?.close()
            }
        }
        _ = try encoded(rows, record, length: 2000)
        let kept = ((try? entries()) ?? []).count
        let isTold = record.said.withLock { $0 }.contains { $0.hasSuffix("a file was changed while it was encoded") }
        #expect(kept == (isTold ? 0 : 1))
        let now = try DatasetLoader().load(["\(path)#150", folder.url.appending(path: "rows.csv").path]).train
        let wanted = try encoded(now, length: 2000, cached: false)
        expectEqual(try encoded(now, length: 2000), wanted)
        #expect(wanted.dataset.sample(0).ids.contains(Int32(UInt8(ascii: "Q"))))
    }

    /// Of two that write the same at once each has its samples, and one whole folder is left.
    @Test func twoWritersMeet() throws {
        let rows = try rows()
        let anew = try encoded(rows, cached: false)
        let records = (0..<4).map { _ in Record() }
        // It only names the folder.
        nonisolated(unsafe) let suite = self
        DispatchQueue.concurrentPerform(iterations: records.count) { number in
            do {
                suite.expectEqual(try suite.encoded(rows, records[number]) { $0.patience = 60 }, anew)
            } catch {
                Issue.record(error)
            }
        }
        #expect(records.allSatisfy { $0.said.withLock { $0.allSatisfy { $0.hasPrefix("encoded by") } } })
        #expect(try FileManager.default.contentsOfDirectory(atPath: cacheFolder).count == 1)
        let last = Record()
        expectEqual(try encoded(rows, last), anew)
        #expect(last.calls.withLock { $0 } == 0)
    }

    /// A file whose arrays do not belong together is refused, whatever its digest says.
    @Test func arraysAreChecked() throws {
        _ = try encoded(try rows())
        let path = "\(cacheFolder)/\(try #require(entries().first))/samples.bin"
        let whole = try Data(contentsOf: URL(filePath: path))
        var refused = 0
        for place in stride(from: 0, to: whole.count, by: 29) {
            var data = whole
            data[place] ^= 0x55
            let changed = try folder.write(String(), to: "changed.bin")
            try data.write(to: URL(filePath: changed))
            do {
                var file = try ArrayReader(changed, size: Int64(data.count), fileSystem: LocalFileSystem())
                var rows = try EncodedRows<TokenizedDataset>(from: &file)
                for number in 0..<rows.store.sequenceCount { rows.store.appendSample(sequence: Int32(number), row: 0) }
                for sample in rows.store.indices { _ = rows.store.sample(sample) }
            } catch {
                refused += 1
            }
        }
        #expect(refused > 20)
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
        let cache = SampleCache(folder: cacheFolder, origin: { "origin" }, say: { _ in })
        #expect(throws: DatasetError.self) {
            try rows.tokenized(
                truncation: Truncation(maximumLength: 40), isStrict: true, cache: cache, encode: byteEncoding)
        }
    }
}
