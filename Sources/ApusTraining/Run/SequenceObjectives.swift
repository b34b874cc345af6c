package import ApusDatasets
package import ApusLanguageModel
package import ApusNN
package import ApusTorch

/// The losses of models that score whole sequences, as `transformers` has them; S sequences, L scores each.
///
/// Regression: `Σ (score - value)²`, divided by S · L. One class: cross entropy, divided by S. Several classes: binary
/// cross entropy of each, divided by S · L.
package struct SequenceScores: Objective {
    private let model: SequenceClassifier
    private let problem: ProblemType
    private let classNames: [String]
    private let form: TokenLossForm

    /// - Parameter form: The loss of one class.
    package init(
        _ model: SequenceClassifier, _ problem: ProblemType, classNames: [String] = [],
        form: TokenLossForm = .crossEntropy
    ) {
        self.form = form
        self.model = model
        self.problem = problem
        self.classNames = classNames
    }

    package func evaluation() -> any Evaluation { ScoreEvaluation(problem, classNames: classNames) }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let scores = try model.scores(batch, context)  // [S, L]
        switch batch.labels {
        case .classes(let classes):
            let labels = try Tensor(classes, device: scores.device)
            return MicroLoss(
                sum: try form == .crossEntropy
                    ? crossEntropySum(scores, labels) : crossEntropy(scores, labels: labels, form: form).sum,
                targets: classes.count,
                tallies: [Tally("acc", try hits(scores, labels), count: classes.count)], outputs: scores)
        case .values(let values, let width):
            let wanted = try Tensor(values, device: scores.device).to(scores.dtype).reshaped([-1, width])  // [S, L]
            let sum =
                try problem == .regression
                ? (scores - wanted).power(2).sum() : binaryCrossEntropySum(scores, wanted)
            return MicroLoss(sum: sum, targets: values.count, outputs: scores)
        case .groups, .none:
            throw ModelError("a sequence without a label cannot be scored against one")
        }
    }
}
