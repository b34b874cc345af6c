/// Means, ranks and correlations, as NumPy's and SciPy's functions of these names define them.
package enum Correlation {
    /// The mean, corrected by the mean of what it leaves over, so that a constant's mean is that constant.
    static func mean(_ values: [Double]) -> Double {
        let count = Double(values.count)
        let first = values.reduce(0, +) / count
        guard first.isFinite else { return first }
        return first + values.reduce(0) { $0 + ($1 - first) } / count
    }

    /// Whether all values are the same one.
    static func isConstant(_ values: [Double]) -> Bool {
        values.allSatisfy { $0 == values[0] }
    }

    /// Pearson's r: Σ(x − x̄)(y − ȳ) / (‖x − x̄‖ ‖y − ȳ‖), in −1…1 (`scipy.stats.pearsonr`).
    ///
    /// NaN where one side is constant, has fewer than two values, or has a value that is not finite.
    package static func pearson(_ x: [Double], _ y: [Double]) -> Double {
        precondition(x.count == y.count, "a correlation needs pairs")
        guard x.count > 1, !isConstant(x), !isConstant(y) else { return .nan }
        let (a, b) = (direction(x), direction(y))
        let r = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
        // Rounding may lead out of the interval. Not min and max, which may drop a NaN.
        return r > 1 ? 1 : r < -1 ? -1 : r
    }

    /// Spearman's ρ: Pearson's r of the average ranks (`scipy.stats.spearmanr`); NaN as there, and for any NaN.
    package static func spearman(_ x: [Double], _ y: [Double]) -> Double {
        precondition(x.count == y.count, "a correlation needs pairs")
        guard !x.contains(where: \.isNaN), !y.contains(where: \.isNaN) else { return .nan }
        return pearson(averageRanks(x), averageRanks(y))
    }

    /// The ranks of the values from 1, equal ones sharing the mean of theirs (`scipy.stats.rankdata`).
    ///
    /// The values must not be NaN, which has no place in an order.
    static func averageRanks(_ values: [Double]) -> [Double] {
        let order = ascendingOrder(values)
        var ranks = [Double](repeating: 0, count: values.count)
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
            // The mean of start + 1 … end.
            for place in start..<end { ranks[order[place]] = Double(start + 1 + end) / 2 }
            start = end
        }
        return ranks
    }

    /// The places of the values, smallest value first.
    static func ascendingOrder(_ values: [Double]) -> [Int] {
        values.withUnsafeBufferPointer { buffer in
            (0..<buffer.count).sorted { buffer[$0] < buffer[$1] }
        }
    }

    /// The centred values at length 1, scaled by the largest before squaring so that no square overflows.
    private static func direction(_ values: [Double]) -> [Double] {
        let centre = mean(values)
        let centred = values.map { $0 - centre }
        let largest = centred.reduce(0) { max($0, $1.magnitude) }
        let scaled = centred.map { $0 / largest }
        let length = scaled.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return scaled.map { $0 / length }
    }
}
