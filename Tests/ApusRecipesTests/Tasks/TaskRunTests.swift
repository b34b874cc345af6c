import ApusDatasets
import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// A run of every task: what its evaluation reports is what the task says that it does, and the model answers again.
struct TaskRunTests {
    struct Setup: Sendable, CustomTestStringConvertible {
        let task: TaskType
        let loss: LossType?
        let problem: ProblemType?
        let row: @Sendable (Int) -> String

        init(
            _ task: TaskType, _ loss: LossType? = nil, _ problem: ProblemType? = nil,
            row: @escaping @Sendable (Int) -> String
        ) {
            (self.task, self.loss, self.problem, self.row) = (task, loss, problem, row)
        }

        var testDescription: String { "\(task.rawValue) \(loss?.rawValue ?? "") \(problem?.rawValue ?? "")" }
    }

    private static func pair(_ index: Int, label: String) -> String {
        #"{"query": "n \#(index)", "response": "m \#(index * 7 % 10)", "label": \#(label)}"#
    }

    private static func ranked(_ index: Int) -> String {
        func text(_ text: String) -> String { #"[{"role": "user", "content": "\#(text)"}]"# }
        return
            #"{"messages": \#(text("q \(index)")), "positive_messages": [\#(text("p \(index)"))], "negative_messages": [\#(text("n")), \#(text("m"))]}"#
    }

    static let setups = [
        Setup(.causalLM) { #"{"query": "n \#($0)", "response": "\#($0 * 7 % 10)!"}"# },
        Setup(.sequenceClassification, nil, .singleLabel) { #"{"text": "n \#($0)", "label": \#($0 % 3)}"# },
        Setup(.sequenceClassification, nil, .multiLabel) {
            #"{"text": "n \#($0)", "label": \#($0 % 2 == 0 ? "[\"a\", \"c\"]" : "[\"b\"]")}"#
        },
        Setup(.sequenceClassification, nil, .regression) { #"{"text": "n \#($0)", "label": \#($0).5}"# },
        Setup(.embedding) { pair($0, label: "0.\($0 % 10)") },
        Setup(.embedding, .contrastive) { pair($0, label: "\($0 % 2)") },
        Setup(.embedding, .infoNCE) { pair($0, label: "1") },
        Setup(.reranker) { ranked($0) },
        Setup(.reranker, .listwiseReranker) { ranked($0) },
        Setup(.maskedLanguageModel) { #"{"text": "ab \#($0 % 10) cd"}"# },
        Setup(.sequenceToSequence) { #"{"query": "n \#($0)", "response": "\#($0 * 7 % 10)"}"# },
    ]

    @Test func everyTaskAndLossRuns() {
        #expect(Set(Self.setups.map(\.task)) == Set(TaskType.allCases))
        let chosen = LossType.allCases.filter { $0 != .crossEntropy }
        #expect(Set(Self.setups.compactMap { $0.loss ?? $0.task.task.standardLoss }) == Set(chosen))
        #expect(Set(Self.setups.compactMap(\.problem)) == Set(ProblemType.allCases))
    }

    @Test(arguments: setups)
    func metricsAreThoseOfTheTask(_ setup: Setup) throws {
        let run = try TinyRun(of: setup)
        try run()
        let last = try #require(try run.evaluation())
        let timing: Set = ["runtime", "samples_per_second", "steps_per_second"]
        let reported = last.keys.filter { $0.hasPrefix("eval_") }.map { String($0.dropFirst(5)) }
        #expect(
            reported.filter { !timing.contains($0) }
                == setup.task.task.metrics(loss: run.settings.lossType, problem: setup.problem))
        try answersAgain(run, setup)
    }

    /// What was trained is read back as a model of the same task, and answers rows.
    private func answersAgain(_ run: TinyRun, _ setup: Setup) throws {
        var settings = InferSettings(model: "\(run.output)/checkpoint-1")
        // The files of a checkpoint do not say these two.
        if [.reranker, .maskedLanguageModel].contains(setup.task) { settings.model.taskType = setup.task }
        settings.data.valDataset = ["\(run.folder.path)/rows.jsonl#2"]
        if setup.task == .maskedLanguageModel {
            try run.folder.write(#"{"text": "ab [MASK] cd"}"# + "\n", to: "masked.jsonl")
            settings.data.valDataset = ["\(run.folder.path)/masked.jsonl"]
        }
        settings.resultPath = "\(run.folder.path)/result.jsonl"
        settings.generation.maxNewTokens = 2
        settings.hardware.device = .cpu
        try Inference(settings)()
        let rows = try String(contentsOfFile: "\(run.folder.path)/result.jsonl", encoding: .utf8).split(separator: "\n")
        #expect(!rows.isEmpty)
        for row in rows { #expect(try JSONValue(parsing: String(row))["response"]?.isNull == false) }
    }
}

extension TinyRun {
    /// One step of every weight and an evaluation, over rows of a task.
    fileprivate init(of setup: TaskRunTests.Setup) throws {
        try self.init()
        if setup.task == .maskedLanguageModel { try useLetters("classifiers/bert-masked") }
        if setup.task == .sequenceToSequence { try useLetters("seq2seq/t5", ["eos_token_id": 3]) }
        try folder.write((0..<12).map { setup.row($0) + "\n" }.joined(), to: "rows.jsonl")
        settings.model.taskType = setup.task
        settings.optimization.lossType = setup.loss
        settings.model.problemType = setup.problem
        settings.model.tunerType = .full
        settings.data.splitDatasetRatio = 0.5
        settings.optimization.maxSteps = 1
        settings.evaluation.saveSteps = 1
    }

    /// The last row of the log with an evaluation.
    fileprivate func evaluation() throws -> JSONObject? {
        try String(contentsOfFile: "\(output)/logging.jsonl", encoding: .utf8).split(separator: "\n")
            .compactMap { try JSONValue(parsing: String($0)).objectValue }.last { $0["eval_loss"] != nil }
    }

    /// Puts another model of the fixtures, with single letters as tokens, in the place of the model.
    func useLetters(_ name: String, _ changes: JSONObject = [:]) throws {
        let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Fixtures/\(name)").standardizedFileURL
        let model = "\(folder.path)/model"
        for name in try FileManager.default.contentsOfDirectory(atPath: model) {
            try FileManager.default.removeItem(atPath: "\(model)/\(name)")
        }
        try FileManager.default.copyItem(
            atPath: fixture.appendingPathComponent("model.safetensors").path, toPath: "\(model)/model.safetensors")
        let read = try JSONValue(parsing: Data(contentsOf: fixture.appendingPathComponent("config.json")))
        var object = read.objectValue ?? [:]
        for (key, value) in changes { object[key] = value }
        let config = JSONValue.object(object)
        try folder.write(config.serialized(), to: "model/config.json")
        let letters = "abcdefghijklmnopqrstuvwxyz0123456789".map(String.init)
        var words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + letters.map { "##\($0)" }
        words += (0..<(config["vocab_size"]?.intValue ?? 0)).map { "unused\($0)" }
        words = Array(words.prefix(config["vocab_size"]?.intValue ?? 0))
        try folder.write(Self.wordPiece(words).serialized(), to: "model/tokenizer.json")
        try folder.write(
            #"{"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": "[MASK]", "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "eos_token": "[SEP]"}"#,
            to: "model/tokenizer_config.json")
    }

    /// The `tokenizer.json` of a BERT with these words, the first five of which are its special tokens.
    private static func wordPiece(_ words: [String]) -> JSONValue {
        var vocabulary = JSONObject()
        for (id, word) in words.enumerated() { vocabulary[word] = .int(id) }
        let added = words.prefix(5).enumerated().map { id, word -> JSONValue in
            [
                "id": .int(id), "content": .string(word), "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            ]
        }
        func token(_ word: String, _ segment: Int) -> JSONValue {
            ["SpecialToken": ["id": .string(word), "type_id": .int(segment)]]
        }
        func text(_ name: String, _ segment: Int) -> JSONValue {
            ["Sequence": ["id": .string(name), "type_id": .int(segment)]]
        }
        let single = [token("[CLS]", 0), text("A", 0), token("[SEP]", 0)]
        var specials = JSONObject()
        for word in ["[CLS]", "[SEP]"] {
            let id = words.firstIndex(of: word) ?? 0
            specials[word] = ["id": .string(word), "ids": [.int(id)], "tokens": [.string(word)]]
        }
        return [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added),
            "normalizer": [
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil,
                "lowercase": true,
            ],
            "pre_tokenizer": ["type": "BertPreTokenizer"],
            "post_processor": [
                "type": "TemplateProcessing", "single": .array(single),
                "pair": .array(single + [text("B", 1), token("[SEP]", 1)]), "special_tokens": .object(specials),
            ],
            "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true],
            "model": [
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": .object(vocabulary),
            ],
        ]
    }
}
