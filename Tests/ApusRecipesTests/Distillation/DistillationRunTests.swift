import ApusDatasets
import ApusJSON
import ApusRunLog
import ApusText
import ApusTorch
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

extension TinyRun {
    /// An adapter that makes a teacher of the tiny model.
    static let teacher = URL(fileURLWithPath: fixtures).appendingPathComponent("../distillation/teacher")
        .standardizedFileURL.path

    /// A run that learns from a teacher.
    init(distilling share: Double, rows: Int = 12) throws {
        try self.init(rows: rows)
        settings.preferences = PreferenceSettings(.gkd)
        settings.encoding.lossScale = .lastRound
        settings.preferences?.distillation.teacherAdapters = [Self.teacher]
        settings.preferences?.distillation.lmbda = share
        settings.preferences?.policy.maxCompletionLength = 6
    }

    /// What was printed.
    func told() throws -> String {
        let output = Recorder()
        var training = try FineTuning(settings)
        training.console = output.console
        _ = try training()
        return output.text
    }
}

/// `apus rlhf --rlhf_type gkd` on a tiny model, from rows to a checkpoint that answers.
@Suite(.serialized) struct DistillationRunTests {
    @Test(
        arguments: [
            Case("teacher: the model with the adapter") { _ in },
            Case("teacher: a second model") { $0.preferences?.distillation.teacherModel = $0.model.name },
            Case("teacher: a second model") { $0.model.tunerType = .full },
            Case("teacher: the model without its adapter") {
                $0.preferences?.distillation.teacherAdapters = []
                $0.preferences?.distillation.sftAlpha = 0.5
            },
            Case("teacher: the model with the adapter") { $0.preferences?.distillation.logitsTopK = 4 },
        ] as [Case])
    func everyTeacherTeaches(_ it: Case) throws {
        let run = try TinyRun(distilling: 0.5).with {
            $0.data.splitDatasetRatio = 0.34
            $0.optimization.maxSteps = 4
            $0.evaluation.saveSteps = 4
            $0.evaluation.metricForBestModel = "loss"
            it.change(&$0)
        }
        let text = try run.told()
        #expect(text.contains(it.reason), "\(text)")
        let rows = try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8).split(separator: "\n")
            .compactMap { try JSONValue(parsing: String($0)).objectValue }
        let last = try #require(rows.last { $0["eval_loss"] != nil })
        let timing: Set = ["eval_runtime", "eval_samples_per_second", "eval_steps_per_second"]
        let reported = last.keys.filter { $0.hasPrefix("eval_") && !timing.contains($0) }
            .map { String($0.dropFirst(5)) }
        #expect(reported == run.settings.task.metrics(loss: nil, problem: nil))
        // Steps that learn from the model's own answers say how long those were, and have no likelihood.
        let own = rows.filter { $0["completions/mean_length"] != nil }
        #expect(!own.isEmpty && own.allSatisfy { $0["nll_loss"] == nil })
        #expect(rows.contains { $0["loss"] != nil && $0["completions/mean_length"] == nil })

        let checkpoint = "\(run.output)/checkpoint-4"
        let arguments = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(checkpoint)/args.json")))
        let again = try RLHFSettings(argsJSON: try #require(arguments.objectValue))
        #expect(again.preferences.method == .gkd && again.preferences.chosenBeta == 0.5)
        let given = run.settings.preferences?.distillation
        #expect(again.preferences.distillation.teacherAdapters == given?.teacherAdapters)
        let isFull = run.settings.model.tunerType == .full
        var settings = InferSettings(model: isFull ? checkpoint : run.settings.model.name ?? "")
        if !isFull { settings.model.adapters = [checkpoint] }
        settings.data.valDataset = ["\(run.folder.path)/rows.jsonl#2"]
        settings.resultPath = "\(run.folder.path)/result.jsonl"
        settings.generation.maxNewTokens = 2
        settings.hardware.device = .cpu
        try Inference(settings)()
        let files = try FileManager.default.contentsOfDirectory(atPath: checkpoint)
        #expect(!files.contains("ref_adapter"))
    }

    /// A run that was stopped goes on as if nothing had happened, also where it samples.
    @Test(arguments: [0, 0.5, 1], [TunerType.lora, .full])
    func interruptedIsUninterrupted(share: Double, tuner: TunerType) throws {
        let run = try TinyRun(distilling: share).with {
            $0.model.tunerType = tuner
            $0.preferences?.distillation.sftAlpha = 0.1
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        #expect(log.count == 6)
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    /// A model of 64 tokens has less room behind its questions than was asked for.
    @Test func roomForAnswers() throws {
        let run = try TinyRun(distilling: 1).with { $0.optimization.maxSteps = 1 }
        #expect(try !run.told().contains("the model was made for"))
        let text = try run.with {
            $0.preferences?.policy.maxCompletionLength = 4000
            $0.outputDirectoryName("long")
        }.told()
        // <|im_start|>user\nn 11<|im_end|>\n<|im_start|>assistant\n, of which each byte is a token.
        #expect(
            text.contains(
                "note: --max_completion_length 4000: the model was made for 64 tokens, so that answers to the longest "
                    + "question have at most \(64 - 23)"), "\(text)")
    }

    @Test(arguments: [0, 1.0]) func microBatchesDoNotMatter(share: Double) throws {
        let run = try TinyRun(distilling: share)
        try run()
        let split = run.with {
            $0.optimization.perDeviceTrainBatchSize = 1
            $0.optimization.gradientAccumulationSteps = 4
            $0.outputDirectoryName("split")
        }
        try split()
        for (a, b) in zip(try run.logged("loss"), try split.logged("loss")) { #expect(abs(a - b) <= 1e-5) }
        // Another seed samples other answers.
        guard share > 0 else { return }
        func first(_ seed: Int) throws -> Double? {
            let other = run.with {
                $0.model.tunerType = .full
                $0.model.seed = seed
                $0.data.dataSeed = 42
                $0.optimization.maxSteps = 1
                $0.evaluation.saveStrategy = .no
                $0.outputDirectoryName("seed-\(seed)")
            }
            try other()
            return try other.logged("loss").first
        }
        #expect(try first(42) == first(42) && first(42) != first(43))
    }

    /// What the teacher finds probable is learned, from the data's answers and from the model's own.
    @Test(arguments: [0, 1.0]) func divergenceFalls(share: Double) throws {
        let run = try TinyRun(distilling: share).with {
            $0.optimization.maxSteps = 60
            $0.evaluation.saveStrategy = .no
        }
        try run()
        let losses = try run.logged("loss")
        let (first, last) = (losses.prefix(4).reduce(0, +) / 4, losses.suffix(4).reduce(0, +) / 4)
        print("distillation with λ \(share): \(first) to \(last)")
        #expect(last < 0.7 * first, "\(first) \(last)")
    }

    // MARK: - The teacher's words

    private func row(_ index: Int, teacher: String? = nil) -> String {
        let words = teacher.map { ", \"teacher_prompt\": \"\($0)\"" } ?? ""
        return #"{"messages": [{"role": "user", "content": "n \#(index)"}, "#
            + #"{"role": "assistant", "content": "\#(index)!"}]\#(words)}"# + "\n"
    }

    /// A model learns without other words what it says with them.
    @Test func wordsOfTheTeacherAlone() throws {
        let run = try TinyRun(distilling: 0).with {
            $0.preferences?.distillation.teacherAdapters = []
            $0.optimization.maxSteps = 4
        }
        try run.folder.write((0..<8).map { row($0, teacher: "say \($0) at once") }.joined(), to: "rows.jsonl")
        let text = try run.told()
        #expect(text.contains("teacher: the model without its adapter"), "\(text)")
        #expect(text.contains("what the teacher reads of it") && text.contains("say "), "\(text)")
        #expect(try run.logged("loss").allSatisfy { $0 > 1e-4 })
    }

    @Test func rowsThatCannotBeUsedAreNamed() throws {
        let run = try TinyRun(distilling: 0).with {
            $0.optimization.maxSteps = 2
            $0.encoding.maxLength = 60
            $0.encoding.truncationStrategy = .right
        }
        let long = String(repeating: "and ", count: 10)
        try run.folder.write(
            (0..<6).map { row($0) }.joined() + row(6, teacher: long)
                + #"{"query": "q", "response": "a", "teacher_prompt": 5}"#
                + "\n" + #"{"messages": [{"role": "assistant", "content": "a"}], "teacher_prompt": "q"}"#,
            to: "rows.jsonl")
        try run()
        let dropped = try String(contentsOfFile: "\(run.output)/dropped.jsonl", encoding: .utf8)
        for (line, reason) in [
            (7, "the answer has other tokens behind teacher_prompt"), (8, "teacher_prompt is not a text"),
            (9, "teacher_prompt without a question"),
        ] { #expect(dropped.contains("\"line\": \(line), \"reason\": \"\(reason)\""), "\(dropped)") }
    }

    /// Questions alone are enough where every answer is the model's own.
    @Test func questionsWithoutAnswers() throws {
        let questions = (0..<6).map { #"{"messages": [{"role": "user", "content": "n \#($0)"}]}"# + "\n" }.joined()
        let run = try TinyRun(distilling: 1).with { $0.optimization.maxSteps = 3 }
        try run.folder.write(questions + #"{"query": "n 7"}"#, to: "rows.jsonl")
        try run()
        #expect(try run.logged("completions/mean_length").count == 3)
        #expect(!FileManager.default.fileExists(atPath: "\(run.output)/dropped.jsonl"))
        // What is measured of validation data are the data's answers.
        let refusal = run.with {
            $0.data.valDataset = $0.data.dataset
            $0.outputDirectoryName("measured")
        }.refusal()
        #expect(refusal.contains("no assistant message to learn from"), "\(refusal)")
        let both = run.with {
            $0.preferences?.distillation.lmbda = 0.5
            $0.outputDirectoryName("both")
        }.refusal()
        #expect(both.contains("no assistant message to learn from"), "\(both)")
    }

    // MARK: - Wrong inputs

    @Test func teachersThatCannotTeach() throws {
        let run = try TinyRun(distilling: 0).with { $0.preferences?.distillation.teacherAdapters = [] }
        #expect(run.refusal().contains("would learn to stay as it is"), "\(run.refusal())")
        let missing = run.with { $0.preferences?.distillation.teacherAdapters = ["/nowhere"] }.refusal()
        #expect(missing.contains("nowhere"), "\(missing)")
        let other = "\(run.folder.path)/other"
        try FileManager.default.copyItem(atPath: run.settings.model.name ?? "", toPath: other)
        let second = run.with { $0.preferences?.distillation.teacherModel = other }
        let type = second.with { $0.preferences?.distillation.teacherModelType = "llama" }.refusal()
        #expect(type.contains("--teacher_model_type is llama"), "\(type)")
        let words = try String(contentsOfFile: "\(other)/tokenizer.json", encoding: .utf8)
        try run.folder.write(words.replacing("<|im_start|>", with: "<|begin|>"), to: "other/tokenizer.json")
        let spelled = second.refusal()
        let wanted = #"its token 257 is "<|begin|>", that of the trained model "<|im_start|>""#
        #expect(spelled.contains(wanted), "\(spelled)")
        let reads = run.with {
            $0.preferences?.distillation.teacherModel = "\(TinyRun.fixtures)/../seq2seq/t5"
        }.refusal()
        #expect(!reads.isEmpty)
    }

    /// A teacher whose table has more rows for the same tokens.
    @Test func paddedTablesAreCut() throws {
        let run = try TinyRun(distilling: 0.5).with { $0.optimization.maxSteps = 2 }
        // The same weights with rows of zeros behind.
        let padded = "\(run.folder.path)/padded"
        try TinyRun.pad(run.settings.model.name ?? "", to: padded, rows: 264)
        let text = try run.with {
            $0.preferences?.distillation.teacherModel = padded
            $0.outputDirectoryName("padded-run")
        }.told()
        #expect(text.contains("the tables have 259 and 264 rows for the same 259 tokens"), "\(text)")
        let plain = run.with {
            $0.preferences?.distillation.teacherModel = $0.model.name
            $0.outputDirectoryName("plain-run")
        }
        try plain()
        let there = run.with { $0.outputDirectoryName("padded-run") }
        for (a, b) in zip(try plain.logged("loss"), try there.logged("loss")) { #expect(abs(a - b) <= 1e-6) }
    }

    @Test func anotherRunIsRefused() throws {
        let run = try TinyRun(distilling: 0).with { $0.optimization.maxSteps = 2 }
        try run()
        for (change, reason) in [
            ({ $0.preferences?.distillation.lmbda = 0.25 }, "lmbda: 0 there, 0.25 here"),
            ({ $0.preferences?.policy.temperature = 1 }, "temperature: 0.9 there, 1 here"),
            ({ $0.preferences?.beta = 0 }, "beta: 0.5 there, 0 here"),
        ] as [((inout SFTSettings) -> Void, String)] {
            let refusal = run.with {
                $0.evaluation.resumeFromCheckpoint = "last"
                change(&$0)
            }.refusal()
            #expect(refusal.contains("belongs to another run") && refusal.contains(reason), "\(refusal)")
        }
    }

    private func settings(_ words: [String]) throws -> (settings: RLHFSettings, notices: [String]) {
        var notices: [String] = []
        let line = try ArgumentLine(["--model", "m", "--dataset", "d.jsonl", "--rlhf_type", "gkd"] + words, for: .rlhf)
        return (try RLHFSettings(line, notices: &notices), line.notices + notices)
    }

    @Test func defaultsAreThoseOfMSSwift() throws {
        let plain = try settings([]).settings.preferences
        #expect(plain.chosenBeta == 0.5 && plain.distillation.lmbda == 0.5 && plain.policy.temperature == 0.9)
        #expect(plain.policy.completionLimit == 512 && plain.distillation.sftAlpha == 0)
        #expect(plain.distillation.logitsTopK == nil && plain.chosenLossScale == .lastRound)
        #expect(try settings(["--max_new_tokens", "64"]).settings.preferences.policy.completionLimit == 64)
        #expect(try settings(["--beta", "0"]).settings.preferences.chosenBeta == 0)
    }

    @Test(arguments: [
        (["--beta", "1.5"], "--beta 1.5"), (["--lmbda", "1.5"], "--lmbda"), (["--temperature", "0"], "--temperature"),
        (["--teacher_adapters", "a", "b"], "got 2, wanted one"), (["--gkd_logits_topk", "0"], "--gkd_logits_topk"),
        (["--teacher_model_server", "http://127.0.0.1:1"], "No server is asked"),
        (["--teacher_model_revision", "main"], "apus download"),
        (["--loss_type", "sigmoid"], "It has one loss"), (["--ref_model", "m"], "compares with no reference"),
        (["--rlhf_type", "dpo", "--beta", "0"], "more than 0"), (["--sft_alpha", "-1"], "--sft_alpha"),
        (["--packing", "true"], "--packing"), (["--truncation_strategy", "split"], "split"),
    ])
    func contradictionsAreRefused(_ words: [String], _ part: String) {
        do {
            _ = try settings(words)
            Issue.record("\(words) was accepted")
        } catch { #expect("\(error)".contains(part), "\(error)") }
    }

    @Test(arguments: [
        (["--rlhf_type", "dpo", "--lmbda", "0.1"], "--lmbda: without effect, because --rlhf_type is dpo"),
        (["--label_smoothing", "0.1"], "--label_smoothing: without effect, because --rlhf_type is gkd"),
        (["--seq_kd", "true"], "--seq_kd"), (["--teacher_deepspeed", "zero3"], "--teacher_deepspeed"),
        (["--offload_teacher_model", "true"], "--offload_teacher_model"),
    ])
    func whatHasNoEffectIsSaid(_ words: [String], _ part: String) throws {
        let notices = try settings(words).notices
        #expect(notices.contains { $0.contains(part) }, "\(notices)")
    }
}

extension TinyRun {
    /// A copy of a model whose table of words goes on with rows of ones, which no token has.
    static func pad(_ model: String, to copy: String, rows: Int) throws {
        try FileManager.default.copyItem(atPath: model, toPath: copy)
        let config = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(copy)/config.json")))
        var object = try #require(config.objectValue)
        object["vocab_size"] = .int(rows)
        try Data(JSONValue.object(object).serialized().utf8).write(to: URL(fileURLWithPath: "\(copy)/config.json"))
        let file = try SafetensorsFile(path: "\(model)/model.safetensors")
        let sources = try file.tensorNames.map { name in
            var tensor = try file.tensor(name, dtype: .float32, device: .cpu).tensor
            if name == "model.embed_tokens.weight" {
                tensor =
                    try rows < tensor.shape[0]
                    ? tensor.indexed(0, Tensor(Array(0..<Int32(rows))))
                    : concatenated([tensor, Tensor.ones([rows - tensor.shape[0], tensor.shape[1]])])
            }
            return WeightSource(name, tensor)
        }
        try SafetensorsWriter.write(sources, to: "\(copy)/model.safetensors")
    }
}
