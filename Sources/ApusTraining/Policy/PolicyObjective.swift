package import ApusLanguageModel
package import ApusNN
import ApusTorch

/// Answers that the model gave itself and that were rewarded (GRPO and its family).
package final class PolicyObjective: Objective {
    private let model: CausalLanguageModel
    private let loss: PolicyLoss
    private let rollouts: RolloutSource
    private let heldOut: HeldOutRollouts
    private let maker: RolloutMaker
    private let options: Options
    /// What has the reference of the answers follow the model; nil where it stays.
    package var moving: MovingReference?
    /// What is learned beside the answers; nil where that is nothing.
    package var experts: ExpertAnswers?
    /// What the present step learns of them, by the first number of each micro-batch.
    private var lesson: (share: Double, rows: [Int32: [Int]], targets: Int, answers: Int)?

    package struct Options: Sendable, Equatable {
        /// Whether it is told how far the model is from the one that sampled.
        package var tellsGap = false
        /// Whether the entropy of answers is told.
        package var tellsEntropy = false
        /// Only so many of the tokens with the highest entropy count in the loss proper.
        package var entropyShare = 1.0

        package init() {}
    }

    /// - Parameters:
    ///   - maker: Of the answers that are learned from.
    ///   - rollouts: Those answers.
    ///   - heldOut: Answers that are only measured.
    package init(
        _ model: CausalLanguageModel, _ loss: PolicyLoss, _ maker: RolloutMaker, _ rollouts: RolloutSource,
        _ heldOut: HeldOutRollouts, _ options: Options
    ) {
        self.model = model
        self.loss = loss
        self.maker = maker
        self.rollouts = rollouts
        self.heldOut = heldOut
        self.options = options
    }

    /// The answer of a number in a batch; those that are only measured have negative ones.
    private func rollout(_ number: Int32) throws -> Rollout {
        number < 0 ? try heldOut.rollout(Int(~number)) : try rollouts.rollout(Int(number))
    }

    /// What an evaluation tells, but of the single rewards.
    ///
    /// - Parameter rounds: How its answers are made.
    package static func metricNames(
        _ rounds: RolloutMaker.Options, _ loss: PolicyLoss, _ options: Options
    ) -> [String] {
        var names = ["loss"] + RoundFigures.names(rounds) + (loss.divergenceWeight > 0 ? ["kl"] : [])
        switch loss.form {
        case .sapo: break
        case .cispo: names.append("cispo_clip_ratio")
        default: names += ["low_mean", "low_min", "high_mean", "high_max", "region_mean"].map { "clip_ratio/\($0)" }
        }
        names += (loss.correction == nil ? [] : ["max"]).map { "rollout_correction/\($0)" }
        if options.tellsGap { names += SamplerGap.names(loss.correction).map { "rollout_correction/\($0)" } }
        if options.tellsEntropy { names += ["mean", "max", "min"].map { "entropy/\($0)" } }
        return names + (options.entropyShare < 1 ? ["entropy/threshold"] : [])
    }

    package var participants: [any StepParticipant] { [rollouts] + (moving.map { [$0] } ?? []) }

    /// Which tokens have a high entropy depends on the others of a micro-batch.
    package var isAdditive: Bool { options.entropyShare == 1 && model.trunk.routerLossWeight == nil }

    /// Divides what the step learns of experts among its micro-batches.
    package func begin(_ batches: [TokenBatch]) throws {
        lesson = nil
        guard let experts else { return }
        let numbers = try batches.map(numbers)
        let own = experts.lesson(ofStep: rollouts.step, parts: batches.count)
        lesson = (
            own.share, Dictionary(zip(numbers.compactMap(\.first), own.parts), uniquingKeysWith: { first, _ in first }),
            max(1, own.targets), max(1, try maker.targets(numbers.joined().map(rollout)))
        )
    }

    private func numbers(_ batch: TokenBatch) throws -> [Int32] {
        guard case .classes(let numbers) = batch.labels else {
            throw ModelError("answers that nobody sampled cannot be learned from")
        }
        return numbers
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let numbers = try numbers(batch)
        let answers = try numbers.map(rollout)
        let undropped = try undroppedLosses(batch, answers, context)
        let asksEntropy = options.tellsEntropy || options.entropyShare < 1
        let scores = try TokenScores(
            model, batch, context, temperature: maker.options.temperature, asksEntropy: asksEntropy)
        let threshold = options.entropyShare < 1 ? scores.entropies.quantile(1 - options.entropyShare) : nil
        var total = 0.0
        var slopes = Array(repeating: 0.0, count: scores.values.count)
        var (divergence, tokens) = (0.0, 0)
        var clipped = (low: 0, high: 0, of: 0)
        var compares = false
        var largest = 0.0
        var gap = SamplerGap()
        for (rollout, range) in zip(answers, batch.targetRanges) {
            let logs = range.map { -scores.values[$0] }
            var answer = PolicyLoss.Answer(logs: logs, old: rollout.old ?? logs, advantage: rollout.advantage)
            answer.reference = loss.divergenceWeight > 0 ? rollout.reference : nil
            answer.sampled = rollout.sampled
            answer.undropped = undropped.map { losses in range.map { -losses[$0] } }
            answer.undroppedOld = rollout.old ?? answer.undropped
            answer.isMasked = maker.isMasked(rollout)
            if let threshold { answer.counts = range.map { scores.entropies[$0] >= threshold } }
            let value = loss(answer)
            if options.tellsGap, let sampled = answer.sampled {
                gap.add(old: answer.undroppedOld ?? logs, sampled: sampled, weights: value.correction)
            }
            total += value.sum
            for (place, slope) in zip(range, value.slopes) { slopes[place] = -slope }
            compares = compares || answer.reference != nil
            divergence += value.divergence
            tokens += value.tokens
            clipped = (
                clipped.low + value.clipped.low, clipped.high + value.clipped.high, clipped.of + value.clipped.of
            )
            largest = max(largest, value.largestCorrection)
        }
        var sum = try planned(total, gradient: slopes, of: scores.losses)
        var tallies: [Tally] = []
        func tell(_ name: String, _ sum: Double, of count: Int) throws {
            tallies.append(Tally(name, try Tensor([sum]), count: count))
        }
        if compares { try tell("kl", divergence, of: tokens) }
        switch loss.form {
        case .sapo: break
        case .cispo: try tell("cispo_clip_ratio", Double(clipped.high), of: clipped.of)
        default:
            // TRL takes the least and the most of several devices; of one they are the share in a micro-batch.
            let micro = Double(max(1, clipped.of))
            try tell("clip_ratio/low_mean", Double(clipped.low), of: clipped.of)
            try tell("clip_ratio/low_min", Double(clipped.low) / micro, of: 1)
            try tell("clip_ratio/high_mean", Double(clipped.high), of: clipped.of)
            try tell("clip_ratio/high_max", Double(clipped.high) / micro, of: 1)
            try tell("clip_ratio/region_mean", Double(clipped.low + clipped.high), of: clipped.of)
        }
        if loss.correction != nil { try tell("rollout_correction/max", largest, of: 1) }
        for figure in gap.figures(loss.correction) {
            try tell("rollout_correction/\(figure.name)", figure.sum, of: figure.count)
        }
        if options.tellsEntropy {
            let means = batch.targetRanges.map { scores.entropies[$0].mean }
            try tell("entropy/mean", means.reduce(0, +), of: means.count)
            try tell("entropy/max", means.max() ?? 0, of: 1)
            try tell("entropy/min", means.min() ?? 0, of: 1)
        }
        if let threshold { try tell("entropy/threshold", threshold, of: 1) }
        if let lesson, context.isTraining {
            sum = try sum * (1 - lesson.share)
            try tell("chord/mu", lesson.share, of: 1)
            if let experts, let rows = numbers.first.flatMap({ lesson.rows[$0] }), !rows.isEmpty {
                let (own, value, count) = try experts.loss(rows, model, context)
                // A mean over the expert targets of the step beside one over what the loss of answers is divided by.
                sum = try sum + own * (lesson.share * Double(lesson.answers) / Double(lesson.targets))
                try tell("chord/sft_loss", value, of: count)
            }
        }
        let targets = maker.targets(answers)
        if let weight = model.trunk.routerLossWeight, let balance = try context.balance?.loss() {
            let share = try balance.to(sum.dtype) * Double(targets)
            sum = try sum + share * weight
            tallies.append(Tally("aux_loss", try share.detached(), count: targets))
        }
        return MicroLoss(sum: sum, targets: targets, tallies: tallies)
    }
}

extension PolicyObjective {
    /// `−log p` of each target with nothing dropped, N; nil where nobody asks, or a pass drops nothing anyway.
    ///
    /// Answers are sampled so, and a step that drops would find a sampler and a trainer that are one model apart.
    private func undroppedLosses(
        _ batch: TokenBatch, _ answers: [Rollout], _ context: ForwardContext
    ) throws -> [Double]? {
        let isAsked = answers.contains { $0.sampled != nil && ($0.old == nil || loss.staleness != nil) }
        guard context.isTraining, isAsked else { return nil }
        return try withoutGradients {
            let plain = try model.context(for: batch, adapters: context.adapters)
            return try TokenScores(model, batch, plain, temperature: maker.options.temperature).values
        }
    }
}

extension Array where Element == Double {
    /// The number that a share of all is not above, between two of them in proportion; 0 of none.
    fileprivate func quantile(_ share: Double) -> Double {
        guard let last = indices.last else { return 0 }
        let sorted = sorted()
        let place = share * Double(last)
        let low = Int(place)
        return sorted[low] + (sorted[Swift.min(low + 1, last)] - sorted[low]) * (place - Double(low))
    }
}
