package import ApusLanguageModel
package import ApusNN
package import ApusTorch

/// What one micro-batch contributes to an optimizer step, before division by the step's target count.
package struct MicroLoss {
    /// The sum of the losses of all targets; its gradient is taken.
    package let sum: Tensor
    /// How many targets were the most probable token.
    package let correct: Tensor
    package let targets: Int
}

/// What a run minimises.
package protocol Objective {
    func loss(_ model: CausalLanguageModel, _ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss
}

/// Cross entropy of the next token on the rows that have a target; no other row's logits are ever made.
package struct NextToken: Objective {
    package init() {}

    package func loss(
        _ model: CausalLanguageModel, _ batch: TokenBatch, _ context: ForwardContext
    ) throws -> MicroLoss {
        let hidden = try model.hiddenStates(batch, context)  // [T, D]
        let rows = try hidden.indexed(0, Tensor(batch.targets.rows, device: hidden.device))  // [N, D]
        let labels = try Tensor(batch.targets.labels, device: hidden.device)
        let (sum, correct) = try linearCrossEntropy(rows, model.headWeight, labels: labels)
        return MicroLoss(sum: sum, correct: correct, targets: batch.targets.count)
    }
}
