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

extension PreferenceParityTests {
    /// A run of the fixture, on a model of one's own.
    struct Recorded {
        let name: String
        let json: JSONValue
        private let rows: [JSONValue]

        init(_ name: String) throws {
            self.name = name
            json = try Fixture.json("preferences/\(name).json")
            let other = try json["rowsOf"]?.stringValue.map { try Fixture.json("preferences/\($0).json") }
            rows = try #require((other ?? json)["rows"]?.arrayValue)
        }

        var kind: String { json["kind"]?.stringValue ?? "" }
        var isFull: Bool { json["settings"]?["full"]?.boolValue == true }
        /// Whether the steps were made in float64.
        var isDouble: Bool { isFull || json["settings"]?["double"]?.boolValue == true }

        func number(_ key: String) -> Double? { json["settings"]?[key]?.doubleValue }

        func steps(_ key: String) -> [Double?] { (json["steps"]?[key]?.arrayValue ?? []).map(\.doubleValue) }

        func side(_ value: JSONValue?) -> TokenizedDataset.Sample {
            let ids = (value?["ids"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
            var isTrained = (value?["labels"]?.arrayValue ?? []).map { $0.intValue != -100 }
            isTrained[0] = false
            return TokenizedDataset.Sample(ids: ids, isTrained: isTrained)
        }

        var pairs: PairDataset {
            PairDataset(
                rows.map {
                    (side($0["chosen"]), side($0["rejected"]), $0["margin"]?.doubleValue.map(Float.init))
                })
        }

        var answers: JudgedDataset {
            JudgedDataset(rows.map { (side($0["answer"]), $0["label"]?.boolValue == true) })
        }

        var others: [TokenizedDataset.Sample?] { rows.map { $0["other"] == nil ? nil : side($0["other"]) } }

        private var terms: PairTerms {
            func words(_ key: String) -> [String] {
                let value = json["settings"]?[key]
                return (value?.arrayValue ?? value.map { [$0] } ?? []).compactMap(\.stringValue)
            }
            let given = words("loss_type")
            let types = given.isEmpty ? [kind == "orpo" ? "oddsRatio" : "sigmoid"] : given
            let weights =
                json["settings"]?["loss_weights"]?.arrayValue?.compactMap(\.doubleValue) ?? types.map { _ in 1 }
            let known: [String: PairLoss] = ["simpo": .sigmoidNorm, "alphapo": .sigmoidNorm]
            let losses = zip(types, weights).compactMap { type, weight in
                let words = type.split(separator: "_")
                let camel = words.enumerated().map { $0 == 0 ? String($1) : $1.capitalized }.joined()
                return (known[type] ?? PairLoss.allCases.first { "\($0)" == camel }).map { ($0, weight) }
            }
            let sft = zip(types, weights).first { $0.0 == "sft" }?.1 ?? 0
            let isSimple = types == ["simpo"] || types == ["alphapo"]
            var options = PairLossOptions(
                beta: number("beta") ?? 0.1, labelSmoothing: number("label_smoothing") ?? 0,
                discopopTau: number("discopop_tau") ?? 0.05, margin: isSimple ? number("simpo_gamma") ?? 0 : 0)
            switch json["settings"]?["f_divergence_type"]?.stringValue {
            case "forward_kl": options.shape = .forwardKL
            case "js_divergence": options.shape = .jensenShannon
            case "alpha_divergence": options.shape = .alpha(number("f_alpha_divergence_coef") ?? 0.5)
            default: if let alpha = number("alpha") { options.shape = .power(alpha) }
            }
            let ofCPO = types == ["alphapo"] ? 0 : number("cpo_alpha") ?? 1
            var terms = PairTerms(
                losses, options, likelihoodWeight: kind == "orpo" ? 1 : kind == "cpo" ? ofCPO : sft,
                tailWeight: number("ld_alpha"),
                logsMeans: kind == "orpo" || isSimple || kind == "cpo" && types == ["ipo"])
            terms.weighsReferenceTails = true
            return terms
        }

        /// The objective on a model with its adapter, and the data.
        func task(
            dtype: DType = .float32, reference: Reference? = nil, adapter: String = "preferences/initial"
        ) throws -> Task {
            if kind == "rm" { return try rewardTask(dtype) }
            let model = try Fixture.model("qwen2-tied-gqa", dtype: dtype)
            var slots = model.parameters()
            if isFull {
                try model.setTrainable(true)
            } else {
                let folder = Fixture.root.appendingPathComponent(adapter).path
                let attached = try AdapterFiles.method(in: folder).attach(to: model)
                try attached.load(from: folder, dtype: dtype, device: .cpu)
                try attached.setTrainable(true)
                slots = attached.parameters
            }
            let compared =
                try reference ?? (isFull ? .model(Fixture.model("qwen2-tied-gqa", dtype: dtype)) : .adapters(.base))
            let trained = slots.compactMap { name, slot in
                slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
            }
            if kind == "kto" {
                let compares = json["settings"]?["loss_type"] == nil
                let objective = JudgedAnswers(
                    model,
                    JudgedLoss(
                        beta: number("beta") ?? 0.1, undesirableWeight: number("undesirable_weight") ?? 1,
                        comparesWithOthers: compares))
                objective.reference = compared
                let data = JudgedSamples(answers, groupSize: compares ? 4 : nil)
                return Task(model: model, objective: objective, data: data, trained: trained)
            }
            let objective = try PairPreferences(model, terms)
            if kind == "dpo" { objective.reference = compared }
            if let steps = number("ref_model_sync_steps"), case .model(let other) = compared {
                objective.moving = try MovingReference(
                    other, follows: model, every: Int(steps), share: number("ref_model_mixup_alpha") ?? .nan)
            }
            return Task(model: model, objective: objective, data: PairSamples(pairs), trained: trained)
        }

        private func rewardTask(_ dtype: DType) throws -> Task {
            let config = try Fixture.json("models/qwen2-tied-gqa/config.json")
            let model = try #require(
                try Models.registry.model(config, for: .sequenceClassification(labels: 1)) as? SequenceClassifier)
            let store = try ModelWeights(folder: Fixture.root.appendingPathComponent("models/qwen2-tied-gqa").path)
            try model.loadWeights(store, dtype: dtype, device: .cpu, newHeadSeed: 0)
            let folder = Fixture.root.appendingPathComponent("preferences/rm-initial").path
            let attached = try AdapterFiles.method(in: folder).attach(to: model, heads: model.headNames)
            try attached.load(from: folder, dtype: dtype, device: .cpu)
            let trained = attached.parameters.compactMap { name, slot in
                slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
            }
            try attached.setTrainable(true)
            let objective = RewardPairs(
                model, RewardLoss(centerCoefficient: number("center_rewards_coefficient")))
            return Task(model: model, objective: objective, data: PairSamples(pairs), trained: trained)
        }
    }

    /// What a step is made of.
    struct Task {
        let model: any TextModel
        let objective: any Objective
        let data: any TrainingSource
        let trained: [TrainedParameter]

        /// The loss of the micro-batches of one step, with its gradients left in the model.
        func step(_ batches: [[Int]]) throws -> Double {
            let made = batches.enumerated().map { data.batch($1, draw: UInt64($0)) }
            try objective.begin(made)
            let targets = batches.reduce(0) { $0 + data.targetCount($1) }
            var total = 0.0
            for (index, batch) in made.enumerated() {
                let context = try model.context(for: batch, isTraining: true, randomKey: UInt64(index))
                let sum = try objective.loss(batch, context).sum / Double(targets)
                try sum.backward()
                total += try sum.item()
            }
            return total
        }
    }
}
