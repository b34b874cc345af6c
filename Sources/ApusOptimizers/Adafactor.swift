package import ApusTorch
import Foundation

/// Adam's second moment as a product of row and column means, in steps of a bounded size.
///
/// For a matrix [m, n] with β = 1 - t^d: `r ← β r + (1-β) meanₙ(g² + ε)`, `c ← β c + (1-β) meanₘ(g² + ε)`,
/// `u = g / √(r c / mean(r))`, `u ← η u / max(1, rms(u) / d)`, `w ← w - ηλw - u`; vectors keep a second moment for each
/// element. With β₁ the update is averaged first. Shazeer and Stern 2018, <https://arxiv.org/abs/1804.04235>; the arithmetic
/// is that of `transformers.Adafactor` with `scale_parameter=False, relative_step=False`, as the Trainer makes it.
package final class Adafactor: Optimizer {
    package struct Settings: Sendable, Equatable {
        /// The largest root mean square of an update of one parameter, before the learning rate.
        package var clipThreshold = 1.0
        /// The exponent of the step in β.
        package var decayRate = -0.8
        /// The decay of averaged updates; nil keeps none.
        package var beta1: Double?
        /// What is added to squares.
        package var epsilon = 1e-30

        package init() {}
    }

    private let settings: Settings
    private let weights: WeightList

    package init(_ groups: [ParameterGroup], settings: Settings = Settings()) throws {
        self.settings = settings
        weights = try WeightList(groups) { shape in
            var memory: [String: [Int]] = ["step": []]
            if shape.count >= 2 {
                memory["exp_avg_sq_row"] = Array(shape.dropLast())
                memory["exp_avg_sq_col"] = Array(shape.dropLast(2) + shape.suffix(1))
            } else {
                memory["exp_avg_sq"] = shape
            }
            if settings.beta1 != nil { memory["exp_avg"] = shape }
            return memory
        }
    }

    package func step(rate: Double) throws {
        try weights.move(rate: rate) { entry, gradient, rate in
            let beta = 1 - pow(try entry.nextStep(), settings.decayRate)
            let squares = try gradient.power(2) + settings.epsilon
            var update: Tensor
            if entry.values.shape.count >= 2 {
                let (rows, columns) = (entry["exp_avg_sq_row"], entry["exp_avg_sq_col"])
                try rows.average(squares.mean(-1), keeping: beta)
                try columns.average(squares.mean(-2), keeping: beta)
                let shares = try rows / rows.mean(-1, keepAxis: true)
                update = try gradient * (shares.power(-0.5).unsqueezed(-1) * columns.power(-0.5).unsqueezed(-2))
            } else {
                try entry["exp_avg_sq"].average(squares, keeping: beta)
                update = try gradient * entry["exp_avg_sq"].power(-0.5)
            }
            update = try update * (rate / max(1, update.rootMeanSquare() / settings.clipThreshold))
            if let beta1 = settings.beta1 {
                try entry["exp_avg"].average(update, keeping: beta1)
                update = entry["exp_avg"]
            }
            if entry.decay > 0 { try entry.values.multiply(by: 1 - rate * entry.decay) }
            try entry.values.add(update, scale: -1)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { weights.state }
}
