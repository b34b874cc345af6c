import ApusTorch
import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusRecipes

/// `infer --val_dataset`: every row has its place in the result, with its columns; one without an answer says why.
struct AnsweredRowsTests {
    /// Runs `infer` over lines and returns the rows of its result.
    static func answer(
        _ lines: [String], name: String = "rows.jsonl", with model: TinyModelFolder, failed: Int,
        _ change: (inout InferSettings) -> Void = { _ in }
    ) throws -> [JSONValue] {
        let folder = try TemporaryFolder()
        var settings = InferSettings(model: model.path)
        settings.data.valDataset = [try folder.write(lines.joined(separator: "\n") + "\n", to: name)]
        settings.resultPath = "\(folder.path)/result.jsonl"
        settings.hardware.device = .cpu
        settings.maxBatchSize = 4
        settings.generation.maxNewTokens = 4
        change(&settings)
        let inference = try Inference(settings)
        if failed == 0 {
            try inference()
        } else {
            #expect {
                try inference()
            } throws: { error in
                (error as? UnansweredRows)?.failed == failed && (error as? UnansweredRows)?.exitCode == ExitCode.data
            }
        }
        return try TinyModelFolder.rows("\(folder.path)/result.jsonl")
    }

    /// Whether a row has no answer but an error with the line and some words.
    static func hasFailed(_ row: JSONValue, line: Int, _ words: String) -> Bool {
        guard row["response"] == .null, let error = row["error"]?.stringValue else { return false }
        return error.contains("rows.jsonl:\(line): ") && error.contains(words)
    }

    /// A place that an error names itself is said once; reasons that differ in numbers alone are one.
    @Test func reasons() throws {
        var failures = RowFailures()
        let first = try failures.note(ModelError("a.jsonl:1: has 91 tokens"), at: "a.jsonl:1", isStrict: false)
        let second = try failures.note(ModelError("has 92 tokens"), at: "a.jsonl:2", isStrict: false)
        #expect(first == "a.jsonl:1: has 91 tokens" && second == "a.jsonl:2: has 92 tokens")
        #expect(throws: DatasetError("a.jsonl:3: no")) {
            try failures.note(ModelError("a.jsonl:3: no"), at: "a.jsonl:3", isStrict: true)
        }
        #expect(failures.count == 2 && failures.lines == ["  2 × (first: a.jsonl:1) has 91 tokens"])
    }

    @Test func conversations() throws {
        let long = String(repeating: "x", count: 300)
        let rows = try Self.answer(
            [
                #"{"id": 1, "messages": [{"role": "user", "content": "a"}], "source": {"page": 3}}"#,
                #"{"id": 2, "messages": []}"#,
                #"{"id": 3, "query": "b", "response": "right"}"#,
                #"{"id": 4, "messages": [{"role": "user", "content": "\#(long)"}]}"#,
                #"{"id": 5, "#,
                "[1]",
                #"{"id": 7, "messages": [{"role": "user", "content": "fail"}]}"#,
                #"{"id": 8, "messages": [{"role": "user", "content": "c"}]}"#,
            ],
            with: .chat(
                template: "{% for m in messages %}{% if m.content == 'fail' %}{{ raise_exception('no way') }}"
                    + "{% endif %}{{ m.content }}{% endfor %}"), failed: 5)
        #expect(rows.count == 8)
        #expect(rows[0]["id"] == 1 && rows[0]["source"] == ["page": 3] && rows[0]["error"] == nil)
        #expect(rows[0]["response"]?.stringValue != nil)
        #expect(rows[0]["messages"]?.arrayValue?.count == 2)
        #expect(Self.hasFailed(rows[1], line: 2, "no messages") && rows[1]["id"] == 2)
        #expect(rows[2]["id"] == 3 && rows[2]["labels"] == "right")
        #expect(Self.hasFailed(rows[3], line: 4, "300 tokens") && rows[3]["id"] == 4)
        #expect(Self.hasFailed(rows[4], line: 5, "not valid JSON"))
        #expect(Self.hasFailed(rows[5], line: 6, "not a JSON object") && rows[5]["row"] == [1])
        #expect(Self.hasFailed(rows[6], line: 7, "no way") && rows[6]["messages"] != nil)
        #expect(rows[7]["id"] == 8 && rows[7]["response"]?.stringValue != nil)
    }

    /// What a row tells the template reaches its own prompt alone, and stays in the output.
    @Test func rowsTellTheTemplate() throws {
        let rows = try Self.answer(
            [#"{"query": "a"}"#, #"{"query": "a", "chat_template_kwargs": {"enable_thinking": true}}"#],
            with: .chat(
                template: "{% if enable_thinking %}{{ raise_exception('told to think') }}{% endif %}"
                    + TinyModelFolder.chatML), failed: 1)
        #expect(rows[0]["response"]?.stringValue != nil)
        #expect(Self.hasFailed(rows[1], line: 2, "told to think"))
        #expect(rows[1]["chat_template_kwargs"] == ["enable_thinking": true])
    }

    /// A row's answer does not depend on the rows that go through the model with it, or have none.
    @Test func companyChangesNothing() throws {
        let model = try TinyModelFolder.chat()
        let good = (0..<5).map { #"{"query": "question \#($0)"}"# }
        let alone = try Self.answer(good, with: model, failed: 0) { $0.maxBatchSize = 1 }
        let together = try Self.answer(
            [good[0], "{}", good[1], good[2], "{}", good[3], good[4]], with: model, failed: 2)
        #expect(together.filter { $0["error"] == nil }.map { $0["response"] } == alone.map { $0["response"] })
    }

    @Test func strictStopsAtTheFirst() throws {
        #expect {
            try Self.answer([#"{"query": "a"}"#, "{}"], with: .chat(), failed: 0) { $0.data.strict = true }
        } throws: { error in
            error is DatasetError && "\(error)".contains("rows.jsonl:2: ")
        }
    }

    @Test func noRowAtAll() throws {
        let rows = try Self.answer(["{}", "{}"], with: .chat(), failed: 2)
        #expect(rows.count == 2 && rows.allSatisfy { $0["error"] != nil })
    }

    @Test func classes() throws {
        let names: JSONValue = ["0": "bad", "1": "fair", "2": "good"]
        let ids: JSONValue = ["bad": 0, "fair": 1, "good": 2]
        let model = try TinyModelFolder.bert("classifiers/bert-single", config: ["id2label": names, "label2id": ids])
        let long = String(repeating: "x ", count: 600)
        let rows = try Self.answer(
            [
                #"{"id": 1, "text": "a b", "label": "good"}"#, #"{"id": 2, "text": "c", "label": "odd"}"#,
                #"{"id": 3, "label": "bad"}"#, #"{"id": 4, "text": "\#(long)"}"#, #"{"id": 5, "text": "d"}"#,
            ], with: model, failed: 3)
        #expect(rows.map { $0["id"] } == [1, 2, 3, 4, 5])
        #expect(rows[0]["labels"] == "good" && rows[0]["probabilities"] != nil)
        #expect(Self.hasFailed(rows[1], line: 2, "odd"))
        #expect(Self.hasFailed(rows[2], line: 3, "no text"))
        #expect(Self.hasFailed(rows[3], line: 4, "tokens"))
        #expect(rows[4]["response"]?.stringValue != nil)
    }

    @Test func masks() throws {
        let rows = try Self.answer(
            [#"{"id": 1, "text": "a [MASK] c", "label": "b"}"#, #"{"id": 2, "text": "a b c"}"#],
            with: .bert("classifiers/bert-masked"), failed: 1
        ) { $0.model.taskType = .maskedLanguageModel }
        #expect(rows[0]["id"] == 1 && rows[0]["labels"] == "b")
        #expect(rows[0]["response"]?.arrayValue?.count == 1)
        #expect(Self.hasFailed(rows[1], line: 2, "there is no [MASK]") && rows[1]["id"] == 2)
    }

    /// As the option says, 0 and -1 are all tokens, as more than there are is.
    @Test(arguments: [(0, 120), (-1, 120), (1000, 120), (2, 2), (nil, 5)] as [(Int?, Int)])
    func candidatesOfMasks(topK: Int?, count: Int) throws {
        let rows = try Self.answer([#"{"text": "a [MASK] c"}"#], with: .bert("classifiers/bert-masked"), failed: 0) {
            $0.model.taskType = .maskedLanguageModel
            $0.generation.topK = topK
        }
        let candidates = try #require(rows[0]["response"]?.arrayValue?.first?.arrayValue)
        #expect(candidates.count == count)
        let sum = candidates.compactMap { $0["probability"]?.doubleValue }.reduce(0, +)
        #expect(count < 120 || abs(sum - 1) < 1e-4)
    }

    @Test func vectors() throws {
        let rows = try Self.answer(
            [
                #"{"id": 1, "text": "a b"}"#, #"{"id": 2}"#,
                #"{"id": 3, "anchor": "a", "positive": "b", "label": 0.5}"#,
            ],
            with: .bert("sentences/bert-embedding"), failed: 1
        ) { $0.model.taskType = .embedding }
        #expect(rows.map { $0["id"] } == [1, 2, 3])
        #expect(rows[0]["response"]?.arrayValue?.isEmpty == false)
        #expect(Self.hasFailed(rows[1], line: 2, "no text"))
        #expect(rows[2]["similarity"] != nil && rows[2]["labels"] == 0.5)
    }

    @Test func documents() throws {
        let rows = try Self.answer(
            [
                #"{"id": 1, "query": "a", "positive": ["b"], "negative": ["c", "d"]}"#, #"{"id": 2, "query": "a"}"#,
                #"{"id": 3, "query": "a", "document": "e"}"#,
            ],
            with: .bert("sentences/bert-reranker"), failed: 1
        ) { $0.model.taskType = .reranker }
        #expect(rows.map { $0["id"] } == [1, 1, 1, 2, 3])
        #expect(Set(rows.prefix(3).map { $0["document"]?.stringValue }) == ["b", "c", "d"])
        #expect(Self.hasFailed(rows[3], line: 2, "no documents"))
        #expect(rows[4]["document"] == "e" && rows[4]["response"]?.doubleValue != nil)
    }

    // MARK: - The file

    /// A row goes on no line of a run that was cut off.
    @Test func aTornLineIsEnded() throws {
        let folder = try TemporaryFolder()
        for (old, new) in [("", ""), ("{}\n", "{}\n"), ("{}\n{\"a\": 1, \"b", "{}\n{\"a\": 1, \"b\n")] {
            let path = try folder.write(old, to: "result.jsonl")
            try ResultFile(path, existing: .append).append(["a": 2])
            #expect(try String(contentsOfFile: path, encoding: .utf8) == new + "{\"a\": 2}\n")
        }
    }

    @Test func anotherRunsResultsAreNotMixed() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("{}\n", to: "result.jsonl")
        #expect(throws: SettingsError.self) { try ResultFile(path, existing: .refuse) }
        try ResultFile(path, existing: .append).append(["a": 1])
        #expect(try TinyModelFolder.rows(path).count == 2)
        try ResultFile(path, existing: .overwrite).append(["a": 1])
        #expect(try TinyModelFolder.rows(path) == [["a": 1]])
        let empty = try folder.write("", to: "empty.jsonl")
        try ResultFile(empty, existing: .refuse).append(["a": 1])
        #expect(throws: SettingsError.self) { try ResultFile(folder.path, existing: .overwrite) }
        // Said before a model is loaded.
        var settings = InferSettings(model: "/nowhere")
        settings.data.valDataset = ["rows.jsonl"]
        settings.resultPath = path
        #expect(throws: SettingsError.self) { try Inference(settings) }
    }

    /// Links lead to the file that is replaced; a device stays one.
    @Test func whatTheResultIsWrittenTo() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("{}\n", to: "result.jsonl")
        let manager = FileManager.default
        try manager.createSymbolicLink(atPath: "\(folder.path)/link", withDestinationPath: "result.jsonl")
        try ResultFile("\(folder.path)/link", existing: .overwrite).append(["a": 1])
        #expect(try manager.destinationOfSymbolicLink(atPath: "\(folder.path)/link") == "result.jsonl")
        #expect(try TinyModelFolder.rows(path) == [["a": 1]])
        try manager.createSymbolicLink(atPath: "\(folder.path)/dangling", withDestinationPath: "made/new.jsonl")
        try ResultFile("\(folder.path)/dangling", existing: .refuse).append(["b": 2])
        #expect(try TinyModelFolder.rows("\(folder.path)/made/new.jsonl") == [["b": 2]])
        // Through a link: were the fault back, the link would be lost and not the device of this machine.
        try manager.createSymbolicLink(atPath: "\(folder.path)/nothing", withDestinationPath: "/dev/null")
        for existing in [ExistingResult.refuse, .append, .overwrite] {
            let file = try ResultFile("\(folder.path)/nothing", existing: existing)
            try file.append(["a": 1])
            #expect(file.imagesFolder == nil)
            #expect(try manager.destinationOfSymbolicLink(atPath: "\(folder.path)/nothing") == "/dev/null")
        }
        #expect(try ResultFile(path, existing: .append).imagesFolder == "\(folder.path)/result-images")
    }

    /// The rows to be answered are not written over, by whatever name they go.
    @Test func theResultIsNoInput() throws {
        let folder = try TemporaryFolder()
        let rows = try folder.write(#"{"query": "a"}"# + "\n", to: "rows.jsonl")
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/link", withDestinationPath: "rows.jsonl")
        var settings = InferSettings(model: "/nowhere")
        settings.data.valDataset = ["\(rows)#1"]
        for (path, existing) in [(rows, ExistingResult.overwrite), ("\(folder.path)/link", .append)] {
            settings.resultPath = path
            settings.existingResult = existing
            #expect { try Inference(settings) } throws: {
                "\($0)".contains("of --val_dataset, whose rows would be lost")
            }
        }
        settings.data.valDataset = []
        settings.data.dataset = ["\(folder.path)/*.jsonl"]
        settings.data.splitDatasetRatio = 0.5
        #expect { try Inference(settings) } throws: { "\($0)".contains("of --dataset, whose rows would be lost") }
        #expect(try String(contentsOfFile: rows, encoding: .utf8) == #"{"query": "a"}"# + "\n")
    }

    @Test func columnsStayBesideAnswers() {
        let result: JSONObject = ["response": "x", "labels": .null]
        let completed = AnsweredRows<ConversationRecognizer>.completed(
            result, with: ["id": 1, "response": "y", "labels": "z"])
        #expect(completed == ["response": "x", "input_response": "y", "labels": "z", "id": 1])
        let failed = AnsweredRows<ConversationRecognizer>.failed("why", ["id": 1, "response": "y", "error": "old"])
        #expect(failed == ["response": .null, "id": 1, "error": "why", "input_error": "old", "labels": "y"])
        let labelled = AnsweredRows<ConversationRecognizer>.failed("why", ["response": "y", "labels": "z"])
        #expect(labelled == ["response": .null, "input_response": "y", "labels": "z", "error": "why"])
    }

    /// A number of any size is that of the input.
    @Test func largeNumbersInColumns() throws {
        let numbers = #""id": 18446744073709551615, "deep": {"ids": [-123456789012345678901234567890, 1e400]}"#
        let row = try Self.answer([#"{"query": "a", \#(numbers)}"#], with: .chat(), failed: 0)[0]
        #expect(row.serialized().contains(numbers))
    }

    /// Columns that are called like those of results are neither lost nor taken for them.
    @Test func columnsWithNamesOfResults() throws {
        let own = #""logprobs": 1, "error": "old", "responses": ["a"], "input_error": "older", "labels": "z""#
        let rows = try Self.answer(
            [
                #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "#
                    + #""response": "y", \#(own)}"#,
                #"{"messages": [{"role": "user", "content": "a"}], \#(own)}"#,
                #"{"messages": [], "response": "y", \#(own)}"#,
            ], with: .chat(), failed: 1)
        for row in rows {
            #expect(row["input_logprobs"] == 1 && row["logprobs"]?.isNull != false)
            #expect(row["input_input_error"] == "old" && row["input_error"] == "older")
            #expect(row["input_responses"] == ["a"] && row["responses"] == nil)
        }
        #expect(rows[0]["error"] == nil && rows[0]["labels"] == "b" && rows[0]["input_labels"] == "z")
        #expect(rows[0]["response"]?.stringValue != nil && rows[0]["input_response"] == "y")
        #expect(rows[1]["error"] == nil && rows[1]["labels"] == "z" && rows[1]["input_labels"] == nil)
        #expect(Self.hasFailed(rows[2], line: 3, "no messages") && rows[2]["input_response"] == "y")
        #expect(rows[2]["labels"] == "z" && rows[2]["messages"] == [])
    }

    /// A prompt that is cut says by how much, and the run how many are.
    @Test(arguments: [TruncationStrategy.left, .right]) func promptsThatAreCut(strategy: TruncationStrategy) throws {
        let lines = ["0123456789", "0123", "012345"].map { #"{"messages": [{"role": "user", "content": "\#($0)"}]}"# }
        let bare = "{% for m in messages %}{{ m.content }}{% endfor %}"
        let rows = try Self.answer(lines, with: .chat(template: bare), failed: 0) {
            $0.encoding.maxLength = 4
            $0.encoding.truncationStrategy = strategy
        }
        #expect(rows.map { $0["prompt_tokens_cut"] } == [6, nil, 2])
        var settings = InferSettings(model: "m")
        settings.encoding.truncationStrategy = strategy
        #expect(
            CutPrompts.note((2, 3), to: 4, settings.encoding)
                == "note: 2 of 3 prompts were cut to 4 tokens (--truncation_strategy \(strategy.rawValue))")
    }

    /// So do texts that are judged.
    @Test func textsThatAreCut() throws {
        let names: JSONValue = ["0": "bad", "1": "fair", "2": "good"]
        let ids: JSONValue = ["bad": 0, "fair": 1, "good": 2]
        let model = try TinyModelFolder.bert("classifiers/bert-single", config: ["id2label": names, "label2id": ids])
        let rows = try Self.answer([#"{"text": "a b c d e"}"#, #"{"text": "a b"}"#], with: model, failed: 0) {
            $0.encoding.maxLength = 4
            $0.encoding.truncationStrategy = .right
        }
        // Of seven tokens, two of them special.
        #expect(rows.map { $0["prompt_tokens_cut"] } == [3, nil])
    }
}
