import ApusDatasets
package import ApusLanguageModel
package import ApusNN
import ApusTorch

// P pairs, S = 2P sequences: chosen, rejected, chosen, …

/// What is minimised of pairs of answers: `Σ wₖ · lossₖ + a · NLL`, NLL the mean `-log p` of the tokens of chosen answers.
package struct PairTerms: Sendable {
    package var losses: [(loss: PairLoss, weight: Double)]
    package var options: PairLossOptions
    /// a: the weight of the likelihood of chosen answers.
    package var likelihoodWeight: Double
    /// What the log-probabilities of tokens behind the length of the shorter answer are multiplied by, in the scores of
    /// the trained model; nil counts all alike.
    ///
    /// Liu et al. 2024, <https://arxiv.org/abs/2409.06411>.
    package var tailWeight: Double?
    /// Whether that is so in the scores of the reference too, as in TRL.
    package var weighsReferenceTails = false
    /// Whether rewards and log-probabilities are logged as means over the tokens of an answer.
    package var logsMeans: Bool

    package init(
        _ losses: [(loss: PairLoss, weight: Double)], _ options: PairLossOptions, likelihoodWeight: Double = 0,
        tailWeight: Double? = nil, logsMeans: Bool = false
    ) {
        self.losses = losses
        self.options = options
        self.likelihoodWeight = likelihoodWeight
        self.tailWeight = tailWeight
        self.logsMeans = logsMeans
    }

    /// What the log-probability of a token counts by its place in an answer, of a pair of which the shorter one has so many.
    func tokenWeight(at place: Int, shorter: Int) -> Double { place < shorter ? 1 : tailWeight ?? 1 }

    private func has(_ loss: PairLoss) -> Bool { losses.contains { $0.loss == loss } }

    /// What an evaluation reports, the loss first.
    package var metricNames: [String] {
        ["loss"] + ["rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen"]
            + ["logps/rejected", "logits/chosen", "logits/rejected"]
            + (has(.ipo) && !logsMeans ? ["logps_mean/chosen", "logps_mean/rejected"] : [])
            + (likelihoodWeight == 0 ? [] : ["nll_loss"])
            + (has(.oddsRatio) ? ["log_odds_ratio", "log_odds_chosen"] : [])
    }
}

/// Pairs of answers of which one is preferred.
///
/// Every target's log-probability is made once, without all logits; losses and their derivatives are computed from their
/// sums on the host, and go back as one factor for each target. The loss of a step is `Σ / pairs` of its pairs and
/// `Σ / tokens` of its likelihood, whatever the micro-batches.
package final class PairPreferences: ComparedObjective {
    private let model: CausalLanguageModel
    private let terms: PairTerms
    /// What the model is compared with.
    package var reference = Reference.none
    /// What has the reference follow the model; nil where it stays.
    package var moving: MovingReference?
    /// The mean of rewards that `bcoPair` goes by.
    private let runningReward: RunningReward?
    /// What the summed likelihood is multiplied by to count as a mean beside the mean over pairs: pairs per token.
    private var likelihoodShare = 0.0

    package init(_ model: CausalLanguageModel, _ terms: PairTerms) throws {
        self.model = model
        self.terms = terms
        runningReward = try terms.losses.contains { $0.loss == .bcoPair } ? RunningReward() : nil
    }

    /// Asks the reference about every sample before the run.
    package func rememberReference(
        _ sources: [any TrainingSource], size: Int, progress: (Int) -> Void
    ) throws {
        reference = try reference.remembered(sources, trained: model, size: size, place: Self.place, progress: progress)
    }

    private static func place(_ batch: TokenBatch, _ sequence: Int) -> (sample: Int32, place: Int) {
        (batch.sequenceGroups[sequence / 2].question, sequence % 2)
    }

    package var participants: [any StepParticipant] {
        (runningReward.map { [$0] } ?? []) + (moving.map { [$0] } ?? [])
    }

    package var isAdditive: Bool { runningReward == nil && !terms.losses.contains { $0.loss.comparesPairs } }

    package func begin(_ batches: [TokenBatch]) throws { count(batches) }
    package func begin(evaluation batches: some Sequence<TokenBatch>) throws { count(batches) }

    /// Counts the pairs and tokens of what is measured together.
    private func count(_ batches: some Sequence<TokenBatch>) {
        guard terms.likelihoodWeight != 0 else { return }
        var (pairs, tokens) = (0, 0)
        for batch in batches {
            pairs += batch.sequenceCount / 2
            for (index, range) in batch.targetRanges.enumerated() where index % 2 == 0 { tokens += range.count }
        }
        likelihoodShare = Double(pairs) / Double(max(1, tokens))
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let own = try context.undropped(batch, of: model)
        let ranges = batch.targetRanges
        let pairs = (0..<batch.sequenceCount / 2).map { (chosen: ranges[2 * $0], rejected: ranges[2 * $0 + 1]) }

        /// `Σ log p` of some targets.
        func sum(_ losses: [Double], _ range: Range<Int>, weights: (Int) -> Double = { _ in 1 }) -> Double {
            -range.reduce(0) { $0 + weights($1 - range.lowerBound) * losses[$1] }
        }
        /// The weight of a token by its place in an answer.
        func weights(_ pair: (chosen: Range<Int>, rejected: Range<Int>)) -> (Int) -> Double {
            let shorter = min(pair.chosen.count, pair.rejected.count)
            return { [terms] in terms.tokenWeight(at: $0, shorter: shorter) }
        }
        let known = try referenceSums(batch, isTraining: context.isTraining) { losses in
            pairs.flatMap { pair in [pair.chosen, pair.rejected].map { sum(losses, $0, weights: weights(pair)) } }
        }
        let scores = try TokenScores(model, batch, own)
        let points = pairs.enumerated().map { index, pair in
            PairScore(
                chosen: sum(scores.values, pair.chosen, weights: weights(pair)),
                rejected: sum(scores.values, pair.rejected, weights: weights(pair)),
                chosenReference: known?[2 * index] ?? 0, rejectedReference: known?[2 * index + 1] ?? 0,
                chosenCount: pair.chosen.count, rejectedCount: pair.rejected.count)
        }
        if let runningReward, context.isTraining {
            try runningReward.add(
                points.flatMap { [$0.chosenGain, $0.rejectedGain].map { terms.options.beta * $0 } },
                of: context.randomKey)
        }
        var total = 0.0
        var slopes = Array(repeating: 0.0, count: scores.values.count)
        for (loss, weight) in terms.losses {
            let losses = try loss.losses(points, terms.options, delta: runningReward?.mean() ?? 0)
            for (index, pair) in pairs.enumerated() {
                total += weight * losses.values[index]
                let factor = weights(pair)
                // `losses` are -log p, so that signs turn.
                for place in pair.chosen {
                    slopes[place] -= weight * losses.chosen[index] * factor(place - pair.chosen.lowerBound)
                }
                for place in pair.rejected {
                    slopes[place] -= weight * losses.rejected[index] * factor(place - pair.rejected.lowerBound)
                }
            }
        }
        let likelihood = pairs.reduce(0) { $0 - sum(scores.values, $1.chosen) }
        if terms.likelihoodWeight != 0 {
            let share = terms.likelihoodWeight * likelihoodShare
            total += share * likelihood
            for pair in pairs { for place in pair.chosen { slopes[place] += share } }
        }
        var loss = try planned(total, gradient: slopes, of: scores.losses)
        var tallies = try self.tallies(points, pairs, scores, likelihood: likelihood)
        if let weight = model.trunk.routerLossWeight, let balance = try own.balance?.loss() {
            let share = try balance.to(loss.dtype) * Double(pairs.count)
            loss = try loss + share * weight
            tallies.append(Tally("aux_loss", try share.detached(), count: pairs.count))
        }
        return MicroLoss(sum: loss, targets: pairs.count, tallies: tallies)
    }

    /// What the reference says of each sequence; nil without one.
    ///
    /// - Parameter weighed: The sums where tokens count differently.
    private func referenceSums(
        _ batch: TokenBatch, isTraining: Bool, weighed: ([Double]) -> [Double]
    ) throws -> [Double]? {
        guard terms.weighsReferenceTails, terms.tailWeight != nil else {
            return try reference.sums(batch, trained: model, isTraining: isTraining) { Self.place(batch, $0) }
        }
        if case .known = reference {
            throw ModelError("sums that were asked for before the run cannot be weighed token by token")
        }
        return try reference.losses(batch, trained: model, isTraining: isTraining).map(weighed)
    }

    private func tallies(
        _ points: [PairScore], _ pairs: [(chosen: Range<Int>, rejected: Range<Int>)], _ scores: TokenScores,
        likelihood: Double
    ) throws -> [Tally] {
        let beta = terms.options.beta
        /// Rewards are shaped as they are compared where nothing else is, as in TRL.
        func reward(_ score: Double) -> Double {
            if case .power = terms.options.shape { terms.options.shape(score).value } else { score }
        }
        func chosen(_ point: PairScore) -> Double { reward(terms.logsMeans ? point.chosenMean : point.chosenGain) }
        func rejected(_ point: PairScore) -> Double {
            reward(terms.logsMeans ? point.rejectedMean : point.rejectedGain)
        }
        let tokens = (
            chosen: pairs.reduce(0) { $0 + $1.chosen.count }, rejected: pairs.reduce(0) { $0 + $1.rejected.count }
        )
        func overPairs(_ value: (PairScore) -> Double) -> (sum: Double, count: Int) {
            (points.reduce(0) { $0 + value($1) }, points.count)
        }
        func overTokens(_ ranges: [Range<Int>]) -> (sum: Double, count: Int) {
            (ranges.joined().reduce(0) { $0 + scores.meanLogits[$1] }, ranges.reduce(0) { $0 + $1.count })
        }
        let values: [String: (sum: Double, count: Int)] = [
            "rewards/chosen": overPairs { beta * chosen($0) },
            "rewards/rejected": overPairs { beta * rejected($0) },
            "rewards/accuracies": overPairs { chosen($0) > rejected($0) ? 1 : 0 },
            "rewards/margins": overPairs { beta * (chosen($0) - rejected($0)) },
            "logps/chosen": overPairs { terms.logsMeans ? $0.chosenMean : $0.chosen },
            "logps/rejected": overPairs { terms.logsMeans ? $0.rejectedMean : $0.rejected },
            "logits/chosen": overTokens(pairs.map(\.chosen)),
            "logits/rejected": overTokens(pairs.map(\.rejected)),
            "logps_mean/chosen": overPairs(\.chosenMean),
            "logps_mean/rejected": overPairs(\.rejectedMean),
            "nll_loss": (likelihood, tokens.chosen),
            "log_odds_ratio": overPairs { logLogistic(PairLoss.odds($0)) },
            "log_odds_chosen": overPairs(PairLoss.odds),
        ]
        return try terms.metricNames.compactMap { name in
            try values[name].map { try Tally(name, Tensor([$0.sum]), count: $0.count) }
        }
    }
}

/// The mean of all rewards so far, which a resumed run goes on with.
final class RunningReward: StepParticipant {
    /// The mean and how many rewards it is of, [2].
    private let moments: Tensor
    /// The micro-batch that was added last; its loss may be asked for twice.
    private var last: UInt64?

    init() throws { moments = try Tensor.zeros([2], dtype: .float64) }

    var state: [(name: String, tensor: Tensor)] { [("running_reward", moments)] }

    func mean() throws -> Double { try moments.values(as: Double.self)[0] }

    /// - Parameter key: Names the micro-batch.
    func add(_ rewards: [Double], of key: UInt64) throws {
        guard key != last else { return }
        last = key
        let before: [Double] = try moments.values()
        let count = before[1] + Double(rewards.count)
        let mean = before[0] + (rewards.reduce(0, +) - before[0] * Double(rewards.count)) / count
        try moments.copy(from: Tensor([mean, count]))
    }
}
