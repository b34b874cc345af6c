import ApusDatasets
package import ApusLanguageModel
package import ApusNN
import ApusTorch

/// Answers that were judged good or bad one by one (KTO).
///
/// A batch holds the answers and, where z₀ is asked for, behind them as many sequences with the answers to other questions.
/// z₀ is `max(0, mean of log p - log p_ref)` of the latter over the whole step, or the whole evaluation, without a gradient,
/// so that both are the same however they are cut into batches.
package final class JudgedAnswers: ComparedObjective {
    private let model: CausalLanguageModel
    private let judged: JudgedLoss
    /// What the model is compared with.
    package var reference = Reference.none
    /// What has the reference follow the model; nil where it stays.
    package var moving: MovingReference?
    private var zero = 0.0

    package init(_ model: CausalLanguageModel, _ loss: JudgedLoss) {
        self.model = model
        judged = loss
    }

    package static let metricNames = [
        "loss", "kl", "rewards/chosen", "logps/chosen", "logits/chosen", "rewards/rejected", "logps/rejected",
        "logits/rejected", "rewards/margins",
    ]

    package var participants: [any StepParticipant] { moving.map { [$0] } ?? [] }

    /// Asks the reference about every sample before the run.
    package func rememberReference(
        _ sources: [any TrainingSource], size: Int, progress: (Int) -> Void
    ) throws {
        reference = try reference.remembered(sources, trained: model, size: size, place: Self.place, progress: progress)
    }

    /// Answers come first, then those to other questions.
    private static func place(_ batch: TokenBatch, _ sequence: Int) -> (sample: Int32, place: Int) {
        let groups = batch.sequenceGroups
        return (groups[sequence % groups.count].question, sequence / groups.count)
    }

    package func begin(_ batches: [TokenBatch]) throws { try findZero(batches) }
    package func begin(evaluation batches: some Sequence<TokenBatch>) throws { try findZero(batches) }

    /// z₀ of what is measured together.
    private func findZero(_ batches: some Sequence<TokenBatch>) throws {
        guard judged.comparesWithOthers else { return }
        var (sum, count) = (0.0, 0)
        try withoutGradients {
            for batch in batches {
                let half = batch.sequenceCount / 2
                let others = batch.sequences(half..<batch.sequenceCount)
                let context = try model.context(for: others)
                let own = try TokenScores(model, others, context).values.reduce(0, +)
                let theirs = try reference.sums(others, trained: model, isTraining: false) {
                    Self.place(batch, half + $0)
                }
                sum -= own + (theirs?.reduce(0, +) ?? 0)
                count += others.sequenceCount
            }
        }
        zero = JudgedLoss.zero(ofGains: sum, count: count)
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        guard case .groups(let groups) = batch.labels else {
            throw ModelError("answers that nobody judged cannot be learned from")
        }
        let answers = batch.sequences(0..<groups.count)
        let own = try context.undropped(answers, of: model)
        let known = try reference.sums(answers, trained: model, isTraining: context.isTraining) {
            Self.place(batch, $0)
        }
        let scores = try TokenScores(model, answers, own)
        var total = 0.0
        var slopes = Array(repeating: 0.0, count: scores.values.count)
        // What is logged, of good answers and of bad ones.
        var (rewards, logps, logits) = ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
        var (counts, tokens) = ([0, 0], [0, 0])
        for (index, (group, range)) in zip(groups, answers.targetRanges).enumerated() {
            let isGood = group.positives == 1
            let score = -range.reduce(0) { $0 + scores.values[$1] }
            let gain = score - (known?[index] ?? 0)
            let (value, slope) = judged.loss(gain: gain, isGood: isGood, zero: zero)
            total += value
            for place in range { slopes[place] = -slope }
            let kind = isGood ? 0 : 1
            rewards[kind] += judged.beta * gain
            logps[kind] += score
            logits[kind] += range.reduce(0) { $0 + scores.meanLogits[$1] }
            counts[kind] += 1
            tokens[kind] += range.count
        }
        var loss = try planned(total, gradient: slopes, of: scores.losses)
        var tallies = [try Tally("kl", Tensor([zero * Double(groups.count)]), count: groups.count)]
        for (kind, name) in ["chosen", "rejected"].enumerated() {
            tallies += try [
                Tally("rewards/\(name)", Tensor([rewards[kind]]), count: counts[kind]),
                Tally("logps/\(name)", Tensor([logps[kind]]), count: counts[kind]),
                Tally("logits/\(name)", Tensor([logits[kind]]), count: tokens[kind]),
            ]
        }
        if let weight = model.trunk.routerLossWeight, let balance = try own.balance?.loss() {
            let share = try balance.to(loss.dtype) * Double(groups.count)
            loss = try loss + share * weight
            tallies.append(Tally("aux_loss", try share.detached(), count: groups.count))
        }
        return MicroLoss(sum: loss, targets: groups.count, tallies: tallies)
    }

    /// Good and bad answers need not come in equal numbers, so that their margin is one of means.
    package func derived(_ means: [(name: String, value: Double)]) -> [(name: String, value: Double)] {
        guard let good = means.first(where: { $0.name == "rewards/chosen" }),
            let bad = means.first(where: { $0.name == "rewards/rejected" })
        else { return [] }
        return [("rewards/margins", good.value - bad.value)]
    }
}
