/// The sequences of one micro-batch laid end to end.
///
/// T tokens, S sequences, N targets.
package struct TokenBatch: Sendable {
    package let tokens: [Int32]  // T
    package let positions: [Int32]  // T, from 0 in each sequence
    /// S + 1 offsets, on the host, so that attention can loop over them.
    package let boundaries: [Int32]
    package let targets: TokenTargets

    /// - Parameter sequences: Token ids with, for each, whether it is to be predicted. The first of a sequence never is.
    package init(_ sequences: [(ids: [Int32], isTarget: [Bool])]) {
        var tokens: [Int32] = []
        var positions: [Int32] = []
        var boundaries: [Int32] = [0]
        var rows: [Int32] = []
        var labels: [Int32] = []
        for (ids, isTarget) in sequences {
            let start = Int32(tokens.count)
            tokens.append(contentsOf: ids)
            positions.append(contentsOf: 0..<Int32(ids.count))
            boundaries.append(Int32(tokens.count))
            for index in ids.indices.dropFirst() where isTarget[index] {
                rows.append(start + Int32(index) - 1)
                labels.append(ids[index])
            }
        }
        self.init(
            tokens: tokens, positions: positions, boundaries: boundaries,
            targets: TokenTargets(rows: rows, labels: labels))
    }

    /// Sequences without targets, each continuing at a position.
    package init(continuing sequences: [(ids: [Int32], position: Int)]) {
        var boundaries: [Int32] = [0]
        for (ids, _) in sequences { boundaries.append(boundaries[boundaries.count - 1] + Int32(ids.count)) }
        self.init(
            tokens: sequences.flatMap(\.ids),
            positions: sequences.flatMap { Array(Int32($0.position)..<Int32($0.position + $0.ids.count)) },
            boundaries: boundaries, targets: TokenTargets(rows: [], labels: []))
    }

    private init(tokens: [Int32], positions: [Int32], boundaries: [Int32], targets: TokenTargets) {
        self.tokens = tokens
        self.positions = positions
        self.boundaries = boundaries
        self.targets = targets
    }

    package var sequenceCount: Int { boundaries.count - 1 }

    /// For each token the length of its sequence including what came before this batch, T.
    package var lengthsByToken: [Int32] {
        zip(boundaries, boundaries.dropFirst()).flatMap { start, end -> [Int32] in
            guard end > start else { return [] }
            return Array(repeating: positions[Int(end) - 1] + 1, count: Int(end - start))
        }
    }
}

/// Which rows of hidden states predict which tokens.
package struct TokenTargets: Sendable {
    /// The row before each target, N.
    package let rows: [Int32]
    /// The target ids, N.
    package let labels: [Int32]

    package var count: Int { rows.count }
}
