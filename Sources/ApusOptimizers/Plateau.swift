import ApusNN
package import ApusTorch

/// When a learning rate that waits for a metric falls, and how far; the names and defaults of `torch`'s
/// `ReduceLROnPlateau`.
package struct PlateauOptions: Sendable, Equatable {
    /// Whether more of the metric is better (`mode`).
    package var seeksMore = false
    /// What the rate is multiplied by.
    package var factor = 0.1
    /// Evaluations without progress that are borne.
    package var patience = 10
    /// What counts as progress.
    package var threshold = 1e-4
    /// Whether `threshold` is a share of the best value (`threshold_mode`).
    package var isRelative = true
    /// Evaluations after a fall that count for nothing.
    package var cooldown = 0
    /// The least rate (`min_lr`).
    package var leastRate = 0.0
    /// A fall by less is left out (`eps`).
    package var leastChange = 1e-8

    package init() {}
}

/// The learning rate that falls when a metric of the evaluation stops improving (`reduce_lr_on_plateau`).
///
/// `rate ← max(factor · rate, leastRate)` once more than `patience` evaluations in a row brought no progress. It is the one
/// course that is no function of the step, so what it knows is saved with the run.
package final class Plateau: StepParticipant {
    private let options: PlateauOptions
    /// Rate, best metric, evaluations without progress, evaluations left of the cooldown.
    private let figures: Tensor

    package init(peak: Double, options: PlateauOptions) throws {
        self.options = options
        figures = try Tensor([peak, options.seeksMore ? -.infinity : .infinity, 0, 0] as [Double])
    }

    package func rate() throws -> Double { try figures.values()[0] }

    /// An evaluation measured a value; one that is no number is no progress.
    package func note(_ metric: Double) throws {
        var values: [Double] = try figures.values()
        if isProgress(metric, beyond: values[1]) {
            values[1] = metric
            values[2] = 0
        } else {
            values[2] += 1
        }
        if values[3] > 0 {
            values[3] -= 1
            values[2] = 0
        }
        if values[2] > Double(options.patience) {
            let lower = max(values[0] * options.factor, options.leastRate)
            if values[0] - lower > options.leastChange { values[0] = lower }
            values[3] = Double(options.cooldown)
            values[2] = 0
        }
        try figures.copy(from: Tensor(values))
    }

    private func isProgress(_ metric: Double, beyond best: Double) -> Bool {
        switch (options.seeksMore, options.isRelative) {
        case (false, true): metric < best * (1 - options.threshold)
        case (false, false): metric < best - options.threshold
        case (true, true): metric > best * (options.threshold + 1)
        case (true, false): metric > best + options.threshold
        }
    }

    package var state: [(name: String, tensor: Tensor)] { [("lr_plateau", figures)] }
}
