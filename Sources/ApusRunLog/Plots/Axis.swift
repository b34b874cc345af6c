import Foundation

/// One axis of a plot: the range it shows, and its marks.
struct Axis {
    let lower: Double
    let upper: Double
    let ticks: [Double]
    /// The power of ten taken out of the labels; 0 for none.
    let exponent: Int
    private let decimals: Int

    /// An axis that shows `values` with a little room at both ends.
    ///
    /// - Parameter integers: Marks whole numbers only.
    init(showing values: some Sequence<Double>, integers: Bool = false) {
        var range: (Double, Double)?
        // Beyond these magnitudes the differences below would overflow; no metric lives there.
        for value in values where value.magnitude < 1e100 {
            range = (min(range?.0 ?? value, value), max(range?.1 ?? value, value))
        }
        let (low, high) = range ?? (0, 1)
        let span = high - low
        let room = span > high.magnitude * 1e-9 ? span * 0.05 : (integers ? 0.5 : max(high.magnitude * 0.05, 1e-12))
        (lower, upper) = (low - max(room, 1e-90), high + max(room, 1e-90))

        var step = Self.step(over: upper - lower, count: 7)
        if integers { step = max(1, step.rounded(.up)) }
        let first = (lower / step).rounded(.up)
        let count = min(max(0, (upper / step).rounded(.down) - first), 20)
        ticks = (0...Int(count)).map { (first + Double($0)) * step }

        let largest = max(lower.magnitude, upper.magnitude)
        let magnitude = Int(log10(largest).rounded(.down))
        exponent = !integers && (magnitude >= 5 || magnitude < -3) ? magnitude : 0
        let scaled = step / pow(10, Double(exponent))
        decimals =
            (0..<12).first { digits in
                let shifted = scaled * pow(10, Double(digits))
                return (shifted - shifted.rounded()).magnitude < 1e-6 * shifted
            } ?? 12
    }

    /// Where `value` lies between the ends, from 0 to 1.
    func fraction(_ value: Double) -> Double { (value - lower) / (upper - lower) }

    func label(_ tick: Double) -> String {
        let value = tick / pow(10, Double(exponent))
        let text = String(format: "%.\(decimals)f", value)
        return (Double(text) == 0 && text.hasPrefix("-") ? String(text.dropFirst()) : text)
            .replacing("-", with: "\u{2212}")
    }

    /// 1, 2, 2.5 or 5 times a power of ten, so that about `count` marks fit.
    private static func step(over span: Double, count: Double) -> Double {
        let raw = span / count
        let power = pow(10, log10(raw).rounded(.down))
        return ([1, 2, 2.5, 5, 10].first { $0 * power >= raw } ?? 10) * power
    }
}
