import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusText
import ApusTorch
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// Runs, files and answers of a model that reads a text and writes another.
struct SequenceToSequenceRunTests {
    /// A T5 whose tokens are letters, with six rows.
    private static func run(_ change: (inout SFTSettings) -> Void = { _ in }) throws -> TinyRun {
        let run = try TinyRun()
        try run.useLetters("seq2seq/t5", ["eos_token_id": 3])
        let rows = (0..<6).map { #"{"query": "count \#($0) ab", "response": "\#($0 * 7 % 10) x"}"# + "\n" }
        try run.folder.write(rows.joined(), to: "rows.jsonl")
        return run.with {
            $0.encoding.maxLength = 12
            $0.optimization.learningRate = 1e-2
            change(&$0)
        }
    }

    private func answers(_ model: String, isAdapter: Bool, _ run: TinyRun) throws -> [JSONValue] {
        var settings = InferSettings(model: isAdapter ? nil : model, adapters: isAdapter ? [model] : [])
        settings.data.valDataset = ["\(run.folder.path)/rows.jsonl"]
        settings.resultPath = "\(run.folder.path)/\(UUID().uuidString).jsonl"
        settings.generation.maxNewTokens = 6
        settings.maxBatchSize = 4
        settings.hardware.device = .cpu
        try Inference(settings)()
        return try TinyModelFolder.rows(settings.resultPath ?? "")
    }

    /// Nothing says the task but `config.json`; PEFT's word for it is in the file, and the merged model answers the same.
    @Test func anAdapterIsTrainedLoadedAndMerged() throws {
        let run = try Self.run {
            $0.tuner.targetModules = ["auto"]
            $0.tuner.loraDropout = 0
        }
        try run()
        let folder = "\(run.output)/checkpoint-6"
        let config = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(folder)/adapter_config.json")))
        #expect(config["task_type"]?.stringValue == "SEQ_2_SEQ_LM")
        let arguments = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(folder)/args.json")))
        #expect(arguments["task_type"]?.stringValue == "seq2seq_lm")
        let adapted = try answers(folder, isAdapter: true, run)
        #expect(adapted.count == 6)
        for row in adapted {
            #expect(row["response"]?.stringValue != nil && row["labels"]?.stringValue?.hasSuffix(" x") == true)
        }
        var export = ExportSettings()
        export.model.adapters = [folder]
        export.mergeLoRA = true
        export.outputDirectory = "\(run.folder.path)/merged"
        export.hardware.device = .cpu
        let merged = try ModelExport(export)()
        let written = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(merged)/config.json")))
        #expect(written["scale_decoder_outputs"] == true)
        #expect(try answers(merged, isAdapter: false, run).map { $0["response"] } == adapted.map { $0["response"] })
        let count = try ParameterCount(ParamsSettings(model: "\(run.folder.path)/model"))
        #expect(count.total - count.trainable == 48_576)
    }

    /// A file of floats answers as the folder that it was written of, and is read for the same task.
    @Test func aGGUFFileAnswersAlike() throws {
        let run = try Self.run()
        let model = run.settings.model.name ?? ""
        var export = ExportSettings(adapters: [], mergeLoRA: false)
        export.model.name = model
        export.toGGUF = true
        export.ggufType = .f32
        export.outputDirectory = "\(run.folder.path)/gguf"
        export.hardware.device = .cpu
        let file = "\(try ModelExport(export)())/\(export.ggufName)"
        let (ours, theirs) = (
            try answers(file, isAdapter: false, run), try answers(model, isAdapter: false, run)
        )
        #expect(ours.count == 6 && ours.map { $0["response"] } == theirs.map { $0["response"] })
    }

    /// With dropout in both halves and in the adapter.
    @Test(arguments: [TunerType.lora, .full]) func interruptedIsUninterrupted(tuner: TunerType) throws {
        let run = try Self.run { $0.model.tunerType = tuner }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    /// Prompts of every kind: trained, resumed, measured by answers, and answering from their files.
    @Test(arguments: ["prompt_tuning", "prefix_tuning", "p_tuning", "multitask_prompt_tuning"])
    func promptsAreTrainedAndAnswer(tuner: String) throws {
        let type = try #require(TunerType(rawValue: tuner))
        let run = try Self.run {
            $0.model.tunerType = type
            $0.tuner.methodOptions["num_virtual_tokens"] = .integer(3)
            if tuner == "prefix_tuning" { $0.tuner.methodOptions["prefix_projection"] = .boolean(true) }
            $0.data.splitDatasetRatio = 0.4
            $0.evaluation.predictWithGenerate = true
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
        let folder = "\(run.output)/checkpoint-6"
        let config = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(folder)/adapter_config.json")))
        #expect(config["num_transformer_submodules"] == 2 && config["task_type"]?.stringValue == "SEQ_2_SEQ_LM")
        #expect(try answers(folder, isAdapter: true, run).count == 6)
    }

    @Test func answersAreMeasuredWhereAskedFor() throws {
        let run = try Self.run {
            $0.data.splitDatasetRatio = 0.5
            $0.optimization.maxSteps = 1
            $0.evaluation.saveSteps = 1
            $0.evaluation.predictWithGenerate = true
            $0.evaluation.metricForBestModel = "rouge-l"
            $0.encoding.maxTargetLength = 4
            $0.model.taskType = .sequenceToSequence
        }
        try run()
        let last = try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8).split(separator: "\n")
            .compactMap { try JSONValue(parsing: String($0)).objectValue }.last { $0["eval_loss"] != nil }
        for name in AnswerMetrics.names { #expect(last?["eval_\(name)"]?.doubleValue != nil, "\(name)") }
        let error = #expect(throws: SettingsError.self) {
            try run.with { $0.model.taskType = .maskedLanguageModel }.settings.validated()
        }
        #expect(error?.description.contains("--predict_with_generate") == true)
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let run = try Self.run()
        #expect(run.with { $0.model.taskType = .causalLM }.refusal().contains("--task_type seq2seq_lm"))
        for (tuner, reason) in [
            ("reft", "ms-swift knows"), ("longlora", "has an encoder"), ("llamapro", "models of the type t5"),
        ] {
            let type = try #require(TunerType(rawValue: tuner))
            #expect(run.with { $0.model.tunerType = type }.refusal().contains(reason), "\(tuner)")
        }
        for change in [{ $0.tuner.targetModules = ["shared"] }, { $0.tuner.modulesToSave = ["shared"] }]
            as [(inout SFTSettings) -> Void]
        {
            #expect(run.with(change).refusal().contains("encoder.embed_tokens and decoder.embed_tokens"))
        }
        let decoder = try TinyRun().with { $0.model.taskType = .sequenceToSequence }
        #expect(decoder.refusal().contains("--task_type causal_lm"))
    }

    /// Ids as `tokenizer(text, text_target=answer)` makes them, cut so that the end token stays.
    @Test func textsAndAnswersAreEncodedApart() throws {
        let run = try Self.run()
        let tokenizer = try Tokenizer.load(folder: URL(fileURLWithPath: "\(run.folder.path)/model"))
        let messages = [
            Message(role: "system", content: "a "), Message(role: "user", content: "b"),
            Message(role: "assistant", content: "c d"),
        ]
        let conversation = Conversation(messages: messages, tools: nil, otherColumns: [:])
        let whole = try SourceTargetEncoder(tokenizer: tokenizer).encode(conversation)
        #expect(whole.ids == tokenizer.encode("a b") + tokenizer.encode("c d"))
        #expect(whole.weights == tokenizer.encode("a b").map { _ in 0 } + tokenizer.encode("c d").map { _ in 1 })
        let cut = try SourceTargetEncoder(
            tokenizer: tokenizer, sourceLimit: 3, answerLimit: 3, strategy: .right
        ).encode(conversation)
        #expect(cut.ids == tokenizer.encode("a") + tokenizer.encode("c") && cut.notes.count == 2)
        #expect {
            try SourceTargetEncoder(tokenizer: tokenizer, sourceLimit: 3).encode(conversation)
        } throws: { error in
            "\(error)".contains("longer than max_length 3: 4 tokens")
        }
        let left = try SourceTargetEncoder(tokenizer: tokenizer, sourceLimit: 3, strategy: .left).encode(conversation)
        #expect(left.ids == tokenizer.encode("b") + tokenizer.encode("c d"))
        #expect(throws: RowRejection.self) {
            try SourceTargetEncoder(tokenizer: tokenizer).encode(
                Conversation(messages: Array(messages.dropLast()), tools: nil, otherColumns: [:]))
        }
        // A tokenizer that ends no text has its end token put behind it.
        let tiny = try TinyModelFolder.chat()
        let bytes = try withExtendedLifetime(tiny) { try Tokenizer.load(folder: URL(fileURLWithPath: tiny.path)) }
        let ended = try SourceTargetEncoder(tokenizer: bytes, sourceLimit: 2, strategy: .right).source([
            Message(role: "user", content: "ab")
        ])
        #expect(ended.ids == [97, 256] && ended.cut == 1)
    }
}
