/// Samples of like length in one batch (`--group_by_length`), as `get_length_grouped_indices` of transformers orders
/// them: the drawn order is cut into stretches of up to fifty batches, each sorted by length, longest first, and the
/// longest of all comes first, so that memory runs out at once or never.
package struct LengthGrouping: Sendable, Equatable {
    private let lengths: [Int32]
    private let batchSize: Int

    /// - Parameters:
    ///   - lengths: The tokens of each sample.
    ///   - batchSize: The samples of a micro-batch.
    package init(lengths: [Int32], batchSize: Int) {
        self.lengths = lengths
        self.batchSize = batchSize
    }

    /// - Precondition: `order` is a permutation of the samples.
    func grouped(_ order: [Int32]) -> [Int32] {
        precondition(order.count == lengths.count, "one length for each sample")
        let stretch = max(1, min(lengths.count / (batchSize * 4), 50)) * batchSize
        var grouped: [Int32] = []
        grouped.reserveCapacity(order.count)
        var longest = 0
        for start in stride(from: 0, to: order.count, by: stretch) {
            // Equal lengths keep their order: the sort of Python is stable.
            let part = order[start..<min(start + stretch, order.count)].enumerated().sorted { a, b in
                let (first, second) = (lengths[Int(a.element)], lengths[Int(b.element)])
                return first == second ? a.offset < b.offset : first > second
            }
            grouped += part.map(\.element)
            if lengths[Int(grouped[start])] > lengths[Int(grouped[longest])] { longest = start }
        }
        if !grouped.isEmpty { grouped.swapAt(0, longest) }
        return grouped
    }
}
