package import ApusTorch
import Foundation

/// The angles of rotary position embeddings, with the ways models stretch them to longer texts.
///
/// `θ_i = base^(-2i/E)`, angle = position · θ_i. Su et al. 2021, <https://arxiv.org/abs/2104.09864>.
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

    /// The rotated part of a head, E.
    package let size: Int
    package let base: Double
    package let scaling: Scaling

    package init(size: Int, base: Double, scaling: Scaling = .none) {
        self.size = size
        self.base = base
        self.scaling = scaling
    }

    /// `θ_i` for a sequence of `length` positions: E/2 values.
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
        }
    }

    private func plainFrequencies(base: Double) -> [Float] {
        stride(from: 0, to: size, by: 2).map { 1 / Foundation.pow(Float(base), Float($0) / Float(size)) }
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
        if case .yarn(let yarn) = scaling { Float(yarn.attentionFactor) } else { 1 }
    }

    /// Cosines and sines of the positions of a flat batch, [T, E/2] each in float32.
    ///
    /// - Parameters:
    ///   - positions: One per token.
    ///   - lengths: For each token the length of its sequence so far; only dynamic scaling looks at it.
    package func tables(positions: [Int32], lengths: [Int32], device: Device) throws -> (Tensor, Tensor) {
        let half = size / 2
        var angles = [Float](repeating: 0, count: positions.count * half)
        var known: (length: Int32, frequencies: [Float]) = (-1, [])
        for (row, position) in positions.enumerated() {
            if case .dynamic = scaling, known.length != lengths[row] {
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
        return (try cosines.to(device), try sines.to(device))
    }
}
