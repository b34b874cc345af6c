import Foundation

/// Attention with linear biases: a key's score falls with its distance, in each head by another slope.
///
/// Press et al. 2021, <https://arxiv.org/abs/2108.12409>.
enum ALiBi {
    /// `2^(-r k / n)` for k = 1 … n, n the largest power of two up to the number of heads; the other heads have every
    /// second slope of twice as many.
    ///
    /// - Parameter range: r, the exponent of the last slope.
    static func slopes(heads: Int, range: Double = 8) -> [Float] {
        var power = 1
        while power * 2 <= heads { power *= 2 }
        func slope(_ place: Int, of count: Int) -> Float { Float(exp2(-range * Double(place) / Double(count))) }
        return (1...power).map { slope($0, of: power) }
            + (0..<(heads - power)).map { slope(2 * $0 + 1, of: 2 * power) }
    }
}
