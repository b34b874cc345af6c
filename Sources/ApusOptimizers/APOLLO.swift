package import ApusTorch
import Foundation

/// SGD whose gradients of matrices are scaled, channel by channel, as AdamW would scale them in a random projection of a low
/// rank; what is no chosen matrix follows AdamW.
///
/// Zhu et al. 2024, <https://arxiv.org/abs/2412.05270>; the arithmetic of the package `apollo-torch`. For a gradient G [m, n] with
/// m ≥ n: `R = G Pᵀ`, P [r, n] of normal draws over √r; moments M, V of R, `N = M / (√V + ε)`; with norms over the ranks of each
/// row, `S = G ‖N‖ / (‖R‖ + 10⁻⁸)`, or one quotient for the whole matrix. The norm of S grows by at most 1 % a step;
/// `W ← W - η √(1-β₂ᵗ)/(1-β₁ᵗ) √s S`, then `W ← W (1 - ηλ)`. With m < n it is the other side.
package final class APOLLO: Optimizer {
    package enum Scaling: String, Sendable, CaseIterable {
        /// Each row of the longer side has its own factor.
        case channel
        /// A matrix has one factor; with rank 1 this is APOLLO-Mini.
        case tensor
    }

    package struct Options: Sendable, Equatable {
        package var rank = 128
        /// Steps after which the projection is drawn anew.
        package var gap = 200
        /// s, whose root multiplies steps.
        package var scale = 1.0
        package var scaling = Scaling.channel

        package init() {}
    }

    private let settings: AdamW.Settings
    private let options: Options
    private let projected: WeightList
    private let plain: WeightList

    private static let growth = 1.01

    /// - Parameter isProjected: Chooses among the matrices by name.
    package init(
        _ groups: [ParameterGroup], settings: AdamW.Settings = AdamW.Settings(), options: Options = Options(),
        isProjected: (String) -> Bool
    ) throws {
        self.settings = settings
        self.options = options
        func parts(_ isWanted: Bool) -> [ParameterGroup] {
            groups.map { group in
                group.with(group.parameters.filter { ($0.tensor.rank == 2 && isProjected($0.name)) == isWanted })
            }
        }
        let rank = options.rank
        projected = try WeightList(parts(true)) { shape in
            let (m, n) = (shape[0], shape[1])
            let low = m >= n ? [m, rank] : [rank, n]
            return [
                "exp_avg": low, "exp_avg_sq": low, "projector": m >= n ? [rank, n] : [m, rank], "norm": [], "step": [],
            ]
        }
        plain = try WeightList(parts(false)) { ["exp_avg": $0, "exp_avg_sq": $0, "step": []] }
    }

    package func step(rate: Double) throws {
        try plain.move(rate: rate) { entry, gradient, rate in
            let (update, correction) = try moments(of: gradient, entry, step: entry.nextStep())
            try move(entry, update, by: rate * correction, rate: rate)
        }
        try projected.move(rate: rate) { entry, gradient, rate in try follow(gradient, entry, rate: rate) }
    }

    private func follow(_ gradient: Tensor, _ entry: WeightList.Entry, rate: Double) throws {
        let step = try entry.nextStep()
        let isTall = gradient.shape[0] >= gradient.shape[1]
        let (draws, since) = Int(step - 1).quotientAndRemainder(dividingBy: options.gap)
        if since == 0 { try draw(entry["projector"], of: entry.number, after: draws) }
        let projector = try entry["projector"].transposed(0, 1)
        let low = try isTall ? matmul(gradient, projector) : matmul(projector, gradient)  // [m, r] or [r, n]
        let (normed, correction) = try moments(of: low, entry, step: step)
        let factor: Tensor
        switch options.scaling {
        case .channel:
            let axis = isTall ? 1 : 0
            func norm(_ x: Tensor) throws -> Tensor { try sqrt((x * x).sum(axis, keepAxis: true)) }
            factor = try norm(normed) / (norm(low) + 1e-8)  // [m, 1] or [1, n]
        case .tensor: factor = try totalNorm([normed]) / (totalNorm([low]) + 1e-8)
        }
        var scaled = try gradient * factor
        let (norm, before) = (try totalNorm([scaled]).item(), try entry["norm"].item())
        let limit = step > 1 ? max(norm / (before + 1e-8), Self.growth) / Self.growth : 1
        if limit > 1 { scaled = try scaled * (1 / limit) }
        try entry["norm"].fill(norm / limit)
        try move(entry, scaled, by: rate * correction * options.scale.squareRoot(), rate: rate)
    }

    /// `M / (√V + ε)` with a gradient taken up, and what a step is corrected by.
    private func moments(
        of gradient: Tensor, _ entry: WeightList.Entry, step: Double
    ) throws -> (update: Tensor, correction: Double) {
        let (mean, square) = (entry["exp_avg"], entry["exp_avg_sq"])
        try mean.average(gradient, keeping: settings.beta1)
        try square.average(gradient * gradient, keeping: settings.beta2)
        let correction = (1 - pow(settings.beta2, step)).squareRoot() / (1 - pow(settings.beta1, step))
        return (try mean / (sqrt(square) + settings.epsilon), correction)
    }

    private func move(_ entry: WeightList.Entry, _ update: Tensor, by length: Double, rate: Double) throws {
        try entry.values.add(update, scale: -length)
        if entry.decay > 0 { try entry.values.multiply(by: 1 - rate * entry.decay) }
    }

    /// Draws a projection from a seed that follows from which weight it is for and how many it had, so that a run that goes
    /// on draws what it would have drawn.
    ///
    /// A first seed is the number of the weight, from 1, those that are not projected first; a next one is the 15th draw of the
    /// last.
    private func draw(_ projector: Tensor, of number: Int, after draws: Int) throws {
        var seed = UInt64(plain.entries.count + 1 + number)
        for _ in 0..<draws {
            let next = try Generator(seed: seed).integers(Self.advance).values(as: Int64.self)
            seed = UInt64(bitPattern: next[Self.advance - 1])
        }
        // On the CPU, so that every device has the same.
        let drawn = try Tensor.zeros(projector.shape, dtype: projector.dtype)
        try drawn.fillNormal(generator: Generator(seed: seed))
        try projector.copy(from: drawn * (1 / Double(options.rank).squareRoot()))
    }

    private static let advance = 15

    package var state: [(name: String, tensor: Tensor)] { projected.state + plain.state }
}
