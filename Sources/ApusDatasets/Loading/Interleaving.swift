/// When interleaved data sets end (`--stopping_strategy`).
package enum StoppingStrategy: String, Sendable, CaseIterable {
    /// With the last row of the data set that is at its end first.
    case firstExhausted = "first_exhausted"
    /// When every row of every data set came; shorter data sets begin again until then.
    case allExhausted = "all_exhausted"
}

/// Data sets mixed row by row, each with its probability (`--interleave_prob`), as `datasets.interleave_datasets` does.
package struct Interleaving: Sendable, Equatable {
    package let probabilities: [Double]
    package let stopping: StoppingStrategy

    /// More rows are a slip: a data set that is hardly ever drawn.
    private static let limit = 1_000_000_000

    /// - Throws: `DatasetError` for what are no probabilities.
    package init(probabilities: [Double], stopping: StoppingStrategy) throws {
        let sum = probabilities.reduce(0, +)
        guard probabilities.allSatisfy({ (0...1).contains($0) }), abs(sum - 1) < 1e-6 else {
            throw DatasetError(
                "--interleave_prob \(probabilities.map { "\($0)" }.joined(separator: " ")): wanted numbers between 0 and 1 "
                    + "whose sum is 1; it is \(sum)")
        }
        self.probabilities = probabilities
        self.stopping = stopping
    }

    func check(datasetCount: Int) throws {
        guard probabilities.count == datasetCount || datasetCount < 2 else {
            throw DatasetError(
                "--interleave_prob has \(probabilities.count) numbers for \(datasetCount) data sets; give one for each")
        }
    }

    /// The data set and the row of each sample.
    ///
    /// - Throws: `DatasetError` where a data set can never come to its end.
    func order(of counts: [Int], seed: UInt32) throws -> [(dataset: Int, row: Int)] {
        let drawn = probabilities.indices.filter { probabilities[$0] > 0 }
        guard drawn.allSatisfy({ counts[$0] > 0 }) else {
            throw DatasetError("--interleave_prob: a data set without rows to train on has a share; give it 0")
        }
        guard stopping == .firstExhausted || drawn.count == probabilities.count else {
            throw DatasetError(
                "--stopping_strategy all_exhausted waits for a data set whose --interleave_prob is 0; leave it out")
        }
        var shares: [Double] = []
        for probability in probabilities { shares.append((shares.last ?? 0) + probability) }
        let whole = shares.last ?? 1
        shares = shares.map { $0 / whole }
        var generator = PCG64(seed: seed)
        var next = counts.map { _ in 0 }
        var isExhausted = counts.map { _ in false }
        var order: [(dataset: Int, row: Int)] = []
        while stopping == .firstExhausted ? !isExhausted.contains(true) : isExhausted.contains(false) {
            let number = generator.uniform()
            let dataset = shares.firstIndex { $0 > number } ?? shares.count - 1
            order.append((dataset, next[dataset]))
            next[dataset] += 1
            if next[dataset] == counts[dataset] {
                isExhausted[dataset] = true
                next[dataset] = 0
            }
            guard order.count < Self.limit else {
                throw DatasetError(
                    "--interleave_prob: more than \(Self.limit) rows came before every data set was at its end; give "
                        + "--stopping_strategy first_exhausted")
            }
        }
        return order
    }
}
