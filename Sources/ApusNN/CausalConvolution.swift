package import ApusTorch

// T tokens, S sequences, C channels, K taps.

/// A short convolution of each channel by itself, over a token and the K - 1 before it: `y_t = Σ_j w_j x_{t-K+1+j}`.
///
/// Before the start of a sequence there are zeros, or what its state holds.
package final class CausalConvolution: Module {
    @Parameter("weight") package var weight: Tensor  // [C, 1, K]

    private let taps: Int

    package init(channels: Int, taps: Int, initializer: Initializer) {
        self.taps = taps
        super.init()
        $weight.declare([channels, 1, taps], initializer)
    }

    /// The rows [T, C] of a flat batch, convolved.
    ///
    /// - Parameters:
    ///   - before: The last K - 1 rows of each sequence from the pass before, [S, K - 1, C]; nil at its start.
    ///   - keepsRows: Whether a pass comes after this one.
    /// - Returns: The convolved rows, and the last K - 1 rows of each sequence if they are kept.
    package func callAsFunction(
        _ x: Tensor, bounds: [Int32], after before: Tensor?, keepsRows: Bool
    ) throws -> (rows: Tensor, last: Tensor?) {
        let (sequences, channels, earlier) = (bounds.count - 1, x.shape[1], taps - 1)
        let wide: DType = x.dtype.isShortFloat ? .float32 : x.dtype
        let factors = try weight.to(wide).squeezed(1)  // [C, K]
        let front = try before.map { try $0.reshaped([sequences * earlier, channels]) }
        let all = try concatenated([
            front ?? Tensor.zeros([sequences * earlier, channels], dtype: x.dtype, device: x.device), x,
        ])  // [S(K - 1) + T, C]
        let rows = SequenceRows(bounds, in: earlier)
        var sum = try x.to(wide) * factors.selected(1, earlier)
        for distance in 1..<max(taps, 1) {
            let past = try all.indexed(0, Tensor(rows.before(distance), device: x.device)).to(wide)
            sum = try sum + past * factors.selected(1, earlier - distance)
        }
        let last =
            try keepsRows
            ? all.indexed(0, Tensor(rows.last, device: x.device)).reshaped([sequences, earlier, channels]) : nil
        return (try sum.to(x.dtype), last)
    }
}

/// Numbers of rows of a flat batch of T tokens with `front` rows for each sequence before all of them.
private struct SequenceRows {
    private let bounds: [Int32]
    private let front: Int

    init(_ bounds: [Int32], in front: Int) { (self.bounds, self.front) = (bounds, front) }

    /// The number of the row at a place of a sequence, which is negative for what came before.
    private func row(_ sequence: Int, _ place: Int) -> Int64 {
        Int64(place < 0 ? sequence * front + front + place : (bounds.count - 1) * front + Int(bounds[sequence]) + place)
    }

    /// For each token the row that lies `distance` before it, [T].
    func before(_ distance: Int) -> [Int64] {
        (0..<(bounds.count - 1)).flatMap { sequence in
            (0..<Int(bounds[sequence + 1] - bounds[sequence])).map { row(sequence, $0 - distance) }
        }
    }

    /// The last rows of each sequence, as many as were before it.
    var last: [Int64] {
        (0..<(bounds.count - 1)).flatMap { sequence in
            let count = Int(bounds[sequence + 1] - bounds[sequence])
            return (0..<front).map { row(sequence, count - front + $0) }
        }
    }
}
