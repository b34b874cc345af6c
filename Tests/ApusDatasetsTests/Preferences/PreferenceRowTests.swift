import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

@Suite("Rows become pairs of answers")
struct PreferenceRowTests {
    private func recognize(_ json: String, columns: [String: String] = [:]) throws -> RecognizedRow<PreferenceRow> {
        var options = ConversationRecognizer.Options()
        options.columns = columns
        return try PreferenceRecognizer(options).recognize(JSONValue(parsing: json))
    }

    private func transcript(_ conversation: Conversation) -> String {
        conversation.messages.map { "\($0.role): \($0.text ?? "")" }.joined(separator: " | ")
    }

    private static let question = #"[{"role": "user", "content": "Q"}"#
    private static let answered = question + #", {"role": "assistant", "content": "A"}]"#

    @Test(arguments: [
        (#"{"messages": \#(answered), "rejected_response": "B"}"#, "user: Q | assistant: A", "user: Q | assistant: B"),
        (
            #"{"messages": \#(answered), "rejected_response": [{"role": "assistant", "content": "B"}]}"#,
            "user: Q | assistant: A", "user: Q | assistant: B"
        ),
        (
            #"{"messages": \#(answered), "rejected_messages": [{"role": "user", "content": "R"}, {"role": "assistant", "content": "B"}]}"#,
            "user: Q | assistant: A", "user: R | assistant: B"
        ),
        (
            #"{"system": "S", "query": "Q", "response": "A", "rejected_response": "B", "history": [["P", "O"]]}"#,
            "system: S | user: P | assistant: O | user: Q | assistant: A",
            "system: S | user: P | assistant: O | user: Q | assistant: B"
        ),
        (#"{"prompt": "Q", "chosen": "A", "rejected": "B"}"#, "user: Q | assistant: A", "user: Q | assistant: B"),
        (
            #"{"system": "S", "question": "Q", "chosen": "A", "rejected": "B"}"#,
            "system: S | user: Q | assistant: A", "system: S | user: Q | assistant: B"
        ),
        (
            #"{"prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}], "chosen": [{"role": "assistant", "content": "A"}], "rejected": [{"role": "assistant", "content": "B"}]}"#,
            "system: S | user: Q | assistant: A", "system: S | user: Q | assistant: B"
        ),
        (
            #"{"prompt": "Q", "chosen": \#(answered), "rejected": \#(question), {"role": "assistant", "content": "B"}], "messages": \#(answered), "score_chosen": 8.5}"#,
            "user: Q | assistant: A", "user: Q | assistant: B"
        ),
        (
            #"{"chosen": \#(answered), "rejected": \#(question), {"role": "assistant", "content": "B"}], "system": "S"}"#,
            "system: S | user: Q | assistant: A", "system: S | user: Q | assistant: B"
        ),
        (
            #"{"conversations": [{"from": "human", "value": "Q"}], "chosen": {"from": "gpt", "value": "A"}, "rejected": {"from": "gpt", "value": "B"}}"#,
            "user: Q | assistant: A", "user: Q | assistant: B"
        ),
        (
            #"{"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B\n\nHuman: R\n\nAssistant: C"}"#,
            "user: Q | assistant: A", "user: Q | assistant: B | user: R | assistant: C"
        ),
        (
            #"{"instruction": "I", "input": "X", "output": "A", "rejected": "B"}"#, "user: I\nX | assistant: A",
            "user: I\nX | assistant: B"
        ),
    ])
    func formatsAreRecognised(_ json: String, _ chosen: String, _ rejected: String) throws {
        let row = try recognize(json).row
        #expect(transcript(row.chosen) == chosen)
        #expect(transcript(row.rejected) == rejected)
    }

    @Test(arguments: [
        (#"{"messages": \#(answered)}"#, "no rejected answer"),
        (#"{"messages": \#(answered), "rejected_response": null}"#, "no rejected answer"),
        (#"{"messages": \#(answered), "rejected_response": "A"}"#, "the chosen and the rejected answer are the same"),
        (#"{"prompt": "Q", "chosen": "A", "rejected": "A"}"#, "the chosen and the rejected answer are the same"),
        (#"{"prompt": "Q", "rejected": "B"}"#, "no chosen answer"),
        (#"{"chosen": "A", "rejected": "B"}"#, "answers without a question"),
        (
            #"{"messages": \#(answered), "chosen": "C", "rejected": "B"}"#,
            "an answer in the messages beside a chosen one"
        ),
        (#"{"prompt": "Q", "chosen": "A", "rejected": 7}"#, "the rejected answer is neither a text nor messages"),
        (#"{"prompt": "Q", "chosen": [], "rejected": "B"}"#, "the list of chosen answers is empty"),
        (
            #"{"prompt": "Q", "chosen": "A", "rejected": \#(question)]}"#,
            "the rejected conversation does not end with an answer"
        ),
        (#"{"prompt": "Q", "chosen": "A", "rejected": "B", "margin": "much"}"#, "the margin is not a finite number"),
        (#"[1]"#, "a row is not a JSON object"),
    ])
    func faultsHaveReasons(_ json: String, _ reason: String) throws {
        let rejection = #expect(throws: RowRejection.self) { try recognize(json) }
        #expect(rejection?.reason == reason)
    }

    /// A list of what is rejected follows the prompt, a text the tools that were called.
    @Test func rejectedListsFollowThePrompt() throws {
        let call = #"{"type": "function", "function": {"name": "f", "arguments": {}}}"#
        let calls = #"{"role": "assistant", "tool_calls": [\#(call)]}, {"role": "tool", "content": "12"}"#
        let answer = #"{"role": "assistant", "content": "A"}"#
        let list = #"[{"role": "assistant", "content": "B"}]"#
        let (asked, short) = ("user: Q | assistant:  | tool: 12 | assistant: B", "user: Q | assistant: B")
        for (json, rejected) in [
            (#""prompt": \#(Self.question)], "chosen": [\#(calls), \#(answer)], "rejected": \#(list)"#, short),
            (#""prompt": \#(Self.question)], "chosen": [\#(calls), \#(answer)], "rejected": "B""#, asked),
            (#""prompt": \#(Self.question), \#(calls)], "chosen": [\#(answer)], "rejected": \#(list)"#, asked),
            (#""messages": \#(Self.question), \#(calls), \#(answer)], "rejected_response": \#(list)"#, short),
            (#""messages": \#(Self.question), \#(calls), \#(answer)], "rejected_response": "B""#, asked),
            (
                #""messages": \#(Self.question), \#(calls), \#(answer)], "rejected_response": {"role": "assistant", "content": "B"}"#,
                asked
            ),
        ] {
            let row = try recognize("{\(json)}").row
            #expect(transcript(row.chosen) == "user: Q | assistant:  | tool: 12 | assistant: A", "\(json)")
            #expect(transcript(row.rejected) == rejected, "\(json)")
            #expect(row.rejected.messages[1].toolCalls.count == (rejected == asked ? 1 : 0), "\(json)")
        }
        let system = #"[{"role": "system", "content": "S"}, \#(answer)]"#
        let row = try recognize(#"{"messages": \#(system), "rejected_response": \#(list)}"#).row
        #expect(transcript(row.rejected) == "system: S | assistant: B")
    }

    /// What stands beside whole answers belongs to them, or is refused as anywhere.
    @Test func wholeAnswersWithTools() throws {
        let chosen = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "yes"}]"#
        let rejected = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "no"}]"#
        let tools = #"[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]"#
        let row = try recognize(#"{"chosen": \#(chosen), "rejected": \#(rejected), "tools": \#(tools), "system": "s"}"#)
        for conversation in [row.row.chosen, row.row.rejected] {
            #expect(conversation.tools?.count == 1)
            #expect(conversation.messages.map(\.role) == ["system", "user", "assistant"])
        }
        #expect(throws: RowRejection.self) {
            try recognize(#"{"chosen": \#(chosen), "rejected": \#(rejected), "images": ["a.png"]}"#)
        }
    }

    @Test func marginsColumnsAndNotes() throws {
        #expect(try recognize(#"{"prompt": "Q", "chosen": "A", "rejected": "B", "margin": 0.5}"#).row.margin == 0.5)
        #expect(try recognize(#"{"prompt": "Q", "chosen": "A", "rejected": "B"}"#).row.margin == nil)
        let renamed = try recognize(
            #"{"frage": "Q", "gut": "A", "schlecht": "B"}"#,
            columns: ["frage": "query", "gut": "response", "schlecht": "rejected_response"])
        #expect(transcript(renamed.row.rejected) == "user: Q | assistant: B")
        let several = try recognize(#"{"prompt": "Q", "chosen": "A", "rejected": ["B", "C"]}"#)
        #expect(transcript(several.row.rejected) == "user: Q | assistant: B")
        #expect(several.notes == ["several answers in a list (the first is used)"])
    }

    @Test(arguments: [
        ("true", true), ("false", false), ("1", true), ("0", false), (#""True""#, true), (#""false""#, false),
    ])
    func judgements(_ label: String, _ isGood: Bool) throws {
        let recognizer = try JudgedRecognizer(ConversationRecognizer.Options())
        for name in ["label", "kto_tag"] {
            let row = try recognizer.recognize(
                JSONValue(parsing: #"{"prompt": "Q", "completion": "A", "\#(name)": \#(label)}"#))
            #expect(row.row.isGood == isGood)
            #expect(transcript(row.row.conversation) == "user: Q | assistant: A")
        }
    }

    @Test(arguments: [
        (#"{"prompt": "Q", "completion": "A"}"#, "no label"),
        (#"{"prompt": "Q", "completion": "A", "label": "good"}"#, "the label is neither true nor false"),
        (#"{"prompt": "Q", "completion": "A", "label": 2}"#, "the label is neither true nor false"),
        (#"{"prompt": "Q", "label": true}"#, "no assistant message to learn from"),
    ])
    func judgementsThatAreNone(_ json: String, _ reason: String) throws {
        let recognizer = try JudgedRecognizer(ConversationRecognizer.Options())
        let rejection = #expect(throws: RowRejection.self) { try recognizer.recognize(JSONValue(parsing: json)) }
        #expect(rejection?.reason == reason)
    }

    // MARK: - Cutting

    private func tokens(_ ids: [Int32], learned: Int) -> AnswerTokens {
        AnswerTokens(
            EncodedConversation(ids: ids, weights: ids.indices.map { $0 < ids.count - learned ? 0 : 1 }))
    }

    @Test func pairsAreCutAsPairs() throws {
        let (question, long, short): ([Int32], [Int32], [Int32]) = ([1, 2, 3, 4, 5], [6, 7, 8], [9])
        func cut(_ length: Int, _ strategy: TruncationStrategy) throws -> (AnswerTokens, AnswerTokens, [String]) {
            var (a, b) = (tokens(question + long, learned: 3), tokens(question + short, learned: 1))
            let notes = try Truncation(maximumLength: length, strategy: strategy).cut(&a, &b)
            return (a, b, notes)
        }
        let left = try cut(6, .left)
        #expect(left.0.ids == [3, 4, 5, 6, 7, 8] && left.1.ids == [3, 4, 5, 9] && left.2.count == 1)
        #expect(left.0.isTrained == [false, false, false, true, true, true])
        let right = try cut(6, .right)
        #expect(right.0.ids == [1, 2, 3, 4, 5, 6] && right.1.ids == [1, 2, 3, 4, 5, 9])
        #expect(try cut(8, .delete).2.isEmpty)
        #expect(throws: RowRejection.self) { try cut(7, .delete) }
        // Of the question something has to stay.
        #expect(throws: RowRejection.self) { try cut(3, .left) }
    }

    // MARK: - Stores

    @Test func samplesComeBack() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("pairs-\(UUID()).jsonl")
        defer { try? FileManager.default.removeItem(at: file) }
        let rows = (0..<7).map {
            #"{"prompt": "q\#($0)", "chosen": "a\#($0)", "rejected": "longer b\#($0)", "margin": \#($0)}"#
        }
        try Data(((rows + [#"{"prompt": "q", "chosen": "x", "rejected": "x"}"#]).joined(separator: "\n")).utf8)
            .write(to: file)
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let loaded = try loader.load(
            ["\(file.path)#9"], as: PreferenceRecognizer(ConversationRecognizer.Options()))
        #expect(loaded.report.files[0].dropped.total == 1)
        // A token is a byte, and what is learned is the answer.
        @Sendable func encode(_ conversation: Conversation) -> EncodedConversation {
            let texts = conversation.messages.map { Array(($0.text ?? "").utf8) }
            return EncodedConversation(
                ids: texts.flatMap { $0 }.map(Int32.init),
                weights: zip(conversation.messages, texts).flatMap { message, text in
                    text.map { _ in message.role == "assistant" ? Float(1) : 0 }
                })
        }
        for threads in [1, 3] {
            let (data, report) = try loaded.train.paired(
                truncation: Truncation(maximumLength: 40), threads: threads, encode: { encode($0) })
            #expect(data.count == 9 && report.dropped.total == 0)
            for index in data.indices {
                let row = try loaded.train.recognized(at: Int(data.rows[index]))
                let sample = data.sample(index)
                #expect(sample.chosen.ids == encode(row.chosen).ids && sample.rejected.ids == encode(row.rejected).ids)
                #expect(sample.margin == row.margin)
                #expect(data.length(of: index) == sample.chosen.ids.count + sample.rejected.ids.count)
            }
        }
        let (_, report) = try loaded.train.paired(
            truncation: Truncation(maximumLength: 20),
            encode: { row in
                row.messages.last?.text?.hasSuffix("3") == true
                    ? encode(row) : EncodedConversation(ids: [1, 2], weights: [0, 0])
            })
        #expect(report.droppedRows.map(\.line).sorted() == [1, 2, 3, 5, 6, 7])
        #expect(report.droppedRows.allSatisfy { $0.reason == "nothing to train on" })
        // A loss of sequences knows no weights of tokens, and that is said.
        let (halved, said) = try loaded.train.paired(
            truncation: Truncation(maximumLength: 40),
            encode: { row in
                var encoded = encode(row)
                encoded.weights = encoded.weights.map { $0 / 2 }
                return encoded
            })
        let (whole, silent) = try loaded.train.paired(
            truncation: Truncation(maximumLength: 40), encode: { encode($0) })
        #expect(halved.sample(0).chosen == whole.sample(0).chosen)
        #expect(said.notes.entries.map(\.reason) == ["weights of tokens (each counts once, or not at all)"])
        #expect(silent.notes.total == 0)
    }
}
