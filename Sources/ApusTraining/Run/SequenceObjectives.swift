package import ApusLanguageModel
package import ApusNN
import ApusTorch

/// The losses of models that score whole sequences, as `transformers` has them; S sequences, L scores each.
package struct SequenceScores: Objective {
    package enum Problem: String, Sendable, Equatable {
        /// `Σ (score - value)²`, divided by S · L.
        case regression
        /// Cross entropy over the L classes, divided by S.
        case singleLabel = "single_label_classification"
        /// Binary cross entropy of each of the L classes, divided by S · L.
        case multiLabel = "multi_label_classification"
    }

    private let model: any SequenceClassifier
    private let problem: Problem
    private let classNames: [String]

    package init(_ model: any SequenceClassifier, _ problem: Problem, classNames: [String] = []) {
        self.model = model
        self.problem = problem
        self.classNames = classNames
    }

    package var accuracyName: String? { problem == .singleLabel ? "acc" : nil }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let scores = try model.scores(batch, context)  // [S, L]
        switch batch.labels {
        case .classes(let classes):
            let labels = try Tensor(classes, device: scores.device)
            return MicroLoss(
                sum: try crossEntropySum(scores, labels), correct: try hits(scores, labels), targets: classes.count,
                outputs: scores)
        case .values(let values, let width):
            let wanted = try Tensor(values, device: scores.device).reshaped([-1, width])  // [S, L]
            let sum =
                try problem == .regression
                ? (scores - wanted).power(2).sum() : binaryCrossEntropySum(scores, wanted)
            return MicroLoss(sum: sum, targets: values.count, outputs: scores)
        case .none:
            throw ModelError("a sequence without a label cannot be scored against one")
        }
    }
}
