import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

/// Rows and files of formats beside the common ones, and what is said of rows that are left out.
@Suite struct RowFormatTests {
    private func transcripts(_ text: String, _ name: String) throws -> [[String]] {
        let folder = try TemporaryFolder()
        let loader = DatasetLoader()
        var plain = loader
        plain.shufflesTraining = false
        let rows = try plain.load([folder.write(text, to: name)]).train
        return try (0..<rows.count).map { transcript(try rows.conversation(at: $0)) }
    }

    @Test func aListOfMessagesIsOneConversation() throws {
        let list = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]"#
        let expected = [["user: q", "assistant: a"]]
        #expect(try transcripts(list, "rows.json") == expected)
        #expect(try transcripts(list, "rows.jsonl") == expected)
        #expect(try transcripts(list + "\n" + list, "rows.jsonl") == expected + expected)
        #expect(try transcripts("[\(list), \(list)]", "rows.json") == expected + expected)
    }

    @Test func aRowThatIsOneMessageIsRefused() throws {
        let reason = try rejection(#"{"role": "user", "content": "q"}"#)?.reason
        #expect(reason == "a row is a single message")
    }

    @Test func linesOfTextAreSamples() throws {
        #expect(
            try transcripts("one\n\n two\r\nthree", "book.txt") == [
                ["assistant: one"], ["assistant:  two"], ["assistant: three"],
            ])
    }

    /// Tabs and bars make no table of a text whose first line names no column.
    @Test(arguments: ["\t", "||b||"])
    func linesWithTabsAreTexts(_ separator: String) throws {
        let folder = try TemporaryFolder()
        let lines = ["a\(separator)b", "c\(separator)d", "e\(separator)f"]
        let path = try folder.write(lines.joined(separator: "\n"), to: "book.txt")
        let file = try RowFile(path: path, knowsShapes: false)
        #expect(try (0..<file.count).map { try file.value(at: $0)["text"]?.stringValue } == lines)
        #expect(file.note?.hasPrefix("each line is a text") == true)
        let table = try folder.write("query\(separator)response\nq\(separator)a\n", to: "table.txt")
        #expect(try RowFile(path: table, knowsShapes: false).value(at: 0)["response"] == "a")
        #expect(try RowFile(path: path, columns: ["0", "1"], knowsShapes: false).value(at: 0)["0"] == "a")
        // Texts with labels are tables without names as well.
        #expect(try RowFile(path: folder.write("good\t1\nbad\t0", to: "labels.txt")).value(at: 1)["label"] == "0")
    }

    @Test func fieldsBetweenDoubleBarsAreATable() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("t-1||a | b||c||5\nt-2||d||e||0\n", to: "pairs.txt")
        let file = try RowFile(path: path)
        #expect(try file.value(at: 0) == ["id": "t-1", "sentence1": "a | b", "sentence2": "c", "score": "5"])
        #expect(file.note?.hasPrefix("a table with '||' between its fields; no row with names of columns") == true)
    }

    @Test(.enabled(if: sharedFixtures("data/cnsd-sts") != nil))
    func chineseSimilarityIsReadWhole() throws {
        let path = try #require(sharedFixtures("data/cnsd-sts/cnsd-sts-dev.txt")).path
        let rows = try DatasetLoader().load(
            [path], as: LabelledRecognizer(LabelledRecognizer.Options())
        ).train
        #expect(rows.count > 1400)
    }

    @Test func promptsAreMadeOfColumns() throws {
        let row = #"{"Context": "C", "question": "Q", "answer": "A", "id": 3, "full answer": "F", "n": 1.5}"#
        var options = ConversationRecognizer.Options()
        #expect(try transcript(recognize(row, options).row) == ["user: Q", "assistant: A"])
        #expect(try recognize(row, options).unusedColumns == ["Context", "id", "full answer", "n"])
        options.promptFormat = try PromptFormat("{context}\n{question} {{{n}}}")
        let result = try recognize(row, options)
        #expect(transcript(result.row) == ["user: C\nQ {1.5}", "assistant: A"])
        #expect(result.unusedColumns == ["id", "full answer"])
        // They stay the row's, so that answers can be joined with what they were asked for.
        #expect(result.row.otherColumns.keys == ["Context", "question", "id", "full answer", "n"])
        #expect(result.row.otherColumns["question"] == "Q")
        options.columns = ["question": "query"]
        let renamed = try recognize(row, options)
        #expect(transcript(renamed.row) == ["user: C\nQ {1.5}", "assistant: A"])
        #expect(renamed.row.otherColumns.keys == ["Context", "query", "id", "full answer", "n"])
        #expect(renamed.unusedColumns == ["id", "full answer"])
        options.promptFormat = try PromptFormat("{missing}")
        #expect(try rejection(row, options)?.detail?.hasPrefix("\"missing\"; it has columns Context") == true)
        for wrong in ["no column", "{open", "close}", "{}", "{a{b}}"] {
            #expect(throws: DatasetError.self, "\(wrong)") { try PromptFormat(wrong) }
        }
    }

    @Test func rowsThatAreLeftOutAreListed() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            #"{"query": "q", "response": "a"}"# + "\n" + #"{"x": 1}"# + "\n\n" + #"{"query": "q"}"# + "\n",
            to: "rows.jsonl")
        let report = try DatasetLoader().load([path]).report
        #expect(report.files[0].droppedRows.map(\.line) == [2, 4])
        #expect(report.files[0].droppedRows[0].json["file"] == .string(path))
        #expect(report.droppedShare == 2.0 / 3)
        #expect {
            try DroppedShare.check(report.droppedShare, limit: 0.5, rows: report.files[0].droppedRows)
        } throws: { error in
            "\(error)".contains("67 % of the rows cannot be used, more than the 50 %")
                && "\(error)".contains("--max_dropped_ratio")
        }
    }

    @Test func textIsSplitIntoSamples() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(#"{"text": "abcdefghij"}"#, to: "rows.jsonl")
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let rows = try loader.load([path, path]).train
        let (data, report) = try rows.tokenized(
            truncation: Truncation(maximumLength: 4, strategy: .split)
        ) { conversation in
            let ids = (conversation.messages[0].text ?? "").utf8.map { Int32($0) }
            return EncodedConversation(ids: ids, isTrained: ids.map { _ in true })
        }
        #expect(
            (0..<data.count).map { byteDecoding(data.sample($0).ids) } == ["abcd", "efgh", "ij", "abcd", "efgh", "ij"])
        #expect(data.sample(1).isTrained == [false, true, true, true])
        #expect(data.conversations == [0, 0, 0, 1, 1, 1])
        #expect(report.notes.entries.map(\.reason) == ["split to max_length 4 (--truncation_strategy split)"])
    }
}
