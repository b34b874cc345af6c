package import ApusTorch
import Foundation

/// The angles of rotary position embeddings, with the ways models stretch them to longer texts.
///
/// `θ_i = base^(-2i/R)`, angle = position · θ_i. Su et al. 2021, <https://arxiv.org/abs/2104.09864>.
package struct RotaryEmbedding: Sendable, Equatable {
    /// How the frequencies are changed for positions beyond the original training length.
    package enum Scaling: Sendable, Equatable {
        case none
        /// All frequencies divided by `factor`. Chen et al. 2023, <https://arxiv.org/abs/2306.15595>.
        case linear(factor: Double)
        /// The base grows with the length of the sequence ("NTK-aware").
        case dynamic(factor: Double, originalLength: Int)
        /// Low frequencies divided by `factor`, high ones kept, a ramp between (Llama 3.1).
        case llama3(factor: Double, low: Double, high: Double, originalLength: Int)
        /// Peng et al. 2023, <https://arxiv.org/abs/2309.00071>.
        case yarn(YaRN)
        /// Each frequency divided by a factor of its own, by one list for short sequences and another for long ones.
        case longRoPE(LongRoPE)
    }

    /// Which elements of a head turn together.
    package enum Pairing: Sendable, Equatable {
        /// i and i + R/2.
        case halves
        /// 2i and 2i + 1.
        case interleaved
    }

    /// Ding et al. 2024, <https://arxiv.org/abs/2402.13753>.
    package struct LongRoPE: Sendable, Equatable {
        /// R/2 divisors for sequences up to `originalLength`, and for longer ones.
        package var short: [Double]
        package var long: [Double]
        package var originalLength: Int
        package var attentionFactor: Double

        /// - Parameter attentionFactor: By default `√(1 + ln(factor) / ln(originalLength))`.
        package init(
            short: [Double], long: [Double], originalLength: Int, factor: Double, attentionFactor: Double? = nil
        ) {
            (self.short, self.long, self.originalLength) = (short, long, originalLength)
            let growth = factor <= 1 ? 0 : Foundation.log(factor) / Foundation.log(Double(originalLength))
            self.attentionFactor = attentionFactor ?? (1 + growth).squareRoot()
        }
    }

    package struct YaRN: Sendable, Equatable {
        package var factor: Double
        package var originalLength: Int
        package var betaFast: Double
        package var betaSlow: Double
        package var attentionFactor: Double
        package var truncates: Bool

        package init(
            factor: Double, originalLength: Int, betaFast: Double = 32, betaSlow: Double = 1,
            attentionFactor: Double? = nil, truncates: Bool = true
        ) {
            self.factor = factor
            self.originalLength = originalLength
            self.betaFast = betaFast
            self.betaSlow = betaSlow
            self.attentionFactor = attentionFactor ?? RotaryEmbedding.yarnMagnitude(factor, 1)
            self.truncates = truncates
        }
    }

    /// YaRN's scale of attention for a stretch: `0.1 · m · ln(factor) + 1`.
    package static func yarnMagnitude(_ factor: Double, _ m: Double) -> Double {
        factor <= 1 ? 1 : 0.1 * m * Foundation.log(factor) + 1
    }

    /// The rotated part of a head, R: its first elements. Those behind stay as they are.
    package let size: Int
    package let base: Double
    package let scaling: Scaling
    package let pairing: Pairing

    package init(size: Int, base: Double, scaling: Scaling = .none, pairing: Pairing = .halves) {
        self.size = size
        self.base = base
        self.scaling = scaling
        self.pairing = pairing
    }

    /// `θ_i` for a sequence of `length` positions: R/2 values.
    ///
    /// Computed in float as the reference does, so that the angles agree to the last bit of their rounding.
    package func frequencies(length: Int) -> [Float] {
        let plain = plainFrequencies(base: base)
        switch scaling {
        case .none: return plain
        case .linear(let factor): return plain.map { $0 / Float(factor) }
        case .dynamic(let factor, let original):
            guard length > original else { return plain }
            let stretch = factor * Double(length) / Double(original) - (factor - 1)
            return plainFrequencies(base: base * Foundation.pow(stretch, Double(size) / Double(size - 2)))
        case .llama3(let factor, let low, let high, let original):
            return plain.map { frequency in
                let wavelength = 2 * Double.pi / Double(frequency)
                if wavelength < Double(original) / high { return frequency }
                if wavelength > Double(original) / low { return frequency / Float(factor) }
                let smooth = (Double(original) / wavelength - low) / (high - low)
                return Float((1 - smooth) * Double(frequency) / factor + smooth * Double(frequency))
            }
        case .yarn(let yarn): return yarnFrequencies(plain, yarn)
        case .longRoPE(let rope):
            let factors = length > rope.originalLength ? rope.long : rope.short
            return zip(powers(base: base), factors).map { 1 / (Float($1) * $0) }
        }
    }

    private func plainFrequencies(base: Double) -> [Float] { powers(base: base).map { 1 / $0 } }

    /// `base^(2i/R)`.
    private func powers(base: Double) -> [Float] {
        stride(from: 0, to: size, by: 2).map { Foundation.pow(Float(base), Float($0) / Float(size)) }
    }

    private func yarnFrequencies(_ plain: [Float], _ yarn: YaRN) -> [Float] {
        func dimension(rotations: Double) -> Double {
            Double(size) * Foundation.log(Double(yarn.originalLength) / (rotations * 2 * .pi))
                / (2 * Foundation.log(base))
        }
        var low = dimension(rotations: yarn.betaFast)
        var high = dimension(rotations: yarn.betaSlow)
        if yarn.truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = Swift.max(low, 0)
        high = Swift.min(high, Double(size - 1))
        if low == high { high += 0.001 }
        return plain.enumerated().map { index, frequency in
            let ramp = (Float(index) - Float(low)) / Float(high - low)
            let extrapolated = 1 - Swift.min(Swift.max(ramp, 0), 1)
            let interpolated = 1 / (Float(yarn.factor) * (1 / frequency))
            return interpolated * (1 - extrapolated) + frequency * extrapolated
        }
    }

    /// What cosines and sines are multiplied with.
    private var magnitude: Float {
        switch scaling {
        case .yarn(let yarn): Float(yarn.attentionFactor)
        case .longRoPE(let rope): Float(rope.attentionFactor)
        case .none, .linear, .dynamic, .llama3: 1
        }
    }

    /// Whether the frequencies of a sequence depend on its length, so that longer ones turn earlier tokens otherwise.
    private var looksAtLengths: Bool {
        switch scaling {
        case .dynamic, .longRoPE: true
        case .none, .linear, .llama3, .yarn: false
        }
    }

    /// Whether a sequence that grows to a length turns its earlier tokens otherwise than before, so that keys which were
    /// kept are no longer its own.
    ///
    /// With dynamic scaling every length does; there keys stay as they were made, as in `transformers`.
    package func turnsAnew(at length: Int) -> Bool {
        guard case .longRoPE(let rope) = scaling else { return false }
        return length == rope.originalLength + 1
    }

    /// The angles of the positions of a flat batch.
    ///
    /// Each sequence has the frequencies of its own length, whatever lies beside it in the batch.
    ///
    /// - Parameters:
    ///   - positions: One per token.
    ///   - lengths: For each token the length of its sequence so far; dynamic scaling and LongRoPE look at it.
    package func tables(positions: [Int32], lengths: [Int32], device: Device) throws -> RotaryAngles {
        let half = size / 2
        var angles = [Float](repeating: 0, count: positions.count * half)
        var known: (length: Int32, frequencies: [Float]) = (-1, [])
        for (row, position) in positions.enumerated() {
            if looksAtLengths, known.length != lengths[row] {
                known = (lengths[row], frequencies(length: Int(lengths[row])))
            } else if known.length < 0 {
                known = (0, frequencies(length: 0))
            }
            for i in 0..<half { angles[row * half + i] = Float(position) * known.frequencies[i] }
        }
        let table = try Tensor(angles, shape: [positions.count, half])
        let (cosines, sines) = (try cos(table), try sin(table))
        if magnitude != 1 {
            try cosines.multiply(by: Double(magnitude))
            try sines.multiply(by: Double(magnitude))
        }
        return RotaryAngles(cosines: try cosines.to(device), sines: try sines.to(device), pairing: pairing)
    }
}

/// What the rotary positions of a batch turn heads by: [T, R/2] each in float32.
package struct RotaryAngles {
    package let cosines: Tensor
    package let sines: Tensor
    package let pairing: RotaryEmbedding.Pairing

    package init(cosines: Tensor, sines: Tensor, pairing: RotaryEmbedding.Pairing = .halves) {
        (self.cosines, self.sines, self.pairing) = (cosines, sines, pairing)
    }

    /// q or k [T, H, E] with the first R ≤ E elements of each head turned.
    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        let (size, all) = (2 * cosines.shape[1], x.shape[2])
        guard size < all else { return try turned(x) }
        let rest = try x.narrowed(2, start: size, length: all - size)
        return try concatenated([turned(x.narrowed(2, start: 0, length: size)), rest], axis: 2)
    }

    /// All of x [T, H, R] turned.
    private func turned(_ x: Tensor) throws -> Tensor {
        switch pairing {
        case .halves: return try rotated(x, cosines: cosines, sines: sines)
        case .interleaved:
            let apart = try x.reshaped([x.shape[0], x.shape[1], -1, 2]).transposed(2, 3)  // [T, H, 2, R/2]
            let y = try rotated(apart.reshaped(x.shape), cosines: cosines, sines: sines)
            return try y.reshaped([x.shape[0], x.shape[1], 2, -1]).transposed(2, 3).reshaped(x.shape)
        }
    }
}
