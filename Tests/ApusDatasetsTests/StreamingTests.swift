import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

/// Rows that are read while a run goes on.
@Suite struct StreamingTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = try folder.write(Self.rows(300), to: "rows.jsonl")
    }

    private static func rows(_ count: Int) -> String {
        (0..<count).map { #"{"query": "q\#($0)", "response": "\#(String(repeating: "a", count: $0 % 23))\#($0)"}"# }
            .joined(separator: "\n")
    }

    private func stream(
        _ words: [String]? = nil, change: (inout StreamedDataset.Options) -> Void = { _ in }
    ) throws -> StreamedDataset {
        var options = StreamedDataset.Options(truncation: try Truncation())
        options.window = 4
        change(&options)
        return try StreamedDataset(
            words ?? [path], as: ConversationRecognizer(.init()), options: options, encode: byteEncoding)
    }

    private func texts(_ stream: StreamedDataset, _ indices: Range<Int>) throws -> [String] {
        try indices.map { index in
            try stream.prepare([index])
            return stream.samples(index).map { byteDecoding($0.ids) }.joined(separator: "+")
        }
    }

    @Test func withoutABufferRowsComeInTheirOrder() throws {
        let made = try texts(stream { $0.bufferSize = 1 }, 0..<300)
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let whole = try loader.load([path]).train.tokenized(truncation: Truncation(), encode: byteEncoding).dataset
        #expect(made == (0..<300).map { byteDecoding(whole.sample($0).ids) })
    }

    @Test func endsOfPassesAreFound() throws {
        // 300 rows.
        for isPacked in [false, true] {
            let stream = try stream { if isPacked { $0.packing = (200, .sequential) } }
            var end = 1
            while try !stream.hasEnded(epochs: 1, within: end) { end += 1 }
            if !isPacked { #expect(end == 300) }
            #expect(try !stream.hasEnded(epochs: 2, within: end))
            #expect(try stream.hasEnded(epochs: 2, within: 600))
            #expect(try !stream.hasEnded(epochs: 1, within: end - 1))
        }
    }

    @Test func rowsAreShuffledAndComeAgainInAnotherOrder() throws {
        let stream = try stream { $0.bufferSize = 50 }
        let (first, second) = (try texts(stream, 0..<300), try texts(stream, 300..<600))
        #expect(first.sorted() == second.sorted())
        #expect(first != second)
        #expect(Set(first).count == 300)
    }

    /// What a sample is depends on nothing that was asked for before, nor on the number of threads.
    @Test func aSampleIsAFunctionOfItsNumber() throws {
        func made(_ threads: Int, packing: Bool) throws -> StreamedDataset {
            try stream {
                $0.threads = threads
                if packing { $0.packing = (200, .binPacking) }
            }
        }
        for packing in [false, true] {
            let expected = try texts(made(1, packing: packing), 0..<90)
            let other = try made(3, packing: packing)
            #expect(try texts(other, 80..<90) == Array(expected[80...]))
            #expect(try texts(other, 3..<9) == Array(expected[3..<9]))
        }
    }

    @Test func packsHoldEverySampleOnce() throws {
        let stream = try stream { $0.packing = (300, .binPacking) }
        var seen: [String] = []
        var index = 0
        while seen.count < 300 {
            try stream.prepare([index])
            let samples = stream.samples(index)
            #expect(samples.reduce(0) { $0 + $1.ids.count } <= 300)
            seen += samples.map { byteDecoding($0.ids) }
            index += 1
        }
        #expect(Set(seen).count == 300)
        #expect(stream.place(of: index - 1).contains("rows.jsonl:"))
    }

    @Test func rowsThatCannotBeUsedAreReportedOnce() throws {
        let bad = try folder.write(Self.rows(40) + "\n{\"x\": 1}\n", to: "bad.jsonl")
        let stream = try stream([bad])
        _ = try texts(stream, 0..<130)
        try stream.prepare([0])
        _ = try texts(stream, 0..<130)
        #expect(stream.dropped.map(\.line) == [41])
        #expect(throws: DatasetError.self) { try self.stream([bad]) { $0.isStrict = true }.prepare([50]) }
    }

    @Test func nothingToUseIsAnError() throws {
        let bad = try folder.write("{\"x\": 1}\n", to: "none.jsonl")
        #expect {
            try stream([bad]).prepare([0])
        } throws: { error in
            "\(error)".contains("no row of") && "\(error)".contains("none.jsonl:1")
        }
    }

    @Test func countsAndOtherFormats() throws {
        let table = try folder.write("query,response\nq,a\nr,b\n", to: "rows.csv")
        let text = try folder.write("one\n\ntwo\n", to: "book.txt")
        let made = try texts(stream([table, text, "\(path)#3"]) { $0.bufferSize = 1 }, 0..<8)
        #expect(made[0].contains("q\0assistanta"))
        #expect(made[2...3] == ["assistantone\0", "assistanttwo\0"])
        #expect(made[7] == made[0])
    }

    /// A stream reads the files that a run without one reads, and refuses the same.
    @Test func beginningsAreLookedAt() throws {
        let rows = #"{"query": "q", "response": "a"}"# + ",\n" + #"{"query": "r", "response": "a"}"#
        let turns = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]"#
        for (name, text) in [
            ("array.jsonl", "\u{FEFF}\n [\(rows)]\n"),
            ("turns.jsonl", turns + "\n" + turns.replacing("\"q\"", with: "\"r\"")),
        ] {
            let path = try folder.write(text, to: name)
            let made = try texts(stream([path]) { $0.bufferSize = 1 }, 0..<2)
            #expect(made == ["userq\0assistanta\0", "userr\0assistanta\0"], "\(name)")
        }
        for (name, data, reason) in [
            ("pointer.jsonl", Data("version https://git-lfs.github.com/spec/v1\noid x\n".utf8), "a git-lfs pointer"),
            ("utf16.jsonl", Data([0xFF, 0xFE, 0x7B, 0]), "is UTF-16"),
            ("utf16.txt", Data([0xFE, 0xFF, 0, 0x7B]), "is UTF-16"),
            ("twice.txt", Data("query\tquery\nq\ta\n".utf8), "two columns are called"),
        ] {
            let path = try folder.write(data, to: name)
            #expect {
                try stream([path]).prepare([0])
            } throws: { error in
                "\(error)".contains("\(name)") && "\(error)".contains(reason)
            }
        }
    }

    /// Lines of any length, ends of any kind, and a mark at the beginning.
    @Test func linesAreReadAsTheyLie() throws {
        let long = String(repeating: "x", count: 3_000_000)
        let file = try folder.write("\u{FEFF}a\r\n\r\nb\rc\n  \n\(long)\nend", to: "lines.txt")
        let reader = try LineReader(path: file)
        var lines: [(String, Int)] = []
        while let line = try reader.next() { lines.append((String(decoding: line, as: UTF8.self), reader.line)) }
        #expect(lines.map(\.0) == ["a", "b", "c", long, "end"])
        #expect(lines.map(\.1) == [1, 3, 4, 6, 7])
    }
}
