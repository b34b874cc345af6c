import ApusDatasets
import ApusJSON
import ApusRewards
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

extension TinyRun {
    /// A run that learns from its own answers to a few questions; short ones are good.
    init(sampling rows: Int) throws {
        try self.init()
        let lines = (0..<rows).map {
            #"{"messages": [{"role": "user", "content": "n \#($0)"}], "solution": "\#($0)"}"# + "\n"
        }
        try folder.write(lines.joined(), to: "rows.jsonl")
        settings.preferences = PreferenceSettings(.grpo)
        settings.encoding.usualTruncation = .left
        settings.evaluation.usualMetric = "reward"
        settings.preferences?.rewards.rewardFuncs = ["soft_overlong"]
        settings.preferences?.rewards.options.softMaxLength = 7
        settings.preferences?.rewards.options.softCacheLength = 6
        settings.preferences?.policy.numGenerations = 4
        settings.preferences?.policy.maxCompletionLength = 6
        settings.optimization.perDeviceTrainBatchSize = 4
        settings.optimization.gradientAccumulationSteps = 2
        settings.output.loggingSteps = 1
    }
}

/// `apus rlhf --rlhf_type grpo` on a tiny model.
@Suite(.serialized) struct PolicyRunTests {
    private typealias Change = (inout SFTSettings) -> Void

    /// A run that was stopped goes on as if nothing had happened, also between the uses of a round.
    @Test(arguments: [(1, 2, 2), (2, 2, 1), (4, 1, 1), (1, 3, 2)], [TunerType.lora, .full])
    func interruptedIsUninterrupted(
        of sizes: (iterations: Int, batches: Int, accumulation: Int), tuner: TunerType
    ) throws {
        let run = try TinyRun(sampling: 8).with {
            $0.model.tunerType = tuner
            $0.preferences?.policy.numIterations = sizes.iterations
            $0.preferences?.policy.stepsPerGeneration = sizes.batches
            $0.preferences?.policy.logCompletions = true
            $0.optimization.gradientAccumulationSteps = sizes.accumulation
        }
        try run()
        let answers = "\(run.output)/completions.jsonl"
        let (whole, log, told) = (try run.numbers(6), try run.losses(), try Data(contentsOf: URL(filePath: answers)))
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
        #expect(try Data(contentsOf: URL(filePath: answers)) == told)
        let lines = String(decoding: told, as: UTF8.self).split(separator: "\n")
        let round = try JSONValue(parsing: String(try #require(lines.first)))
        let count = 4 * sizes.batches
        for key in ["step", "prompt", "completion", "SoftOverlong", "advantages", "solution"] {
            #expect(round[key]?.arrayValue?.count == count, "\(key)")
        }
    }

    /// Token by token too.
    @Test(arguments: [1, 2], [TunerType.lora, .full])
    func interruptedProximalRun(miniBatches: Int, tuner: TunerType) throws {
        let run = try TinyRun(sampling: 16).with {
            $0.model.tunerType = tuner
            $0.preferences?.method = .ppo
            $0.preferences?.proximal.numPPOEpochs = 3
            $0.preferences?.proximal.numMiniBatches = miniBatches
        }
        try run()
        let (whole, told) = (try run.numbers(6), try run.losses())
        for key in [
            "objective/kl", "loss/value_avg", "val/ratio", "objective/scores", "policy/entropy_avg", "val/ratio_var",
            "eps",
        ] {
            #expect(try run.logged(key).allSatisfy(\.isFinite), "\(key)")
            #expect(try !run.logged(key).isEmpty, "\(key)")
        }
        // Answers asked for so far: eight or sixteen a round, which serves three or six steps.
        let episodes = miniBatches == 1 ? [8.0, 8, 8, 16, 16, 16] : [16.0, 16, 16, 16, 16, 16]
        #expect(try run.logged("episode") == episodes)
        #expect(try run.logged("eps").allSatisfy { $0 > 0 })
        // Behind a token may stand each of 259.
        #expect(try run.logged("policy/entropy_avg").allSatisfy { $0 > 0 && $0 <= log(259) + 1e-6 })
        // A step has two micro-batches. The model has not moved before the first, and then it has.
        let variances = try run.logged("val/ratio_var")
        #expect(variances.count == 6 && variances[0] <= 1e-9, "\(variances)")
        #expect(variances.max() ?? 0 > variances[0], "\(variances)")
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == told)
        #expect(try run.logged("episode") == episodes)
    }

    /// A conversation of several answers: what others said is not learned, and what the model said is as probable as it was
    /// drawn; a run that was stopped goes on with the same conversations.
    @Test(arguments: ["per_round", "total"]) func severalTurns(scope: String) throws {
        let run = try TinyRun(sampling: 8).with {
            $0.optimization.learningRate = 1e-12
            $0.preferences?.policy.completionLengthLimitScope = scope == "total" ? .total : .answer
            $0.preferences?.policy.maxTurns = 3
            $0.preferences?.policy.numIterations = 2
            $0.preferences?.policy.maxCompletionLength = 12
            $0.preferences?.policy.logCompletions = true
            $0.preferences?.policy.rolloutImportanceSamplingMode = .tokenTruncate
        }
        try run.folder.write(
            """
            import json, sys
            for line in sys.stdin:
                row = json.loads(line)
                assert row["messages"][-1]["role"] == "user" and len(row["messages"]) == 2 * row["turn"] - 1, row
                following = {"messages": [{"role": "user", "content": "again %d" % row["turn"]}]}
                print(json.dumps(following if "n" in row["messages"][0]["content"] else None), flush=True)
            """, to: "turns.py")
        let several = run.with {
            $0.preferences?.policy.multiTurnScheduler = "exec:python3 \(run.folder.path)/turns.py"
        }
        try several()
        let (whole, log) = (try several.numbers(6), try several.losses())
        #expect(try several.logged("rollout_correction/max").allSatisfy { abs($0 - 1) <= 1e-4 })
        let turns = try several.logged("num_turns")
        #expect(turns.contains { $0 > 1 } && turns.allSatisfy { $0 >= 1 && $0 <= 3 }, "\(turns)")
        let longest = try several.logged("completions/max_length").max() ?? 0
        #expect(scope == "total" ? longest <= 12 : longest > 12, "\(longest)")
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try several.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try several.numbers(6) == whole)
        #expect(try several.losses() == log)
    }

    /// The model is told once, in its own voice, that it was wrong, and goes on.
    @Test func mathTips() throws {
        let run = try TinyRun(sampling: 8).with {
            $0.preferences?.policy.multiTurnScheduler = "math_tip_trick"
            $0.preferences?.policy.maxCompletionLength = 12
            $0.preferences?.policy.logCompletions = true
            $0.preferences?.policy.rolloutImportanceSamplingMode = .tokenTruncate
            $0.optimization.maxSteps = 2
            $0.optimization.learningRate = 1e-12
        }
        // Room for the tip, of which each byte is a token.
        let config = "\(run.folder.path)/model/config.json"
        let text = try String(contentsOfFile: config, encoding: .utf8)
        try text.replacing("\"max_position_embeddings\": 64", with: "\"max_position_embeddings\": 256")
            .write(toFile: config, atomically: true, encoding: .utf8)
        try run()
        let ratios = try run.logged("rollout_correction/max")
        #expect(ratios.allSatisfy { abs($0 - 1) <= 1e-4 }, "\(ratios)")
        let told = try String(contentsOfFile: "\(run.output)/completions.jsonl", encoding: .utf8)
        let answers = try told.split(separator: "\n").flatMap {
            try JSONValue(parsing: String($0))["completion"]?.arrayValue ?? []
        }.compactMap(\.stringValue)
        // Each answer that ended by itself was wrong.
        #expect(answers.contains { $0.contains("But wait... It seems I made a mistake,") })
        let turns = try run.logged("num_turns")
        #expect(turns.allSatisfy { $0 > 1 && $0 <= 2 }, "\(turns)")
    }

    /// A form of answers that has no first token leaves nothing to learn from.
    @Test(arguments: ["", "()"]) func formsOfNothing(regex: String) throws {
        let refusal = try TinyRun(sampling: 8).with { $0.preferences?.policy.structuredOutputsRegex = regex }.refusal()
        #expect(refusal.contains("no token of the model begins an answer"), "\(refusal)")
    }

    /// What a scheduler says wrong is said before the run.
    @Test(arguments: [
        ("exec:echo hello", "wrote \"hello\""), ("exec:python3 -c 0", "ended with exit code 0"),
        ("gym_scheduler", "there is no scheduler"),
        (#"exec:echo '{"messages": [{"role": "assistant", "content": "x"}]}'"#, "wanted null, {"),
    ]) func schedulersThatFail(name: String, words: String) throws {
        let run = try TinyRun(sampling: 8).with { $0.preferences?.policy.multiTurnScheduler = name }
        let refusal = run.refusal()
        #expect(refusal.contains(words) && refusal.contains("--multi_turn_scheduler"), "\(refusal)")
    }

    /// Short answers are rewarded, and answers get shorter.
    @Test(arguments: [PreferenceMethod.grpo, .ppo]) func rewardsRise(method: PreferenceMethod) throws {
        let run = try TinyRun(sampling: 16).with {
            $0.preferences?.method = method
            $0.preferences?.proximal.numPPOEpochs = 1
            $0.optimization.maxSteps = 40
            $0.optimization.learningRate = method == .ppo ? 1e-2 : 5e-3
            $0.evaluation.saveStrategy = .no
        }
        try run()
        let rewards = try run.logged("reward")
        #expect(rewards.count == 40)
        let (first, last) = (rewards.prefix(5).reduce(0, +) / 5, rewards.suffix(5).reduce(0, +) / 5)
        #expect(last > first + 0.2, "\(rewards)")
        #expect(try run.logged("completions/mean_length").last ?? 9 < run.logged("completions/mean_length").first ?? 0)
        let pictures = try FileManager.default.contentsOfDirectory(atPath: "\(run.output)/images")
        // What is the same by two names is drawn once.
        let own = method == .ppo ? ["train_objective_scores", "train_objective_kl"] : ["train_reward", "train_kl"]
        for name in own + ["train_completions_mean_length"] {
            #expect(pictures.contains("\(name).png"), "\(name)")
        }
    }

    /// A reward sees as many tokens as are learned: the one that ended an answer is one of them, as in ms-swift and TRL.
    @Test func lengthsCountTheEnd() throws {
        let plain = try TinyRun(sampling: 8)
        let run = plain.with {
            $0.preferences?.rewards.rewardFuncs = ["exec:python3 \(plain.folder.path)/count.py"]
            $0.preferences?.policy.maxCompletionLength = 40
            $0.evaluation.saveStrategy = .no
        }
        try run.folder.write(
            """
            import json, sys
            for line in sys.stdin: print(len(json.loads(line)["token_ids"]), flush=True)
            """, to: "count.py")
        try run()
        let (rewards, lengths) = (try run.logged("reward"), try run.logged("completions/mean_length"))
        #expect(rewards.count == 6 && rewards == lengths, "\(rewards) \(lengths)")
        // Some ended by themselves.
        #expect(try run.logged("completions/clipped_ratio").contains { $0 < 1 })
    }

    /// What is asked of answers is also asked of those to questions that are held back, and the best checkpoint follows it.
    @Test func heldOutQuestions() throws {
        let run = try TinyRun(sampling: 12).with {
            $0.data.splitDatasetRatio = 0.34
            $0.evaluation.perDeviceEvalBatchSize = 3
            $0.optimization.maxSteps = 4
            $0.evaluation.saveSteps = 2
        }
        let outcome = try run()
        #expect(outcome.bestCheckpoint != nil)
        let rewards = try run.logged("eval_reward")
        #expect(rewards.count == 2 && rewards.allSatisfy { $0 <= 0 && $0 >= -1 })
        #expect(try run.logged("eval_rewards/SoftOverlong/mean") == rewards)
        #expect(try run.logged("eval_completions/mean_length").count == 2)
        #expect(try run.logged("eval_loss").count == 2)
    }

    /// Another way to sample, to reward or to learn is another run, and so are other rounds.
    @Test func anotherRunIsRefused() throws {
        let run = try TinyRun(sampling: 8).with {
            $0.optimization.maxSteps = 4
            $0.preferences?.policy.stepsPerGeneration = 1
        }
        try run()
        for it in [
            Case("beta: 0.04 there, 0.1 here") { $0.preferences?.beta = 0.1 },
            Case("num_iterations: 1 there, 2 here") { $0.preferences?.policy.numIterations = 2 },
            Case("steps_per_generation: 1 there, 2 here") { $0.preferences?.policy.stepsPerGeneration = 2 },
            Case("temperature: 0.9 there, 1 here") { $0.preferences?.policy.temperature = 1 },
            Case("soft_cache_length: 6 there, 5 here") { $0.preferences?.rewards.options.softCacheLength = 5 },
            Case("rounds of so many whole micro-batches") {
                $0.optimization.perDeviceTrainBatchSize = 8
                $0.optimization.gradientAccumulationSteps = 1
            },
        ] {
            let refusal = run.with {
                $0.evaluation.resumeFromCheckpoint = "last"
                it.change(&$0)
            }.refusal()
            #expect(refusal.contains("belongs to another run") && refusal.contains(it.reason), "\(refusal)")
        }
        // Rewards look at the columns.
        let file = "\(run.folder.path)/rows.jsonl"
        let rows = try String(contentsOfFile: file, encoding: .utf8)
        try run.folder.write(rows.replacing(#""solution": "3""#, with: #""solution": "4""#), to: "rows.jsonl")
        let refusal = run.with { $0.evaluation.resumeFromCheckpoint = "last" }.refusal()
        #expect(refusal.contains("train_data"), "\(refusal)")
    }

    /// What looks at a micro-batch as a whole keeps it.
    @Test func microBatchesThatMatter() throws {
        let run = try TinyRun(sampling: 8).with {
            $0.optimization.maxSteps = 2
            $0.preferences?.policy.topEntropyQuantile = 0.5
        }
        try run()
        let refusal = run.with {
            $0.optimization.perDeviceTrainBatchSize = 8
            $0.optimization.gradientAccumulationSteps = 1
            $0.evaluation.resumeFromCheckpoint = "last"
        }.refusal()
        #expect(refusal.contains("samples of a micro-batch together"), "\(refusal)")
    }

    /// What the sampler found probable is what the step finds, in runs of every kind; the largest ratio of a round says so of
    /// what became more probable, and of all of it where answers are learned once.
    @Test(
        arguments: [
            { $0.preferences?.policy.stopWords = ["a", "e", "7"] },
            {
                $0.model.quantization.method = .bitsAndBytes
                $0.model.quantization.bits = 4
            },
        ] as [@Sendable (inout SFTSettings) -> Void])
    func samplersSayWhatStepsSay(_ change: @Sendable (inout SFTSettings) -> Void) throws {
        // An adapter that has learned goes on.
        let first = try TinyRun(sampling: 8).with { $0.optimization.maxSteps = 2 }
        try first()
        let run = first.with {
            $0.model.adapters = ["\(first.output)/checkpoint-2"]
            $0.outputDirectoryName("measured")
            $0.optimization.learningRate = 1e-12
            $0.preferences?.policy.numIterations = 2
            $0.preferences?.policy.rolloutImportanceSamplingMode = .tokenTruncate
            change(&$0)
        }
        try run()
        let ratios = try run.logged("rollout_correction/max")
        #expect(!ratios.isEmpty && ratios.allSatisfy { abs($0 - 1) <= 1e-4 }, "\(ratios)")
    }

    /// The same seed gives the same run, to the bits of its weights; another seed other answers.
    @Test(arguments: [PreferenceMethod.grpo, .ppo, .gkd], [TunerType.lora, .full])
    func seedsDecide(method: PreferenceMethod, tuner: TunerType) throws {
        let run = try (method == .gkd ? TinyRun(distilling: 0.5) : TinyRun(sampling: 16)).with {
            $0.model.tunerType = tuner
            $0.preferences?.method = method
        }
        try run()
        let again = run.with { $0.outputDirectoryName("again") }
        try again()
        let (first, second) = (try run.numbers(6), try again.numbers(6))
        #expect(first == second && !first.isEmpty)
        #expect(try again.losses() == run.losses())
        let lengths = "completions/mean_length"
        #expect(try again.logged(lengths) == run.logged(lengths) && !run.logged(lengths).isEmpty)
        let other = run.with {
            $0.model.seed = 7
            $0.outputDirectoryName("other")
        }
        try other()
        // Answers that run to the limit are as long whatever is drawn.
        #expect(try other.losses() != run.losses())
        #expect(try other.numbers(6) != first)
    }
}
