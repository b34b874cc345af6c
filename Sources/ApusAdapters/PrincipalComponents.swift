import ApusTorch

/// The largest principal components of rows that come in parts, each part once.
///
/// What was found stands for the rows before: `[S V; X - mean(X); √(n m / (n + m)) (mean - mean(X))]` is decomposed anew.
/// Ross et al. 2008, <https://doi.org/10.1007/s11263-007-0075-7>.
struct PrincipalComponents {
    let count: Int
    /// [count, D], each with its largest number positive.
    private(set) var components: Tensor?
    /// [count].
    private(set) var lengths: Tensor?
    /// The share of the scatter that each has.
    private(set) var shares: [Double] = []
    /// Which of them the last part has left nearly as they were.
    private(set) var isFound: [Bool]
    private var mean: Tensor?
    private var seen = 0
    private var scatter = 0.0

    init(count: Int) {
        self.count = count
        isFound = Array(repeating: false, count: count)
    }

    /// - Parameters:
    ///   - rows: [n, D]; fewer than there are components are passed over.
    ///   - threshold: The cosine from which on a component counts as found.
    mutating func add(_ rows: Tensor, threshold: Double) throws {
        let size = rows.shape[0]
        guard size >= count else { return }
        let rows = try rows.to(.float64)
        let ownMean = try rows.mean(0)
        let centred = try rows - ownMean
        scatter += try centred.power(2).sum().item()
        var stack = [centred]
        if let components, let lengths, let mean {
            let weight = Double(seen) * Double(size) / Double(seen + size)
            let difference = try (mean - ownMean).unsqueezed(0)  // [1, D]
            stack = [try lengths.unsqueezed(1) * components, centred, try difference * weight.squareRoot()]
            scatter += try difference.power(2).sum().item() * weight
        }
        let (_, s, v) = try concatenated(stack).singularValueDecomposition()
        let right = try v.narrowed(0, start: 0, length: count)
        let kept = try right * right.signsOfLargest()  // [count, D]
        let before = components
        components = kept
        lengths = try s.narrowed(0, start: 0, length: count)
        shares = try s.power(2).values(as: Double.self).prefix(count).map { $0 / scatter }
        let total = Double(seen + size)
        mean = try mean.map { try ($0 * Double(seen) + ownMean * Double(size)) / total } ?? ownMean
        seen += size
        guard let before else { return }
        // Both are of length one.
        isFound = try (kept * before).sum(1).values(as: Double.self).map { $0 >= threshold }
    }
}

extension Tensor {
    /// For each row of a matrix the sign that makes its largest number positive, [rows, 1].
    ///
    /// A decomposition leaves the signs of singular vectors open.
    func signsOfLargest() throws -> Tensor {
        let largest = try gathered(1, ApusTorch.abs(self).argmax(1).unsqueezed(1))
        return try largest.isLess(than: 0).to(dtype) * -2 + 1
    }
}
