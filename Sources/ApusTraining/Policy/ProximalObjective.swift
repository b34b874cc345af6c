package import ApusLanguageModel
package import ApusNN
package import ApusOptimizers
package import ApusTorch
import Foundation

/// What the model expects of an answer before each of its tokens: `w · h + b` of the hidden states [N, D], in a type of its own.
///
/// It begins at 0 and trains beside the model; checkpoints have it with the optimizer's state.
package final class ValueHead: StepParticipant {
    private let weight: Tensor  // [1, D]
    private let bias: Tensor  // [1]

    package init(width: Int, dtype: DType = .float32, device: Device) throws {
        weight = try Tensor.zeros([1, width], dtype: dtype, device: device)
        bias = try Tensor.zeros([1], dtype: dtype, device: device)
        try weight.setRequiresGradient(true)
        try bias.setRequiresGradient(true)
    }

    package var state: [(name: String, tensor: Tensor)] {
        [("policy.value_head.weight", weight), ("policy.value_head.bias", bias)]
    }

    package var trained: [TrainedParameter] {
        state.map { TrainedParameter(name: $0.name, tensor: $0.tensor) }
    }

    /// [N, D] → [N].
    func callAsFunction(_ rows: Tensor) throws -> Tensor {
        try linear(rows.to(weight.dtype), weight, bias).squeezed(1)
    }
}

/// Answers that the model gave itself, learned from token by token beside what it expects of them (PPO).
package final class ProximalObjective: Objective {
    private let model: CausalLanguageModel
    private let loss: ProximalLoss
    private let head: ValueHead
    private let maker: RolloutMaker
    private let rollouts: RolloutSource
    private let heldOut: HeldOutRollouts
    /// The mean ratio of each micro-batch since the last line of the log.
    private var ratios: [Double] = []

    package init(
        _ model: CausalLanguageModel, _ loss: ProximalLoss, _ head: ValueHead, _ maker: RolloutMaker,
        _ rollouts: RolloutSource, _ heldOut: HeldOutRollouts
    ) {
        self.model = model
        self.loss = loss
        self.head = head
        self.maker = maker
        self.rollouts = rollouts
        self.heldOut = heldOut
    }

    /// What an evaluation tells, but of the single rewards.
    ///
    /// - Parameter rounds: How its answers are made.
    package static func metricNames(_ rounds: RolloutMaker.Options) -> [String] {
        ["loss"] + RoundFigures.names(rounds) + [
            "loss/policy_avg", "loss/value_avg", "policy/approxkl_avg", "policy/clipfrac_avg", "val/clipfrac_avg",
            "policy/entropy_avg", "val/ratio",
        ]
    }

    package var participants: [any StepParticipant] { [rollouts, head] }
    package var trained: [TrainedParameter] { head.trained }
    package var isAdditive: Bool { model.trunk.routerLossWeight == nil }

    package func logged() -> [(name: String, value: Double)] {
        defer { ratios = [] }
        var metrics: [(name: String, value: Double)] = []
        // Of one there is no variance.
        if ratios.count > 1 { metrics.append(("val/ratio_var", ratios.deviation * ratios.deviation)) }
        let episodes = rollouts.episodes
        metrics.append(("episode", Double(episodes)))
        if let first = rollouts.started {
            let seconds = max(ProcessInfo.processInfo.systemUptime - first.time, 1e-9)
            metrics.append(("eps", Double(episodes - first.episodes) / seconds))
        }
        return metrics
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        guard case .classes(let numbers) = batch.labels else {
            throw ModelError("answers that nobody sampled cannot be learned from")
        }
        let isStep = context.isTraining
        // Nothing is dropped, as where the answers were judged.
        let context = try context.undropped(batch, of: model)
        let scores = try TokenScores(
            model, batch, context, temperature: maker.options.temperature, asksEntropy: true, head: head)
        guard let values = scores.expected else { throw ModelError("nothing says what answers are worth") }
        let expected: [Double] = try values.values()
        var (slopes, valueSlopes) = ([Double](), [Double]())
        var sum = ProximalLoss.Value()
        for (number, range) in zip(numbers, batch.targetRanges) {
            let rollout = try number < 0 ? heldOut.rollout(Int(~number)) : rollouts.rollout(Int(number))
            guard let tokens = rollout.tokens else { throw ModelError("an answer was not judged before its step") }
            let logs = range.map { -scores.values[$0] }
            let value = loss(
                logs: logs, old: rollout.old ?? logs, advantages: tokens.advantages,
                values: range.map { expected[$0] }, before: tokens.values, returns: tokens.returns)
            slopes += value.slopes.map(-)
            valueSlopes += value.valueSlopes
            sum.policy += value.policy
            sum.value += value.value
            sum.clipped += value.clipped
            sum.valuesClipped += value.valuesClipped
            sum.moved += value.moved
            sum.ratios += value.ratios
        }
        let count = slopes.count
        if isStep { ratios.append(sum.ratios / Double(max(1, count))) }
        var total = try planned(sum.policy, gradient: slopes, of: scores.losses)
        total = try total + planned(loss.options.valueWeight * sum.value, gradient: valueSlopes, of: values)
        var tallies = try [
            ("loss/policy_avg", sum.policy), ("loss/value_avg", sum.value), ("policy/approxkl_avg", sum.moved),
            ("policy/clipfrac_avg", Double(sum.clipped)), ("val/clipfrac_avg", Double(sum.valuesClipped)),
            ("policy/entropy_avg", scores.entropies.reduce(0, +)), ("val/ratio", sum.ratios),
        ].map { try Tally($0.0, Tensor([$0.1]), count: count) }
        if let weight = model.trunk.routerLossWeight, let balance = try context.balance?.loss() {
            let share = try balance.to(total.dtype) * Double(count)
            total = try total + share * weight
            tallies.append(Tally("aux_loss", try share.detached(), count: count))
        }
        return MicroLoss(sum: total, targets: count, tallies: tallies)
    }
}
