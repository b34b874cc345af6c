import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusTorch
import ApusWeights
import Foundation

/// What a model answers before its adapters are folded into the weights, to be held against what it answers afterwards.
struct MergeCheck {
    private let prompts: [[Int32]]
    private let answers: Tensor  // [rows, V], or [S, L] of a classifier
    private let dtype: DType

    /// Tokens of each prompt.
    private static let lengths = [24, 16, 8]

    /// Runs the model with its adapters over a few prompts of tokens drawn from its vocabulary.
    init(_ model: any TextModel) throws {
        var random = SplitMix64(42, 0)
        prompts = Self.lengths.map { length in
            (0..<min(length, model.maximumLength)).map { _ in
                Int32(truncatingIfNeeded: random.next() % UInt64(model.vocabularySize))
            }
        }
        answers = try Self.answers(of: model, to: prompts)
        dtype = model.dtype
    }

    private static func answers(of model: any TextModel, to prompts: [[Int32]]) throws -> Tensor {
        try withoutGradients {
            let batch = TokenBatch(continuing: prompts.map { ($0, 0) })
            let context = try model.context(for: batch)
            let answers =
                switch model {
                case let model as CausalLanguageModel: try model.logits(model.hiddenStates(batch, context), context)
                case let model as MaskedLanguageModel: try model.logits(model.hiddenStates(batch, context), context)
                case let model as SequenceClassifier: try model.scores(batch, context)
                default: try model.hiddenStates(batch, context)
                }
            return try answers.to(.cpu).to(.float32)
        }
    }

    /// How far the merged model is off.
    func difference(of model: any TextModel) throws -> Difference {
        try difference(Self.answers(of: model, to: prompts), dtype: model.dtype)
    }

    /// How far the model in a GGUF file is off.
    func difference(ofGGUF path: String, type: DType) throws -> Difference {
        let file = try GGUFModel(GGUFFile(path: path))
        let task: ModelTask =
            switch file.architecture.name {
            case "t5": .sequenceToSequence
            case "t5encoder", "bert":
                file.config["id2label"]?.objectValue.map { .sequenceClassification(labels: $0.count) } ?? .hiddenStates
            default: .causalLanguageModel
            }
        let model = try Models.registry.model(file.config, for: task)
        // Models of the family T5 are not computed in float16.
        let computed = task == .causalLanguageModel || type != .float16 ? type : .float32
        try model.loadWeights(file, dtype: computed, device: .cpu, newHeadSeed: task == .hiddenStates ? 0 : nil)
        return try difference(Self.answers(of: model, to: prompts), dtype: type)
    }

    private func difference(_ merged: Tensor, dtype: DType) throws -> Difference {
        let largest = try abs(answers).max().item()
        let difference = try abs(merged + answers * -1).max().item()
        let bound = Swift.max(Self.bound(dtype), Self.bound(self.dtype))
        return Difference(relative: largest > 0 ? difference / largest : difference, bound: bound)
    }

    /// Far beyond what rounding each weight and each step to a type does.
    private static func bound(_ dtype: DType) -> Double {
        switch dtype {
        case .bfloat16: 0.2
        case .float16: 0.05
        default: 1e-3
        }
    }

    /// The largest difference between two models' answers, over the largest answer.
    struct Difference {
        let relative: Double
        let bound: Double

        func sentence(_ name: String) -> String {
            "on \(MergeCheck.lengths.count) prompts \(name) differs from the model with its adapter by at most "
                + "\(Self.percent(relative)) of the largest logit"
        }

        /// - Throws: `ModelError` for a difference that rounding does not explain.
        func check(_ name: String) throws {
            guard !(relative <= bound) else { return }
            throw ModelError(
                "\(name) answers otherwise than the model with its adapter: the largest difference is "
                    + "\(Self.percent(relative)) of the largest logit, where rounding explains \(Self.percent(bound)). "
                    + "Nothing was written. Use the adapter unmerged, or give --torch_dtype float32.")
        }

        private static func percent(_ share: Double) -> String { String(format: "%.3g%%", share * 100) }
    }
}

extension GGUFFileType {
    /// The type that a float file's values are computed in.
    var dtype: DType {
        switch self {
        case .f16: .float16
        case .bf16: .bfloat16
        default: .float32
        }
    }
}
