package import ApusDatasets
import ApusLanguageModel
import ApusNN
import ApusTorch
import Foundation

/// How much answers of experts count beside the model's own, μ: a line up to the peak, then half a cosine down to the valley.
///
/// Of the step behind s others, with W steps of warm-up and D of decay: `s / W · peak` for s < W, the valley from W + D on, and
/// between `valley + (peak − valley) (1 + cos(π (s − W) / D)) / 2`.
package struct ImitationSchedule: Sendable, Equatable {
    package var warmupSteps: Int
    package var decaySteps: Int
    package var peak: Double
    package var valley: Double

    package init(warmupSteps: Int, decaySteps: Int, peak: Double, valley: Double) {
        self.warmupSteps = warmupSteps
        self.decaySteps = decaySteps
        self.peak = peak
        self.valley = valley
    }

    /// μ of the step behind so many.
    package func share(behind step: Int) -> Double {
        if step < warmupSteps { return Double(step) / Double(warmupSteps) * peak }
        let place = step - warmupSteps
        guard place < decaySteps else { return valley }
        return valley + (peak - valley) * (1 + cos(.pi * Double(place) / Double(decaySteps))) / 2
    }
}

/// Answers of experts that are learned beside those of the model's own: `(1 − μ) L_policy + μ L_sft` (CHORD).
///
/// `L_sft` is the mean over the expert targets of a step of `−log p`, on request times `p (1 − p)` without a gradient, which
/// leaves out what the model knows already and what it would never say. Zhang et al. 2025,
/// <https://arxiv.org/abs/2508.11408>.
///
/// Which rows a step learns depends on the seed and the number of the step alone: they follow each other in an order that is
/// drawn anew for each pass over them.
package final class ExpertAnswers {
    private let data: TokenizedDataset
    private let rowsOfStep: Int
    private let order: EpochOrder
    private let schedule: ImitationSchedule
    /// Whether targets are weighed by `p (1 − p)`.
    private let weighsDoubt: Bool
    /// The rows in the order of one pass.
    private var pass: (number: Int, rows: [Int32]) = (-1, [])

    /// - Parameters:
    ///   - rowsOfStep: How many are learned in a step, of all its micro-batches.
    package init(
        _ data: TokenizedDataset, rowsOfStep: Int, seed: UInt64, _ schedule: ImitationSchedule, weighsDoubt: Bool
    ) {
        self.data = data
        self.rowsOfStep = rowsOfStep
        self.schedule = schedule
        self.weighsDoubt = weighsDoubt
        order = EpochOrder(method: .splitMix, seed: streamKey(seed, 0x4348_4F52))
    }

    /// What a step learns of the experts.
    struct Lesson {
        /// μ.
        let share: Double
        /// The rows of each micro-batch.
        let parts: [[Int]]
        let targets: Int
    }

    /// - Parameters:
    ///   - step: Steps that are done before it.
    ///   - parts: Its micro-batches.
    func lesson(ofStep step: Int, parts: Int) -> Lesson {
        let share = schedule.share(behind: step)
        guard share > 0 else { return Lesson(share: 0, parts: [], targets: 0) }
        // The first step of a warm-up learns none, and takes none.
        let rows = self.rows(from: (step - (schedule.warmupSteps > 0 ? 1 : 0)) * rowsOfStep)
        return Lesson(
            share: share,
            parts: (0..<parts).map { Array(rows[rows.count * $0 / parts..<rows.count * ($0 + 1) / parts]) },
            targets: rows.reduce(0) { $0 + data.trainedCount(of: $1) })
    }

    private func rows(from start: Int) -> [Int] {
        (start..<start + rowsOfStep).map { place in
            let number = place / data.count
            if pass.number != number { pass = (number, order.permutation(epoch: number, count: data.count)) }
            return Int(pass.rows[place % data.count])
        }
    }

    /// The summed losses of some rows with their gradient, each target as the row weighs it.
    ///
    /// - Parameter context: Of the micro-batch that they are learned beside.
    /// - Returns: The sum as a tensor and as a number, and of how many targets it is.
    func loss(
        _ rows: [Int], _ model: CausalLanguageModel, _ context: ForwardContext
    ) throws -> (sum: Tensor, value: Double, targets: Int) {
        let batch = data.batch(rows, draw: nil)
        let own = try model.context(
            for: batch, isTraining: context.isTraining, adapters: context.adapters,
            checkpointsLayers: context.checkpointsLayers, randomKey: streamKey(context.randomKey, 0x4348_4F52))
        let scores = try TokenScores(model, batch, own)
        let weights = scores.values.enumerated().map { index, loss in
            let chance = exp(-loss)
            return Double(batch.targets.weights?[index] ?? 1) * (weighsDoubt ? chance * (1 - chance) : 1)
        }
        let value = zip(weights, scores.values).reduce(0) { $0 + $1.0 * $1.1 }
        return (try planned(value, gradient: weights, of: scores.losses), value, weights.count)
    }
}
