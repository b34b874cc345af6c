package import ApusTorch
import Foundation

/// AdamW whose moments are of a low rank: gradients of matrices are projected on their largest singular vectors, which
/// are found anew every so many steps, and the step is projected back.
///
/// Zhao et al. 2024, <https://arxiv.org/abs/2403.03507>; with a `LazyProjection` and moments in bytes it is Q-GaLore. For a gradient G [m, n] with m ≥ n: `R = G Pᵀ`, P [r, n] the
/// first right singular vectors; moments of R; `W ← W - η √(1-β₂ᵗ)/(1-β₁ᵗ) · s (M / (√V + ε)) P`, then `W ← W (1 - ηλ)`.
package final class GaLore: Optimizer {
    /// Which singular vectors a gradient is projected on.
    package enum Projection: String, Sendable, CaseIterable {
        /// Those of the shorter side.
        case std
        /// Those of the longer side.
        case reverseStd = "reverse_std"
        case right, left
        /// Those of both sides.
        case full
    }

    package struct Options: Sendable {
        package var rank = 128
        /// Steps after which the singular vectors are found anew.
        package var gap = 50
        package var scale = 1.0
        package var projection = Projection.std
        /// How singular vectors are kept, and how seldom they are found anew; nil keeps them whole, with moments in full.
        package var lazy: LazyProjection?

        package init() {}
    }

    private let settings: AdamW.Settings
    private let options: Options
    private let projected: [Projected]
    private let plain: AdamW

    private struct Projected {
        let weight: MasterWeight
        let group: ParameterGroup
        /// [m, r] and [r, n]; nil on a side that is not projected.
        let left: Side?
        let right: Side?
        let moments: LowMoments
        let step: Tensor
        /// The steps between two times of finding vectors, the step of the last, and the likenesses of the last times.
        let gap: Tensor
        let found: Tensor
        let likenesses: Tensor
    }

    /// Singular vectors of one side.
    private struct Side {
        let whole: Tensor?
        let coded: StepCoded?
        let shape: [Int]

        init(_ shape: [Int], _ lazy: LazyProjection?, dtype: DType, device: Device) throws {
            self.shape = shape
            whole = try lazy?.bits == nil ? Tensor.zeros(shape, dtype: dtype, device: device) : nil
            coded =
                try lazy?.bits == nil
                ? nil : StepCoded(zeros: shape, group: lazy?.group ?? 256, dtype: dtype, device: device)
        }

        func values() throws -> Tensor { try whole ?? coded?.values() ?? Tensor.zeros(shape) }

        func take(_ vectors: Tensor, _ lazy: LazyProjection?) throws {
            try whole?.copy(from: vectors)
            if let bits = lazy?.bits { try coded?.take(vectors, bits: bits) }
        }

        func state(_ name: String) -> [(name: String, tensor: Tensor)] {
            whole.map { [(name, $0)] } ?? coded?.state(name) ?? []
        }
    }

    /// - Parameter isProjected: Chooses among the matrices by name.
    package init(
        _ groups: [ParameterGroup], settings: AdamW.Settings = AdamW.Settings(), options: Options,
        isProjected: (String) -> Bool
    ) throws {
        self.settings = settings
        self.options = options
        func isChosen(_ parameter: TrainedParameter) -> Bool {
            parameter.tensor.rank == 2 && isProjected(parameter.name)
        }
        projected = try groups.flatMap { group in
            try group.parameters.filter(isChosen).map { parameter in
                let (m, n) = (parameter.tensor.shape[0], parameter.tensor.shape[1])
                let sides = Self.sides(options.projection, m, n)
                let rank = min(options.rank, m, n)
                let weight = try MasterWeight(parameter)
                let shape = [sides.left ? rank : m, sides.right ? rank : n]
                func side(_ shape: [Int]) throws -> Side {
                    try Side(shape, options.lazy, dtype: weight.values.dtype, device: weight.values.device)
                }
                let gap = try Tensor.zeros([], dtype: .float64)
                try gap.fill(Double(options.gap))
                return Projected(
                    weight: weight, group: group, left: sides.left ? try side([m, rank]) : nil,
                    right: sides.right ? try side([rank, n]) : nil,
                    moments: try LowMoments(
                        shape, inBytes: options.lazy != nil, dtype: weight.values.dtype, device: weight.values.device),
                    step: try Tensor.zeros([]), gap: gap, found: try Tensor.zeros([], dtype: .float64),
                    likenesses: try Tensor.full([options.lazy?.memory ?? 0], .nan, dtype: .float64))
            }
        }
        plain = try AdamW(
            groups.map { $0.with($0.parameters.filter { !isChosen($0) }) }.filter { !$0.parameters.isEmpty },
            settings: settings)
    }

    private static func sides(_ projection: Projection, _ m: Int, _ n: Int) -> (left: Bool, right: Bool) {
        switch projection {
        case .std: (m < n, m >= n)
        case .reverseStd: (m >= n, m < n)
        case .right: (false, true)
        case .left: (true, false)
        case .full: (true, true)
        }
    }

    package func step(rate: Double) throws {
        try withoutGradients {
            for one in projected {
                guard let gradient = try one.weight.gradient() else { continue }
                try follow(gradient, one, rate: rate * one.group.rateFactor)
            }
        }
        try plain.step(rate: rate)
    }

    private func follow(_ gradient: Tensor, _ one: Projected, rate: Double) throws {
        let done = Int(try one.step.item())
        if try Double(done) - one.found.item() >= one.gap.item() || done == 0 { try find(gradient, one, done: done) }
        try one.step.fill(Double(done + 1))
        let (left, right) = (try one.left?.values(), try one.right?.values())
        var low = gradient
        if let left { low = try matmul(left.transposed(0, 1), low) }  // [r, n]
        if let right { low = try matmul(low, right.transposed(0, 1)) }  // [m, r]
        var update = try one.moments.follow(low, settings)
        if let left { update = try matmul(left, update) }
        if let right { update = try matmul(update, right) }  // [m, n]
        let count = Double(done + 1)
        let correction = (1 - pow(settings.beta2, count)).squareRoot() / (1 - pow(settings.beta1, count))
        try one.weight.values.add(update, scale: -rate * correction * options.scale)
        if one.group.decay > 0 { try one.weight.values.multiply(by: 1 - rate * one.group.decay) }
        try one.weight.publish()
    }

    /// Finds the singular vectors of a gradient, and when to do that next.
    private func find(_ gradient: Tensor, _ one: Projected, done: Int) throws {
        let (u, _, v) = try gradient.singularValueDecomposition()  // [m, k], [k], [k, n]
        let left = try one.left.map { try u.narrowed(1, start: 0, length: $0.shape[1]) }
        let right = try one.right.map { try v.narrowed(0, start: 0, length: $0.shape[0]) }
        if let lazy = options.lazy, done > 0 {
            // Vectors are compared as they are kept, each with the one of its number; their signs are open.
            var cosines: [Double] = []
            if let left, let before = try one.left?.values() { cosines += try Self.likenesses(left, before, axis: 0) }
            if let right, let before = try one.right?.values() {
                cosines += try Self.likenesses(right, before, axis: 1)
            }
            let mean = cosines.reduce(0, +) / Double(max(1, cosines.count))
            let last = try one.likenesses.values(as: Double.self).dropFirst() + [mean]
            try one.likenesses.copy(from: Tensor(Array(last)))
            if last.allSatisfy({ !$0.isNaN }), last.reduce(0, +) / Double(last.count) >= lazy.threshold {
                try one.gap.fill(one.gap.item() * Double(lazy.growth))
            }
        }
        if let left { try one.left?.take(left, options.lazy) }
        if let right { try one.right?.take(right, options.lazy) }
        try one.found.fill(Double(done))
    }

    private static func likenesses(_ a: Tensor, _ b: Tensor, axis: Int) throws -> [Double] {
        let products = try (a * b).sum(axis)
        let lengths = try sqrt(a.power(2).sum(axis) * b.power(2).sum(axis))
        return try abs(products / lengths).to(.float64).values(as: Double.self)
    }

    package var state: [(name: String, tensor: Tensor)] {
        projected.flatMap { one -> [(name: String, tensor: Tensor)] in
            let name = one.weight.parameter.name
            var state = one.moments.state(name) + [("step.\(name)", one.step)]
            state += one.left?.state("projector_left.\(name)") ?? []
            state += one.right?.state("projector_right.\(name)") ?? []
            if options.lazy != nil {
                state += [
                    ("gap.\(name)", one.gap), ("found.\(name)", one.found), ("likenesses.\(name)", one.likenesses),
                ]
            } else {
                state += [("found.\(name)", one.found)]
            }
            return state + one.weight.state
        } + plain.state
    }
}
