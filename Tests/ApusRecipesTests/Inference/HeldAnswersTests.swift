import ApusTorch
import Foundation
import Testing

@testable import ApusJSON
@testable import ApusRecipes

/// What `infer` can be asked for beside an answer: a form, several answers, probabilities, a measure, a comparison.
struct HeldAnswersTests {
    static let rows = (0..<6).map { #"{"query": "q\#($0)", "response": "yes"}"# }
    /// The tiny model has room for few tokens.
    static let bare = "{% for m in messages %}{{ m.content }}{% endfor %}"

    @Test func jsonOfASchema() throws {
        let schema = """
            {"type": "object", "properties": {"name": {"type": "string", "maxLength": 2}, "age": {"type": "integer",
             "minimum": 0, "maximum": 150}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2}},
             "required": ["name", "age"]}
            """
        for temperature in [0, 1.5] {
            let answers = try AnsweredRowsTests.answer(Self.rows, with: .chat(template: Self.bare), failed: 0) {
                $0.generation.structuredOutputsJSON = schema
                $0.generation.maxNewTokens = 100
                $0.generation.temperature = temperature
            }
            #expect(answers.count == 6)
            for row in answers {
                let value = try JSONValue(parsing: try #require(row["response"]?.stringValue))
                #expect(try #require(value["name"]?.stringValue).unicodeScalars.count <= 2, "\(value.serialized())")
                #expect((0...150).contains(try #require(value["age"]?.intValue)))
                #expect((value["tags"]?.arrayValue ?? []).allSatisfy { ["a", "b"].contains($0.stringValue) })
            }
        }
    }

    /// What the prompt begins every answer with is part of the answer, but of nothing that the answer is held to.
    @Test(arguments: [1, 2]) func whatAnswersStartWith(beams: Int) throws {
        let rows = [#"{"query": "q", "response": "So: yes"}"#]
        func answer(_ change: @escaping (inout InferSettings) -> Void) throws -> JSONValue {
            try AnsweredRowsTests.answer(rows, with: .chat(), failed: 0) {
                $0.generation.numBeams = beams
                change(&$0)
            }[0]
        }
        let started = try answer { $0.generation.responsePrefix = "So: " }
        // The same prompt from a template that ends with the text.
        let template = TinyModelFolder.chatML.replacing(
            "assistant\\n' }}{% endif %}", with: "assistant\\nSo: ' }}{% endif %}")
        let asked = try AnsweredRowsTests.answer(rows, with: .chat(template: template), failed: 0) {
            $0.generation.numBeams = beams
        }[0]
        let own = try #require(asked["response"]?.stringValue)
        #expect(started["response"] == .string("So: " + own))
        #expect(started["messages"]?.arrayValue?.last?["content"] == .string("So: " + own))
        guard beams == 1 else { return }
        let held = try answer {
            $0.generation.responsePrefix = "So: "
            $0.generation.structuredOutputsChoice = ["yes"]
            $0.generation.numReturnSequences = 2
            $0.generation.temperature = 1
            $0.generation.maxNewTokens = 8
            $0.metric = .acc
        }
        #expect(held["response"] == "So: yes" && held["responses"] == ["So: yes", "So: yes"])
    }

    /// As in ms-swift the text of a row comes before that of the settings, and the mark of a named template is part of answers
    /// as what the settings name is.
    @Test(arguments: [1, 2]) func whatRowsAndTemplatesStartWith(beams: Int) throws {
        func answer(_ row: String, _ change: @escaping (inout InferSettings) -> Void) throws -> String {
            let answered = try AnsweredRowsTests.answer([row], with: .chat(), failed: 0) {
                $0.generation.numBeams = beams
                change(&$0)
            }
            return try #require(answered[0]["response"]?.stringValue)
        }
        let plain = #"{"query": "q"}"#
        let own = #"{"query": "q", "chat_template_kwargs": {"response_prefix": "So: "}}"#
        let said = try answer(plain) { $0.generation.responsePrefix = "So: " }
        #expect(try answer(own) { $0.generation.responsePrefix = "No: " } == said && said.hasPrefix("So: "))
        let mark = "<think>\n\n</think>\n\n"
        let marked = try answer(plain) { $0.encoding.template = "qwen3" }
        let written = try answer(plain) {
            $0.encoding.template = "qwen3"
            $0.generation.responsePrefix = mark
        }
        #expect(marked == written && marked.hasPrefix(mark))
        let thinking = #"{"query": "q", "chat_template_kwargs": {"enable_thinking": true}}"#
        #expect(try !answer(thinking) { $0.encoding.template = "qwen3" }.hasPrefix(mark))
    }

    /// Without a chat template the last question is asked alone, as it was learned; what answers begin with stands behind it.
    @Test func withoutATemplate() throws {
        let rows = [
            #"{"query": "Why? So: "}"#,
            #"""
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
             {"role": "assistant", "content": "b"}, {"role": "user", "content": "Why? "}]}
            """#.replacing("\n", with: ""),
        ]
        let asked = try AnsweredRowsTests.answer([rows[0]], with: .chat(), failed: 0) {
            $0.encoding.useChatTemplate = false
        }
        let started = try AnsweredRowsTests.answer([rows[1]], with: .chat(), failed: 0) {
            $0.encoding.useChatTemplate = false
            $0.generation.responsePrefix = "So: "
        }
        let answer = try #require(asked[0]["response"]?.stringValue)
        #expect(started[0]["response"] == .string("So: " + answer))
    }

    @Test func aRegularExpressionAndAChoice() throws {
        let dates = try AnsweredRowsTests.answer(Self.rows, with: .chat(), failed: 0) {
            $0.generation.structuredOutputsRegex = #"\d{4}-(0[1-9]|1[0-2])"#
            $0.generation.maxNewTokens = 20
        }
        for row in dates { #expect(row["response"]?.stringValue?.wholeMatch(of: /\d{4}-(0[1-9]|1[0-2])/) != nil) }
        let choices = try AnsweredRowsTests.answer(Self.rows, with: .chat(), failed: 0) {
            $0.generation.structuredOutputsChoice = ["yes", "no", "notable"]
            $0.generation.maxNewTokens = 20
            $0.generation.temperature = 1
            $0.metric = .acc
        }
        for row in choices { #expect(["yes", "no", "notable"].contains(row["response"]?.stringValue)) }
    }

    /// Of two answers one is the wanted text and the other has no word of it: every metric is a half.
    @Test func metricsAreThoseThatMSSwiftPrints() throws {
        let rows = [(answer: "a b c d e", wanted: "a b c d e"), (answer: "x", wanted: "y z")]
        let acc = try AnswerMetric.acc.values(of: rows)
        #expect(acc.map(\.name) == ["acc"] && acc.map(\.value) == [0.5])
        let rouge = try AnswerMetric.rouge.values(of: rows)
        #expect(rouge.map(\.name) == ["rouge-1", "rouge-2", "rouge-l", "bleu-4"])
        #expect(rouge.allSatisfy { abs($0.value - 50) < 1e-9 })
    }

    @Test func probabilitiesOfTheTokens() throws {
        let answers = try AnsweredRowsTests.answer(Self.rows, with: .chat(), failed: 0) {
            $0.generation.logprobs = true
            $0.generation.topLogprobs = 3
        }
        for row in answers {
            let tokens = try #require(row["logprobs"]?["content"]?.arrayValue)
            #expect(tokens.count == 4)
            for token in tokens {
                // Greedy: the chosen one is the likeliest.
                let best = try #require(token["top_logprobs"]?.arrayValue)
                #expect(best.count == 3 && best[0]["logprob"] == token["logprob"])
                let values = best.compactMap { $0["logprob"]?.doubleValue }
                #expect(values == values.sorted(by: >) && values[0] < 0 && values.map(exp).reduce(0, +) < 1)
                #expect(token["bytes"]?.arrayValue?.count == token["token"]?.stringValue?.utf8.count)
            }
        }
        let plain = try AnsweredRowsTests.answer(Self.rows, with: .chat(), failed: 0)
        #expect(plain.map { $0["response"] } == answers.map { $0["response"] })
        #expect(plain.allSatisfy { $0["logprobs"] == .null })
    }

    /// The first of several answers is the one that is given alone.
    @Test func severalAnswers() throws {
        func drawn(_ count: Int) throws -> [JSONValue] {
            try AnsweredRowsTests.answer(Self.rows, with: .chat(), failed: 0) {
                $0.generation.numReturnSequences = count
                $0.generation.temperature = 1
            }
        }
        let (one, three) = (try drawn(1), try drawn(3))
        #expect(one.map { $0["response"] } == three.map { $0["response"] })
        for row in three {
            let all = try #require(row["responses"]?.arrayValue)
            #expect(all.count == 3 && all[0] == row["response"] && Set(all.compactMap(\.stringValue)).count > 1)
        }
        let beams = try AnsweredRowsTests.answer(Self.rows, with: .chat(), failed: 0) {
            $0.generation.numBeams = 4
            $0.generation.numReturnSequences = 2
        }
        for row in beams { #expect(row["responses"]?.arrayValue?.count == 2) }
    }

    @Test func theBaseBesideItsAdapters() throws {
        let run = try TinyRun()
        try run()
        let adapters = [2, 6].map { "\(run.output)/checkpoint-\($0)" }
        let folder = try TemporaryFolder()
        func answers(_ name: String, _ change: (inout InferSettings) -> Void) throws -> [JSONValue] {
            var settings = InferSettings(model: run.settings.model.name)
            settings.data.valDataset = [try folder.write(Self.rows.joined(separator: "\n"), to: "rows.jsonl")]
            settings.resultPath = "\(folder.path)/\(name).jsonl"
            settings.hardware.device = .cpu
            settings.generation.maxNewTokens = 6
            change(&settings)
            try Inference(settings)()
            return try TinyModelFolder.rows("\(folder.path)/\(name).jsonl")
        }
        let compared = try answers("compared") {
            $0.model.adapters = adapters
            $0.compare = true
        }
        let alone = try ["base": [], "checkpoint-2": [adapters[0]], "checkpoint-6": [adapters[1]]].map {
            name, adapters in
            (name, try answers(name) { $0.model.adapters = adapters })
        }
        for (name, rows) in alone {
            #expect(compared.map { $0["responses"]?[name] } == rows.map { $0["response"] }, "\(name)")
        }
        #expect(compared.allSatisfy { $0["response"] == $0["responses"]?["checkpoint-2"] })
        #expect(compared.contains { $0["responses"]?["base"] != $0["responses"]?["checkpoint-6"] })
    }

    /// An adapter that has trained parts of the model in their place leaves no base to compare with.
    @Test func noBaseBesideTrainedParts() throws {
        var run = try TinyRun()
        run.settings.tuner.modulesToSave = ["norm"]
        try run()
        var settings = InferSettings(model: run.settings.model.name, adapters: ["\(run.output)/checkpoint-6"])
        settings.hardware.device = .cpu
        settings.compare = true
        settings.question = "x"
        let error = #expect(throws: SettingsError.self) { try Inference(settings) }
        #expect(error.map { "\($0)" }?.contains("the base is not there any more") == true)
    }

    @Test(arguments: [
        ("--num_beams 3 --temperature 0.5", "a beam search draws nothing"),
        ("--top_logprobs 3", "give --logprobs true"),
        ("--num_beams 2 --logprobs true", "--logprobs"), ("--num_beams 2 --num_return_sequences 3", "finds no more"),
        ("--num_beams 2 --stream true", "knows at the end"), ("--structured_outputs_regex (a", "character 3"),
        ("--structured_outputs_regex a --structured_outputs_choice b", "held to one of them"),
        (#"--structured_outputs_json {"type":"time"}"#, "#/type: got \"time\""), ("--compare true", "give --adapters"),
        ("--adapters a --compare true --num_return_sequences 2", "one answer of each"),
        ("--adapters a --adapter_names x y", "a name of its own"), ("--adapters base=a --compare true", "none of them"),
        ("--adapters x=a --compare true --merge_lora true", "no base any more"), ("--metric bleu", "acc"),
    ])
    func whatDoesNotGoTogether(words: String, message: String) {
        var notices: [String] = []
        let error = #expect(throws: (any Error).self, "\(words)") {
            let words = ["--model", "m"] + words.split(separator: " ").map(String.init)
            return try InferSettings(AdapterWords.split(ArgumentLine(words, for: .infer)), notices: &notices)
        }
        #expect(error.map { "\($0)" }?.contains(message) == true, "\(words): \(error.map { "\($0)" } ?? "")")
    }

    @Test func adaptersWithNames() throws {
        var notices: [String] = []
        let words = ["--model", "m", "--adapters", "old=a", "new=b", "--compare", "true"]
        let settings = try InferSettings(AdapterWords.split(ArgumentLine(words, for: .infer)), notices: &notices)
        #expect(settings.model.adapters == ["a", "b"] && settings.adapterNames == ["old", "new"])
        #expect(settings.idleNames == nil)
        let alone = try InferSettings(
            AdapterWords.split(ArgumentLine(Array(words.dropLast(2)), for: .infer)), notices: &notices)
        #expect(alone.idleNames == "the names of the adapters (old, new): without effect, because --compare is false.")
        #expect(settings.question == nil)
    }

    @Test func greedyAnswersAreAllTheSame() throws {
        let error = #expect(throws: (any Error).self) {
            try AnsweredRowsTests.answer(Self.rows, with: .chat(), failed: 0) { $0.generation.numReturnSequences = 2 }
        }
        #expect(error.map { "\($0)" }?.contains("--temperature 1, or --num_beams 2") == true)
    }
}
