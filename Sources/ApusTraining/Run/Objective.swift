package import ApusLanguageModel
package import ApusNN
package import ApusOptimizers
package import ApusTorch

/// A named sum over some targets, logged as its mean.
package struct Tally {
    /// As in the log, such as `token_acc`.
    package let name: String
    /// A scalar, on the device.
    package let sum: Tensor
    package let count: Int

    package init(_ name: String, _ sum: Tensor, count: Int) {
        self.name = name
        self.sum = sum
        self.count = count
    }
}

/// What one micro-batch contributes to an optimizer step, before division by the step's target count.
package struct MicroLoss {
    /// The sum of the losses of all targets in float32 or wider; its gradient is taken.
    package let sum: Tensor
    package let targets: Int
    /// What else is logged.
    package let tallies: [Tally]
    /// What the model says of each sequence, for metrics that need all of them together; [S, …].
    package let outputs: Tensor?

    package init(sum: Tensor, targets: Int, tallies: [Tally] = [], outputs: Tensor? = nil) {
        self.sum = sum
        self.targets = targets
        self.tallies = tallies
        self.outputs = outputs
    }
}

/// What a run minimises.
package protocol Objective {
    /// What it changes as a run goes on.
    var participants: [any StepParticipant] { get }

    /// What trains beside the model.
    var trained: [TrainedParameter] { get }

    /// Whether the loss of a step is the same however its samples are cut into micro-batches.
    var isAdditive: Bool { get }

    /// Looks at all micro-batches of a step before the loss of each is asked for.
    ///
    /// Means over other things than `MicroLoss.targets` are known only then.
    func begin(_ batches: [TokenBatch]) throws

    /// The same of all batches of an evaluation, whose loss so is one of all its samples, however they are cut.
    func begin(evaluation batches: some Sequence<TokenBatch>) throws

    func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss

    /// What is logged of steps beside what is logged of evaluations too.
    ///
    /// Asked once for each line; what is collected for one begins anew.
    func logged() -> [(name: String, value: Double)]

    /// What is logged beside the means of the tallies, such as a difference of two of them.
    func derived(_ means: [(name: String, value: Double)]) -> [(name: String, value: Double)]

    /// A new collector of what an evaluation measures beside the loss.
    func evaluation() -> any Evaluation
}

extension Objective {
    package var participants: [any StepParticipant] { [] }
    package var trained: [TrainedParameter] { [] }
    package var isAdditive: Bool { true }
    package func begin(_ batches: [TokenBatch]) throws {}
    package func begin(evaluation batches: some Sequence<TokenBatch>) throws {}
    package func logged() -> [(name: String, value: Double)] { [] }
    package func derived(_ means: [(name: String, value: Double)]) -> [(name: String, value: Double)] { [] }
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

/// What a loss over tokens is made of, and what is told of it.
package struct TokenLossOptions: Sendable, Equatable {
    package var form = TokenLossForm.crossEntropy
    /// Whether accuracy is the share of answers of which every token is right, and not that of tokens.
    package var countsAnswers = false
    /// Whether the loss of each channel of the data is told.
    package var tellsChannels = false

    package init() {}
}

/// Cross entropy of the next token on the rows that have a target; no other row's logits are ever made.
///
/// `Σ wᵢ CEᵢ`, divided by the count of targets whatever their weights, as ms-swift does with `loss_scale`. Where the loss of
/// routers counts, it is added times the count, so that of a step its mean over targets is.
package struct NextToken: Objective {
    /// Tokens are spread over experts by the micro-batch.
    package var isAdditive: Bool { model.trunk.routerLossWeight == nil }

    private let model: CausalLanguageModel
    private let options: TokenLossOptions

    package init(_ model: CausalLanguageModel, _ options: TokenLossOptions = TokenLossOptions()) {
        self.model = model
        self.options = options
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let hidden = try model.hiddenStates(batch, context)  // [T, D]
        let targets = batch.targets
        let rows = try hidden.indexed(0, Tensor(targets.rows, device: hidden.device))  // [N, D]
        let labels = try Tensor(targets.labels, device: hidden.device)
        let weights = try targets.weights.map { try Tensor($0, device: hidden.device) }
        let losses = try model.head.crossEntropy(
            rows, labels: labels, weights: weights, form: options.form, context)
        let sum = losses.sum
        var tallies = [
            try options.countsAnswers
                ? answerAccuracy(losses.hits, batch) : Tally("token_acc", losses.hits.sum(), count: targets.count)
        ]
        if options.tellsChannels { tallies += try channels(losses.rows, batch) }
        guard let weight = model.trunk.routerLossWeight, let balance = try context.balance?.loss() else {
            return MicroLoss(sum: sum, targets: targets.count, tallies: tallies)
        }
        let share = try balance.to(sum.dtype) * Double(targets.count)
        return MicroLoss(
            sum: try sum + share * weight, targets: targets.count,
            tallies: tallies + [Tally("aux_loss", try share.detached(), count: targets.count)])
    }

    /// The sequences of which every target is hit.
    private func answerAccuracy(_ hits: Tensor, _ batch: TokenBatch) throws -> Tally {
        let hits: [Float] = try hits.to(.float32).values()
        let right = batch.targetRanges.count { range in hits[range].allSatisfy { $0 == 1 } }
        return Tally("seq_acc", try Tensor.full([], Double(right)), count: batch.sequenceCount)
    }

    /// The losses of each channel, under ms-swift's names.
    private func channels(_ rows: Tensor, _ batch: TokenBatch) throws -> [Tally] {
        let losses: [Float] = try rows.to(.float32).values()
        var sums: [(name: String, sum: Double, count: Int)] = []
        for (sequence, range) in batch.targetRanges.enumerated() {
            let name = "loss_" + (batch.channels?[sequence] ?? "None")
            let sum = losses[range].reduce(0) { $0 + Double($1) }
            if let index = sums.firstIndex(where: { $0.name == name }) {
                sums[index].sum += sum
                sums[index].count += range.count
            } else {
                sums.append((name, sum, range.count))
            }
        }
        return try sums.map { Tally($0.name, try Tensor.full([], $0.sum, dtype: .float64), count: $0.count) }
    }
}

/// Cross entropy of the tokens behind the masks.
package struct MaskedToken: Objective {
    private let model: MaskedLanguageModel
    private let form: TokenLossForm

    package init(_ model: MaskedLanguageModel, _ form: TokenLossForm = .crossEntropy) {
        self.model = model
        self.form = form
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let hidden = try model.hiddenStates(batch, context)  // [T, D]
        let rows = try hidden.indexed(0, Tensor(batch.targets.rows, device: hidden.device))  // [N, D]
        let labels = try Tensor(batch.targets.labels, device: hidden.device)
        let logits = try model.logits(rows, context).to(.float32)
        return MicroLoss(
            sum: try form == .crossEntropy
                ? crossEntropySum(logits, labels) : crossEntropy(logits, labels: labels, form: form).sum,
            targets: batch.targets.count,
            tallies: [Tally("token_acc", try hits(logits, labels), count: batch.targets.count)])
    }
}

/// How many rows of logits [N, C] have their label as the largest.
func hits(_ logits: Tensor, _ labels: Tensor) throws -> Tensor {
    try withoutGradients { try logits.argmax(-1).isEqual(to: labels.to(.int64)).to(.float32).sum() }
}
