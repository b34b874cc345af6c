import ApusDatasets
package import ApusLanguageModel
package import ApusNN
import ApusTorch

/// Rewards of whole conversations, learned from pairs of which one is preferred.
package final class RewardPairs: Objective {
    private let model: SequenceClassifier
    private let reward: RewardLoss

    package init(_ model: SequenceClassifier, _ loss: RewardLoss) {
        self.model = model
        reward = loss
    }

    package static func metricNames(isCentered: Bool) -> [String] {
        ["loss", "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins"]
            + (isCentered ? ["center_rewards_loss"] : [])
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        guard case .groups(let groups) = batch.labels else {
            throw ModelError("conversations without pairs cannot be compared")
        }
        let scores = try model.scores(batch, context.undropped(batch, of: model))  // [S, 1]
        let values: [Double] = try scores.values()
        var total = 0.0
        var slopes = Array(repeating: 0.0, count: values.count)
        var sums = Array(repeating: 0.0, count: 5)
        for (index, group) in groups.enumerated() {
            let (chosen, rejected) = (values[2 * index], values[2 * index + 1])
            let loss = reward.loss(chosen: chosen, rejected: rejected, margin: group.label.map(Double.init) ?? 0)
            total += loss.value
            (slopes[2 * index], slopes[2 * index + 1]) = (loss.chosen, loss.rejected)
            for (place, value) in [
                chosen, rejected, chosen > rejected ? 1 : 0, chosen - rejected,
                (reward.centerCoefficient ?? 0) * loss.square,
            ].enumerated() { sums[place] += value }
        }
        let names = Self.metricNames(isCentered: reward.centerCoefficient != nil).dropFirst()
        return MicroLoss(
            sum: try planned(total, gradient: slopes, of: scores), targets: groups.count,
            tallies: try zip(names, sums).map { try Tally($0, Tensor([$1]), count: groups.count) })
    }
}
