import ApusDatasets
import ApusJSON
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

extension TinyRun {
    /// A run that learns preferences of a few answers.
    init(preferring method: PreferenceMethod, rows: Int = 12) throws {
        try self.init()
        try folder.write((0..<rows).map { Self.row($0, method) + "\n" }.joined(), to: "rows.jsonl")
        settings.preferences = PreferenceSettings(method)
        settings.encoding.lossScale = settings.preferences?.chosenLossScale ?? .lastRound
    }

    static func row(_ index: Int, _ method: PreferenceMethod) -> String {
        let question = #"{"role": "user", "content": "n \#(index)"}"#
        func messages(_ answer: String) -> String {
            #""messages": [\#(question), {"role": "assistant", "content": "\#(answer)"}]"#
        }
        let (good, bad) = ("\(index * 7 % 10)!", "no \(index)")
        if method == .kto {
            return "{\(messages(index % 2 == 0 ? good : bad)), \"label\": \(index % 2 == 0)}"
        }
        return "{\(messages(good)), \"rejected_response\": \"\(bad)\"}"
    }

    /// What was logged of each step.
    func logged(_ key: String) throws -> [Double] {
        let text = try String(contentsOfFile: "\(output)/logging.jsonl", encoding: .utf8)
        return try text.split(separator: "\n").compactMap { try JSONValue(parsing: String($0))[key]?.doubleValue }
    }
}

/// `apus rlhf` on a tiny model, from rows to a checkpoint that answers.
@Suite(.serialized) struct PreferenceRunTests {
    /// What an evaluation reports is what the method says that it does; a checkpoint answers, and its settings come back.
    @Test(arguments: PreferenceMethod.allCases.filter { ![.grpo, .ppo, .gkd].contains($0) }, [TunerType.lora, .full])
    func everyMethodRuns(method: PreferenceMethod, tuner: TunerType) throws {
        let run = try TinyRun(preferring: method).with {
            $0.model.tunerType = tuner
            $0.data.splitDatasetRatio = 0.34
            $0.optimization.maxSteps = 2
            $0.evaluation.saveSteps = 2
            $0.evaluation.perDeviceEvalBatchSize = 2
            $0.evaluation.metricForBestModel = "rewards/margins"
        }
        let outcome = try run()
        #expect(outcome.bestCheckpoint != nil)
        let text = try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8)
        let last = try #require(
            try text.split(separator: "\n").compactMap { try JSONValue(parsing: String($0)).objectValue }
                .last { $0["eval_loss"] != nil })
        let timing: Set = ["runtime", "samples_per_second", "steps_per_second"]
        let reported = last.keys.filter { $0.hasPrefix("eval_") }.map { String($0.dropFirst(5)) }
        #expect(
            reported.filter { !timing.contains($0) }
                == PreferenceLearning(run.settings.preferences ?? PreferenceSettings()).metrics(loss: nil, problem: nil)
        )

        let checkpoint = "\(run.output)/checkpoint-2"
        let arguments = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(checkpoint)/args.json")))
        #expect(arguments["rlhf_type"]?.stringValue == method.rawValue)
        #expect(arguments["task_type"]?.stringValue == (method == .rewardModel ? "seq_cls" : "causal_lm"))
        if method == .rewardModel, tuner == .lora {
            let card = try String(contentsOfFile: "\(checkpoint)/README.md", encoding: .utf8)
            #expect(card.contains(".from_pretrained(\".\", num_labels=1)"))
        }
        let again = try RLHFSettings(argsJSON: try #require(arguments.objectValue))
        #expect(again.preferences.method == method)
        #expect(again.preferences.chosenBeta == run.settings.preferences?.chosenBeta)

        var settings =
            tuner == .full ? InferSettings(model: checkpoint) : InferSettings(model: run.settings.model.name ?? "")
        if tuner == .lora { settings.model.adapters = [checkpoint] }
        settings.data.valDataset = ["\(run.folder.path)/rows.jsonl#2"]
        settings.resultPath = "\(run.folder.path)/result.jsonl"
        settings.generation.maxNewTokens = 2
        settings.hardware.device = .cpu
        try Inference(settings)()
        let rows = try String(contentsOfFile: settings.resultPath ?? "", encoding: .utf8).split(separator: "\n")
        #expect(rows.count == 2)
        for row in rows {
            let response = try JSONValue(parsing: String(row))["response"]
            #expect(method == .rewardModel ? response?.doubleValue != nil : response?.stringValue != nil)
        }
    }

    /// What is said of dropout is so: by an option that there is, and of a reference where there is one.
    @Test(
        arguments: [
            (
                .dpo, TunerType.lora,
                "note: nothing is dropped (--lora_dropout and the like), so that model and reference are"
            ),
            (.dpo, .full, "note: nothing is dropped, so that model and reference are measured alike\n"),
            (.orpo, .lora, "note: nothing is dropped (--lora_dropout and the like)\n"),
            (.rewardModel, .lora, "note: nothing is dropped (--lora_dropout and the like)\n"),
        ] as [(PreferenceMethod, TunerType, String)])
    func dropoutIsTold(method: PreferenceMethod, tuner: TunerType, note: String) throws {
        let run = try TinyRun(preferring: method).with {
            $0.model.tunerType = tuner
            $0.optimization.maxSteps = 2
        }
        let text = try run.told()
        #expect(text.contains(note), "\(text)")
        // A head that goes on has the values that it learned.
        guard method == .rewardModel else { return }
        #expect(text.contains("newly initialised: score.weight"), "\(text)")
        let on = try run.with {
            $0.model.adapters = ["\(run.output)/checkpoint-2"]
            $0.outputDirectoryName("on")
        }.told()
        #expect(!on.contains("newly initialised"), "\(on)")
    }

    /// Whatever the model is compared with, it begins there: the loss of the first step is ln 2.
    @Test(
        arguments: [
            Case("the model without its adapter") { _ in },
            Case("a second model") { $0.model.tunerType = .full },
            Case("the model without its adapter") { $0.tuner.loraDropout = 0.5 },
            // What the adapter takes out of the base, or trains of it, is not in the reference.
            Case("a second model") { $0.tuner.methodOptions["init_weights"] = .text("pissa") },
            Case("a second model") { $0.tuner.modulesToSave = ["embed_tokens"] },
            Case("a second model") { $0.preferences?.refModel = $0.model.name },
            Case("the model without its adapter") { $0.model.tunerType = TunerType(rawValue: "ia3") ?? .lora },
            Case("the model without its adapter") { $0.optimization.gradientCheckpointing = true },
            Case("the model without its adapter") { $0.preferences?.precomputesReference = true },
            Case("a second model") {
                $0.preferences?.precomputesReference = true
                $0.model.tunerType = .full
            },
            Case("the model without its adapter") {
                $0.model.quantization.method = .bitsAndBytes
                $0.model.quantization.bits = 4
            },
        ] as [Case])
    func firstLossIsLnTwo(_ it: Case) throws {
        let run = try TinyRun(preferring: .dpo).with {
            $0.optimization.maxSteps = 2
            it.change(&$0)
        }
        let output = Recorder()
        var training = try FineTuning(run.settings)
        training.console = output.console
        _ = try training()
        #expect(output.text.contains("reference: \(it.reason)"), "\(output.text)")
        let losses = try run.logged("loss")
        #expect(abs(losses[0] - log(2)) <= 1e-6, "\(losses)")
        #expect(abs(losses[1] - log(2)) > 1e-6)
        // What PiSSA takes out of the base and puts into the adapter is rounded.
        let takesOut = run.settings.tuner.methodOptions["init_weights"] == .text("pissa")
        #expect(try abs(run.logged("rewards/margins")[0]) <= (takesOut ? 1e-5 : 0))
    }

    /// An adapter goes on, compared with itself as it was.
    @Test func adapterAsTheReference() throws {
        let first = try TinyRun(preferring: .orpo).with { $0.optimization.maxSteps = 4 }
        try first()
        let adapter = "\(first.output)/checkpoint-4"
        let bare = first.with {
            $0.preferences = PreferenceSettings(.dpo)
            $0.model.adapters = [adapter]
            $0.outputDirectoryName("bare")
            $0.optimization.maxSteps = 2
        }
        try bare()
        #expect(try abs(bare.logged("loss")[0] - log(2)) > 1e-6)
        let own = bare.with {
            $0.preferences?.refAdapters = [adapter]
            $0.outputDirectoryName("own")
        }
        try own()
        #expect(try abs(own.logged("loss")[0] - log(2)) <= 1e-6)
        // What is saved is the adapter that trains alone.
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(own.output)/checkpoint-2")
        #expect(files.contains("adapter_model.safetensors") && !files.contains("ref_adapter"))
    }

    /// Where what trains takes the place of parts of the model, the reference is another model with the adapter.
    @Test func adapterAsTheReferenceOfChangedParts() throws {
        let first = try TinyRun(preferring: .orpo).with { $0.optimization.maxSteps = 2 }
        try first()
        for (name, change) in [
            ("saved", { $0.tuner.modulesToSave = ["norm"] }),
            ("pissa", { $0.tuner.methodOptions["init_weights"] = .text("pissa") }),
        ] as [(String, (inout SFTSettings) -> Void)] {
            let run = first.with {
                $0.preferences = PreferenceSettings(.dpo)
                $0.preferences?.refAdapters = ["\(first.output)/checkpoint-2"]
                $0.outputDirectoryName(name)
                change(&$0)
            }
            let output = Recorder()
            var training = try FineTuning(run.settings)
            training.console = output.console
            _ = try training()
            #expect(output.text.contains("reference: a second model"), "\(name)")
        }
    }

    /// What supervised losses have is refused by name.
    @Test(arguments: [
        "--label_smoothing_factor 0.1", "--enable_dft_loss true", "--enable_channel_loss true", "--acc_strategy seq",
        "--neftune_noise_alpha 5",
    ])
    func optionsOfOtherLosses(words: String) throws {
        let given = words.split(separator: " ").map(String.init)
        func line(_ words: [String]) throws -> ArgumentLine {
            try ArgumentLine(["--model", "m", "--dataset", "d"] + words, for: .rlhf)
        }
        #expect { try line(given) } throws: { "\($0)".contains(given[0]) }
        #expect(throws: Never.self) {
            try line([given[0], given[0].hasSuffix("strategy") ? "token" : given[1] == "true" ? "false" : "0"])
        }
    }

    /// A run that was stopped goes on as if nothing had happened, also where something is remembered of all pairs.
    @Test(
        arguments: [
            (.dpo, [.sigmoid]), (.dpo, [.bcoPair, .sft]), (.kto, []), (.rewardModel, []), (.orpo, []),
        ] as [(PreferenceMethod, [PreferenceLossType])], [TunerType.lora, .full])
    func interruptedIsUninterrupted(
        of what: (method: PreferenceMethod, losses: [PreferenceLossType]), tuner: TunerType
    ) throws {
        let run = try TinyRun(preferring: what.method).with {
            $0.preferences?.lossType = what.losses
            $0.model.tunerType = tuner
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    /// What the reference says can be asked before the run, of validation data too.
    @Test(arguments: [PreferenceMethod.dpo, .kto]) func askedBefore(method: PreferenceMethod) throws {
        let run = try TinyRun(preferring: method).with {
            $0.model.tunerType = .full
            $0.data.splitDatasetRatio = 0.34
            $0.evaluation.perDeviceEvalBatchSize = 3
        }
        try run()
        let before = run.with {
            $0.preferences?.precomputesReference = true
            $0.outputDirectoryName("before")
        }
        try before()
        for key in ["loss", "eval_loss", "eval_rewards/chosen", "rewards/rejected"] {
            let (a, b) = (try run.logged(key), try before.logged(key))
            #expect(!a.isEmpty && a.count == b.count)
            for (a, b) in zip(a, b) { #expect(abs(a - b) <= 1e-4 * max(1, abs(a)), "\(key)") }
        }
    }

    /// Another way to learn is another run.
    @Test func anotherRunIsRefused() throws {
        let run = try TinyRun(preferring: .dpo).with { $0.optimization.maxSteps = 2 }
        try run()
        for (change, reason) in [
            ({ $0.preferences?.beta = 0.5 }, "beta: 0.1 there, 0.5 here"),
            ({ $0.preferences?.lossType = [.ipo] }, #"loss_type: ["sigmoid"] there, ["ipo"] here"#),
            ({ $0.preferences = PreferenceSettings(.orpo) }, #"rlhf_type: "dpo" there, "orpo" here"#),
        ] as [((inout SFTSettings) -> Void, String)] {
            let refusal = run.with {
                $0.evaluation.resumeFromCheckpoint = "last"
                change(&$0)
            }.refusal()
            #expect(refusal.contains("belongs to another run") && refusal.contains(reason), "\(refusal)")
        }
    }

    /// Micro-batches do not matter, where a loss does not look at them.
    @Test(arguments: [PreferenceMethod.dpo, .orpo, .cpo, .simpo, .kto, .rewardModel])
    func microBatchesDoNotMatter(method: PreferenceMethod) throws {
        let run = try TinyRun(preferring: method)
        try run()
        let split = run.with {
            $0.optimization.perDeviceTrainBatchSize = 1
            $0.optimization.gradientAccumulationSteps = 4
            $0.outputDirectoryName("split")
        }
        try split()
        for (a, b) in zip(try run.logged("loss"), try split.logged("loss")) { #expect(abs(a - b) <= 1e-5) }
    }

    /// Twelve pairs are learned: the chosen answer is rewarded more.
    @Test func marginsGrow() throws {
        let run = try TinyRun(preferring: .dpo).with {
            $0.optimization.maxSteps = 60
            $0.evaluation.saveStrategy = .no
        }
        try run()
        #expect(try run.logged("rewards/accuracies").suffix(3).allSatisfy { $0 == 1 })
        #expect(try #require(try run.logged("rewards/margins").last) > 0.5)
        let pictures = try FileManager.default.contentsOfDirectory(atPath: "\(run.output)/images")
        for name in ["train_rewards_margins.png", "train_rewards_accuracies.png", "train_logps_chosen.png"] {
            #expect(pictures.contains(name), "\(pictures)")
        }
    }

    // MARK: - Wrong inputs

    @Test func rowsThatCannotBeUsedAreNamed() throws {
        let run = try TinyRun(preferring: .dpo).with { $0.optimization.maxSteps = 2 }
        let good = (0..<6).map { TinyRun.row($0, .dpo) }
        let bad = [
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#,
            #"{"prompt": "q", "chosen": "a", "rejected": "a"}"#,
            #"{"prompt": "q", "rejected": "a"}"#,
        ]
        try run.folder.write((good + bad).joined(separator: "\n"), to: "rows.jsonl")
        try run()
        let dropped = try String(contentsOfFile: "\(run.output)/dropped.jsonl", encoding: .utf8)
        for (line, reason) in [
            (7, "no rejected answer"), (8, "the chosen and the rejected answer are the same"), (9, "no chosen answer"),
        ] { #expect(dropped.contains("\"line\": \(line), \"reason\": \"\(reason)\""), "\(dropped)") }
        let strict = run.with {
            $0.data.strict = true
            $0.outputDirectoryName("strict")
        }.refusal()
        #expect(strict.contains("rows.jsonl:7") && strict.contains("no rejected answer"), "\(strict)")
    }

    @Test func answersOfOneKind() throws {
        let run = try TinyRun(preferring: .kto)
        try run.folder.write((0..<6).map { TinyRun.row(2 * $0, .kto) + "\n" }.joined(), to: "rows.jsonl")
        #expect(run.refusal().contains("all 6 answers have the label true"))
        try run.folder.write((0..<6).map { TinyRun.row($0, .dpo) + "\n" }.joined(), to: "rows.jsonl")
        #expect(run.refusal().contains("no label"))
    }

    /// Validation answers of one kind measure what that kind has, and choose checkpoints by nothing else.
    @Test func heldOutAnswersOfOneKind() throws {
        let run = try TinyRun(preferring: .kto)
        try run.folder.write((0..<4).map { TinyRun.row(2 * $0, .kto) + "\n" }.joined(), to: "held.jsonl")
        func measured(by metric: String) -> TinyRun {
            run.with {
                $0.data.valDataset = ["\(run.folder.path)/held.jsonl"]
                $0.evaluation.metricForBestModel = metric
                $0.optimization.maxSteps = 2
                $0.outputDirectoryName("by")
            }
        }
        for (metric, kind) in [("rewards/margins", "both labels"), ("eval_logps/rejected", "the other")] {
            let refusal = measured(by: metric).refusal()
            #expect(refusal.contains("all 4 validation answers have the label true"), "\(refusal)")
            #expect(refusal.contains("it is of \(kind)"), "\(refusal)")
        }
        #expect(try measured(by: "rewards/chosen")().bestCheckpoint != nil)
    }

    /// Every id must stand for the same token; what rows the tables have behind them is of no account.
    @Test func referenceOfAnotherVocabulary() throws {
        let run = try TinyRun(preferring: .dpo).with { $0.optimization.maxSteps = 2 }
        let (model, other) = (run.settings.model.name ?? "", "\(run.folder.path)/other")
        try FileManager.default.copyItem(atPath: model, toPath: other)
        let tokenizer = try String(contentsOfFile: "\(other)/tokenizer.json", encoding: .utf8)
        try run.folder.write(tokenizer.replacing("<|im_start|>", with: "<|begin|>"), to: "other/tokenizer.json")
        let refusal = run.with { $0.preferences?.refModel = other }.refusal()
        #expect(refusal.contains("--ref_model \(other): its token 257 is \"<|begin|>\""), "\(refusal)")
        let padded = "\(run.folder.path)/padded"
        try TinyRun.pad(model, to: padded, rows: 264)
        let output = Recorder()
        var training = try FineTuning(
            run.with {
                $0.preferences?.refModel = padded
                $0.outputDirectoryName("padded-run")
            }.settings)
        training.console = output.console
        _ = try training()
        #expect(output.text.contains("the tables have 259 and 264 rows for the same 259 tokens"), "\(output.text)")
        // A token that one of them has no row for.
        let short = "\(run.folder.path)/short"
        try TinyRun.pad(model, to: short, rows: 258)
        let fewer = run.with { $0.preferences?.refModel = short }.refusal()
        #expect(fewer.contains("token 258 (\"<|im_end|>\") has a row in one of them alone"), "\(fewer)")
        let missing = run.with { $0.preferences?.refAdapters = ["\(run.folder.path)/nowhere"] }.refusal()
        #expect(missing.contains("nowhere"), "\(missing)")
    }

    /// A text that an encoder reads first is no conversation that goes on.
    @Test func modelsThatReadAndWrite() throws {
        let run = try TinyRun(preferring: .dpo)
        try run.useLetters("seq2seq/t5", ["eos_token_id": 3])
        #expect(run.refusal().contains("read a text and write another"))
    }
}

extension SFTSettings {
    /// Writes into a folder beside the present one.
    mutating func outputDirectoryName(_ name: String) {
        output.outputDirectory = "\((outputDirectory as NSString).deletingLastPathComponent)/\(name)"
    }
}
