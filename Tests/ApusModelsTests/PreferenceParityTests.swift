import ApusRunLog
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusFiles
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Preferences as the loop learns them, against TRL's trainers (Scripts/fixtures/make_preferences.py): loss, gradients, and
/// twenty steps with everything that is logged.
struct PreferenceParityTests {
    static let runs = [
        "dpo-sigmoid", "dpo-ipo", "dpo-mix", "dpo-aot", "dpo-full", "cpo-sigmoid", "cpo-ipo", "simpo", "orpo", "kto",
        "kto-apo-zero-unpaired", "rm",
    ]
    /// Those of which no gradients are stored, but the norm of all.
    static let logged = [
        "dpo-hinge", "dpo-exo-pair", "dpo-nca-pair", "dpo-robust", "dpo-sppo-hard", "dpo-aot-unpaired", "dpo-apo-down",
        "dpo-discopop", "dpo-forward-kl", "dpo-js", "dpo-alpha", "dpo-ld", "alphapo", "cpo-hinge",
        "dpo-moving",
    ]

    @Test(arguments: runs) func firstLossAndGradients(name: String) throws {
        let recorded = try Recorded(name)
        let task = try recorded.task(dtype: .float64)
        let loss = try task.step([Array(0..<4)])
        #expect(abs(loss - (recorded.json["firstLoss"]?.doubleValue ?? .nan)) <= 1e-6)
        let expected = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("preferences/\(name).safetensors").path)
        #expect(expected.tensorNames.count == task.trained.count)
        var worst = 0.0
        for parameter in task.trained {
            let stored = try #require(
                expected.tensorNames.first { $0.replacing(".modules_to_save", with: "") == parameter.name },
                "\(parameter.name)")
            let wanted = try expected.tensor(stored, dtype: .float32, device: .cpu).tensor
            let gradient = try #require(parameter.tensor.gradient)
            worst = max(worst, try relativeDifference(gradient, wanted))
        }
        print("preferences \(name): loss \(loss), largest relative difference of a gradient \(worst)")
        #expect(worst <= 1e-6)
    }

    @Test(arguments: logged) func firstLossAndNorm(name: String) throws {
        let recorded = try Recorded(name)
        let task = try recorded.task(dtype: .float64)
        let loss = try task.step([Array(0..<4)])
        let wanted = recorded.json["firstLoss"]?.doubleValue ?? .nan
        #expect(abs(loss - wanted) <= 1e-6 * max(1, abs(wanted)))
        let squares = try task.trained.map { parameter in
            let gradient = try #require(parameter.tensor.gradient)
            return try (gradient * gradient).sum().item()
        }
        let norm = squares.reduce(0, +).squareRoot()
        let stored = recorded.json["firstNorm"]?.doubleValue ?? .nan
        print("preferences \(name): loss \(loss), relative difference of the norm \(abs(norm - stored) / stored)")
        #expect(abs(norm - stored) <= 1e-6 * stored)
    }

    @Test(arguments: runs + logged) func everyStepEqualsTRLs(name: String) throws {
        let recorded = try Recorded(name)
        let task = try recorded.task(dtype: recorded.isDouble ? .float64 : .float32)
        let total = recorded.steps("loss").count
        let plan = TrainingPlan(
            batches: try BatchPlan(
                sampleCount: task.data.count, batchSize: 4, accumulation: 1, maximumSteps: total,
                order: EpochOrder(method: .sequential, seed: 0)),
            schedule: Schedule(
                .constant, peak: recorded.number("learning_rate") ?? 0, warmupSteps: 0, totalSteps: total),
            maximumGradientNorm: 1, loggingSteps: 1)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-preferences-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let log = try RunLog(
            RunFolder(outputDirectory: folder, addVersion: false), RunLog.Options(maxSteps: total),
            console: Console(output: Silence(), style: ConsoleStyle()))
        let run = TrainingRun(
            model: task.model, trained: task.trained,
            optimizer: try AdamW(ParameterGroup.decaying(task.trained, 0.1)),
            participants: task.objective.participants, objective: task.objective,
            data: task.data, validation: TokenizedDataset(), plan: plan, checkpoints: nil, log: log)
        #expect(try run() == .finished)

        // TRL logs scores over other positions, or sums of them, in its older trainers.
        var left: Set<String> = [
            "learning_rate", "num_tokens", "entropy", "mean_token_accuracy", "min_reward", "max_reward", "mean_reward",
        ]
        if recorded.kind != "dpo" { left.formUnion(["logits/chosen", "logits/rejected"]) }
        // TRL says 0 where there is no likelihood.
        if recorded.name == "alphapo" { left.insert("nll_loss") }
        let names = ["accuracy": "rewards/accuracies", "margin": "rewards/margins"]
        var report: [String] = []
        for key in recorded.json["steps"]?.objectValue?.keys ?? [] where !left.contains(key) {
            let wanted = recorded.steps(key)
            let made = log.history.map { $0[names[key] ?? key]?.doubleValue }
            #expect(made.count >= total)
            var worst = 0.0
            for (ours, theirs) in zip(made, wanted) {
                // A step without an answer of a kind logs nothing of it.
                guard let theirs else { continue }
                worst = max(worst, abs((ours ?? .infinity) - theirs) / max(1, abs(theirs)))
            }
            report.append("\(key) \(String(format: "%.1e", worst))")
            #expect(worst <= (key == "grad_norm" ? 1e-4 : 1e-5), "\(key)")
        }
        print("preferences \(name): \(total) steps, largest differences: \(report.joined(separator: ", "))")
    }

    /// The questions with other answers are TRL's.
    @Test func mismatchedAnswers() throws {
        let recorded = try Recorded("kto")
        let answers = recorded.answers
        for (index, other) in recorded.others.enumerated() {
            #expect(try answers.mismatched(index, groupSize: 4) == #require(other))
        }
    }

    /// A step is the same however it is cut into micro-batches, also where means go over pairs and over tokens.
    @Test(arguments: [
        "dpo-sigmoid", "dpo-mix", "dpo-ld", "dpo-js", "cpo-sigmoid", "cpo-ipo", "simpo", "alphapo", "orpo", "kto",
        "kto-apo-zero-unpaired", "rm",
    ])
    func accumulationIsExact(name: String) throws {
        let recorded = try Recorded(name)
        let (whole, parts) = (try recorded.task(dtype: .float64), try recorded.task(dtype: .float64))
        let first = try whole.step([[0, 1, 2, 3]])
        let second = try parts.step([[0], [1], [2], [3]])
        #expect(abs(first - second) <= 1e-12)
        for (a, b) in zip(whole.trained, parts.trained) {
            let (a, b) = (try #require(a.tensor.gradient), try #require(b.tensor.gradient))
            #expect(try relativeDifference(a, b) <= 1e-9)
        }
    }

    /// A model that is its own reference has the loss ln 2, whatever the reference is: the model without its adapter, with
    /// a copy of it, or a second model.
    @Test func firstStepIsTheLogarithmOfTwo() throws {
        let recorded = try Recorded("dpo-full")
        let task = try recorded.task()
        #expect(abs(try task.step([[0, 1, 2, 3], [4, 5]]) - log(2)) <= 1e-7)
        let adapted = try Recorded("dpo-sigmoid")
        // `training/initial` changes nothing yet.
        let begun = try adapted.task(adapter: "training/initial")
        #expect(abs(try begun.step([[0, 1, 2, 3], [4, 5]]) - log(2)) <= 1e-7)
    }

    @Test func kindsOfReferenceAgree() throws {
        let recorded = try Recorded("dpo-sigmoid")
        let disabled = try recorded.task()
        let wanted = try disabled.step([[0, 1, 2, 3]])
        let second = try recorded.task(reference: .model(Fixture.model("qwen2-tied-gqa")))
        #expect(abs(try second.step([[0, 1, 2, 3]]) - wanted) <= 1e-6)
        // An adapter that changes nothing, beside the one that trains.
        let named = try recorded.task(reference: .adapters(.only(["ref_adapter"])))
        let folder = Fixture.root.appendingPathComponent("training/initial").path
        let attached = try AdapterFiles.method(in: folder).attach(to: named.model, named: "ref_adapter")
        try attached.load(from: folder, device: .cpu)
        named.model.trunk.activeAdapters = .only(["default"])
        #expect(abs(try named.step([[0, 1, 2, 3]]) - wanted) <= 1e-6)
        for ((a, b), c) in zip(zip(disabled.trained, second.trained), named.trained) {
            let gradient = try #require(a.tensor.gradient)
            #expect(try relativeDifference(#require(b.tensor.gradient), gradient) <= 1e-5)
            #expect(try relativeDifference(#require(c.tensor.gradient), gradient) <= 1e-5)
        }
        // Asked before the run.
        let asked = try recorded.task()
        let objective = try #require(asked.objective as? PairPreferences)
        try objective.rememberReference([asked.data], size: 5) { _ in }
        guard case .known = objective.reference else { throw ModelError("nothing was remembered") }
        #expect(abs(try asked.step([[0, 1, 2, 3]]) - wanted) <= 1e-6)
        // The same adapter as the reference: the loss is that of a model that has not moved.
        let own = try recorded.task(reference: .adapters(.only(["default"])))
        #expect(abs(try own.step([[0, 1, 2, 3]]) - log(2)) <= 1e-7)
    }

    /// The weight of tokens behind the shorter answer's length counts in the trained model alone.
    @Test func tailsCountLess() throws {
        let recorded = try Recorded("dpo-sigmoid")
        let model = try Fixture.model("qwen2-tied-gqa")
        let objective = try PairPreferences(
            model, PairTerms([(.sigmoid, 1)], PairLossOptions(beta: 0.1), tailWeight: 0.5))
        objective.reference = .adapters(.base)
        let batch = PairSamples(recorded.pairs).batch([0, 1, 2], draw: 1)
        try objective.begin([batch])
        let loss = try objective.loss(batch, model.context(for: batch, isTraining: true)).sum.item()
        // By hand from the scores of tokens.
        let scores = try TokenScores(model, batch, model.context(for: batch)).values
        var wanted = 0.0
        for pair in 0..<3 {
            let (chosen, rejected) = (batch.targetRanges[2 * pair], batch.targetRanges[2 * pair + 1])
            let shared = min(chosen.count, rejected.count)
            func gain(_ range: Range<Int>) -> Double {
                let whole = range.map { -scores[$0] }
                return whole.prefix(shared).reduce(0, +) + 0.5 * whole.dropFirst(shared).reduce(0, +)
                    - whole.reduce(0, +)
            }
            wanted += log(1 + exp(-0.1 * (gain(chosen) - gain(rejected))))
        }
        #expect(abs(loss - wanted) <= 1e-6)
    }

    /// The loss that spreads tokens over experts is added once for a step, whatever the pairs.
    @Test func routersLoss() throws {
        func loss(_ weight: Double?) throws -> (sum: Double, balance: Double?) {
            let model = try Fixture.model("qwen2-moe")
            model.trunk.routerLossWeight = weight
            let objective = try PairPreferences(model, PairTerms([(.sigmoid, 1)], PairLossOptions(beta: 0.1)))
            objective.reference = try .model(Fixture.model("qwen2-moe"))
            func fitted(_ side: TokenizedDataset.Sample) -> TokenizedDataset.Sample {
                let count = Int32(model.vocabularySize)
                return TokenizedDataset.Sample(ids: side.ids.map { $0 % count }, isTrained: side.isTrained)
            }
            let recorded = try Recorded("dpo-sigmoid").pairs
            let pairs = PairDataset(
                (0..<3).map { recorded.sample($0) }.map { (fitted($0.chosen), fitted($0.rejected), $0.margin) })
            let batch = PairSamples(pairs).batch([0, 1, 2], draw: 1)
            try objective.begin([batch])
            let part = try objective.loss(batch, model.context(for: batch, isTraining: true))
            let tally = part.tallies.first { $0.name == "aux_loss" }
            return (try part.sum.item() / 3, try tally.map { try $0.sum.item() / Double($0.count) })
        }
        let (plain, with) = (try loss(nil), try loss(0.5))
        #expect(plain.balance == nil)
        let balance = try #require(with.balance)
        #expect(balance > 0.5)
        #expect(abs(with.sum - plain.sum - 0.5 * balance) <= 1e-6)
    }

    /// The running mean of rewards is of the steps alone, and a micro-batch that is asked for twice counts once.
    @Test func runningReward() throws {
        let reward = try RunningReward()
        #expect(try reward.mean() == 0)
        try reward.add([1, 3], of: 1)
        try reward.add([1, 3], of: 1)
        #expect(try reward.mean() == 2)
        try reward.add([5, 5], of: 2)
        #expect(try abs(reward.mean() - 3.5) < 1e-15)
        let task = try Recorded("dpo-sigmoid").task()
        let model = try #require(task.model as? CausalLanguageModel)
        let objective = try PairPreferences(model, PairTerms([(.bcoPair, 1)], PairLossOptions(beta: 0.1)))
        objective.reference = .adapters(.base)
        let batch = task.data.batch([0, 1], draw: 7)
        _ = try withoutGradients { try objective.loss(batch, model.context(for: batch)) }
        let participant = try #require(objective.participants.first)
        let state = try participant.state[0].tensor
        #expect(try state.values(as: Double.self) == [0, 0])
        _ = try objective.loss(batch, model.context(for: batch, isTraining: true, randomKey: 7))
        #expect(try state.values(as: Double.self)[1] == 4)
    }
}
