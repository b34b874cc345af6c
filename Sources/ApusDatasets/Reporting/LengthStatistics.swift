import Foundation

/// Mean, deviation and range of the lengths of samples, in tokens.
package struct LengthStatistics: Sendable, Equatable, CustomStringConvertible {
    package let mean: Double
    /// Of the population: √(Σ(x − mean)² / n).
    package let standardDeviation: Double
    package let minimum: Int
    package let maximum: Int
    package let count: Int

    /// `nil` when there are no lengths.
    package init?(_ lengths: some Collection<Int>) {
        guard let minimum = lengths.min(), let maximum = lengths.max() else { return nil }
        let count = Double(lengths.count)
        let mean = lengths.reduce(0) { $0 + Double($1) } / count
        self.mean = mean
        standardDeviation = (lengths.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count).squareRoot()
        self.minimum = minimum
        self.maximum = maximum
        self.count = lengths.count
    }

    /// As ms-swift prints it: `131.000000±36.520000, min=31.000000, max=241.000000, size=500`.
    package var description: String {
        String(
            format: "%.6f±%.6f, min=%.6f, max=%.6f, size=%d",
            mean, standardDeviation, Double(minimum), Double(maximum), count)
    }
}
