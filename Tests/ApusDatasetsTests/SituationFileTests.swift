import Foundation
import Testing

@testable import ApusDatasets

/// The folder of the files, or `nil` when they are not there.
private func situationFolder() -> URL? {
    guard let folder = sharedFixtures("../cases/data")?.standardizedFileURL,
        FileManager.default.fileExists(atPath: folder.path)
    else { return nil }
    return folder
}

/// Data files that failed with somebody, which lie beside the checkout and are never part of it; without them these
/// tests are skipped.
@Suite("Files of situations", .enabled(if: situationFolder() != nil, "the files are not beside the checkout"))
struct SituationFileTests {
    private static func load(_ name: String) throws -> DatasetLoader.Loaded {
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        return try loader.load([try #require(situationFolder()).appending(path: name).path])
    }

    /// What a row says as question and answer.
    private static func pairs(_ pairs: (String, String)...) -> [[String]] {
        pairs.map { ["user: \($0.0)", "assistant: \($0.1)"] }
    }

    private static let conversations: [(name: String, rows: [[String]])] = [
        ("array-as.jsonl", pairs(("a", "x"), ("b", "y"))),
        ("bom-quoted.csv", pairs(("a", "b"))),
        ("bom.csv", pairs(("a", "one\r\nline two"), ("b", "say \"hi\", ok"), ("c", "three"))),
        ("bom.jsonl", pairs(("a", "one"), ("a", "two"))),
        ("caps.jsonl", pairs(("q", "a"))),
        ("cr.csv", pairs(("a", "b"), ("c", "d"))),
        ("emoji.jsonl", pairs(("👨‍👩‍👧‍👦🏳️‍🌈", "é vs é 👍🏽"))),
        ("good.jsonl", (0..<12).map { ["user: \($0)+\($0)?", "assistant: \(2 * $0)"] }),
        ("huge-int.jsonl", pairs(("a", "x"), ("a", "y"))),
        ("index-col.csv", pairs(("a", "b"), ("c", "d"))),
        ("instr-no-input.jsonl", pairs(("i", "o"))),
        ("instr-null-input.jsonl", pairs(("i", "o"))),
        ("lines-as.json", pairs(("a", "one"), ("a", "two"))),
        ("messages.csv", pairs(("q", "a"))),
        ("nan.jsonl", pairs(("a", "x"), ("a", "y"))),
        ("one-row.jsonl", pairs(("a", "b"))),
        ("semicolon.csv", pairs(("a", "one; two"), ("b", "three"))),
        ("space-names.jsonl", pairs(("q", "a"))),
        ("trl-prompt-completion.jsonl", pairs(("q", "a"))),
        ("tsv-as.csv", pairs(("a", "b, c"))),
        ("u2028.jsonl", pairs(("a\u{2028}b", "x\u{2029}y\u{85}z"), ("a", "two"))),
    ]

    @Test func conversationsAreReadWhole() throws {
        for (name, expected) in Self.conversations {
            do {
                let rows = try Self.load(name).train
                let read = try (0..<rows.count).map { transcript(try rows.conversation(at: $0)) }
                #expect(read.map { $0.map { Array($0.utf8) } } == expected.map { $0.map { Array($0.utf8) } }, "\(name)")
            } catch {
                Issue.record("\(name): \(error)")
            }
        }
    }

    @Test(arguments: [
        ("truncated.jsonl", "truncated.jsonl:2: not valid JSON at column 21"),
        ("zh-names.jsonl", "zh-names.jsonl:1: the row has columns 问题, 答案"),
    ])
    func whatCannotBeReadIsNamed(name: String, words: String) {
        #expect {
            try Self.load(name)
        } throws: {
            "\($0)".contains(words)
        }
    }

    /// Every row of every file is used, or told of by its line; a file of which no row can be used, by its name.
    @Test func nothingIsLostInSilence() throws {
        let folder = try #require(situationFolder())
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(names.count >= 128)
        for name in names {
            do {
                let loaded = try Self.load(name)
                let report = try #require(loaded.report.files.first, "\(name)")
                #expect(report.rowCount > 0 && loaded.train.count == report.usableCount, "\(name)")
                #expect(report.droppedRows.count == report.dropped.total, "\(name)")
                for row in report.droppedRows {
                    #expect(row.line > 0 && !row.reason.isEmpty && row.file.hasSuffix(name), "\(name)")
                }
                for index in 0..<loaded.train.count { _ = try loaded.train.conversation(at: index) }
            } catch {
                let text = "\(error)"
                #expect(error is DatasetError && text.contains(name), "\(name): \(text)")
            }
        }
    }
}
