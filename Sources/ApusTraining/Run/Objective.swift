package import ApusLanguageModel
package import ApusNN
package import ApusTorch

/// What one micro-batch contributes to an optimizer step, before division by the step's target count.
package struct MicroLoss {
    /// The sum of the losses of all targets; its gradient is taken.
    package let sum: Tensor
    /// How many targets were the most probable one; nil where no target is a choice.
    package let correct: Tensor?
    package let targets: Int
    /// What the model says of each sequence, for metrics that need all of them together; [S, …].
    package let outputs: Tensor?

    package init(sum: Tensor, correct: Tensor? = nil, targets: Int, outputs: Tensor? = nil) {
        self.sum = sum
        self.correct = correct
        self.targets = targets
        self.outputs = outputs
    }
}

/// What a run minimises.
package protocol Objective {
    /// The name in the log of the share of targets that were the most probable choice.
    var accuracyName: String? { get }

    func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss

    /// A new collector of what an evaluation measures beside the loss.
    func evaluation() -> any Evaluation
}

extension Objective {
    package func evaluation() -> any Evaluation { NoEvaluation() }
}

/// Collects what a model says of the validation data and measures it.
package protocol Evaluation {
    mutating func add(_ part: MicroLoss, _ batch: TokenBatch) throws

    /// What can be measured so far: rows with a label, or questions with an order.
    var count: Int { get }

    /// Names without `eval_`, and values.
    func metrics() throws -> [(name: String, value: Double)]

    /// What a number for each class says, as lines of a table; nil where there are no classes.
    func table() throws -> String?

    /// Draws the predictions beside the labels.
    func draw(to folder: String) throws
}

extension Evaluation {
    package func table() throws -> String? { nil }
}

/// The loss says it all.
struct NoEvaluation: Evaluation {
    let count = 0
    mutating func add(_ part: MicroLoss, _ batch: TokenBatch) {}
    func metrics() -> [(name: String, value: Double)] { [] }
    func draw(to folder: String) {}
}

/// Cross entropy of the next token on the rows that have a target; no other row's logits are ever made.
package struct NextToken: Objective {
    private let model: CausalLanguageModel

    package init(_ model: CausalLanguageModel) { self.model = model }

    package var accuracyName: String? { "token_acc" }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let hidden = try model.hiddenStates(batch, context)  // [T, D]
        let rows = try hidden.indexed(0, Tensor(batch.targets.rows, device: hidden.device))  // [N, D]
        let labels = try Tensor(batch.targets.labels, device: hidden.device)
        let (sum, correct) = try model.head.crossEntropy(rows, labels: labels, context)
        return MicroLoss(sum: sum, correct: correct, targets: batch.targets.count)
    }
}

/// Cross entropy of the tokens behind the masks.
package struct MaskedToken: Objective {
    private let model: MaskedLanguageModel

    package init(_ model: MaskedLanguageModel) { self.model = model }

    package var accuracyName: String? { "token_acc" }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let hidden = try model.hiddenStates(batch, context)  // [T, D]
        let rows = try hidden.indexed(0, Tensor(batch.targets.rows, device: hidden.device))  // [N, D]
        let labels = try Tensor(batch.targets.labels, device: hidden.device)
        let logits = try model.logits(rows, context).to(.float32)
        return MicroLoss(
            sum: try crossEntropySum(logits, labels), correct: try hits(logits, labels), targets: batch.targets.count)
    }
}

/// How many rows of logits [N, C] have their label as the largest.
func hits(_ logits: Tensor, _ labels: Tensor) throws -> Tensor {
    try withoutGradients { try logits.argmax(-1).isEqual(to: labels.to(.int64)).to(.float32).sum() }
}
