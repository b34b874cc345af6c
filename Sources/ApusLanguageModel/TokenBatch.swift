/// The sequences of one micro-batch laid end to end.
///
/// T tokens, S sequences, N targets.
public struct TokenBatch: Sendable {
    package let tokens: [Int32]  // T
    package let positions: [Int32]  // T, from 0 in each sequence
    /// Which part of its sequence a token belongs to, T; nil where all belong to the first.
    package let segments: [Int32]?
    /// S + 1 offsets, on the host, so that attention can loop over them.
    package let boundaries: [Int32]
    /// The tokens to be predicted.
    package let targets: TokenTargets
    /// What is to be predicted of whole sequences.
    package let labels: SequenceLabels
    /// The rows of the tokens, where other rows lie in front of sequences; nil where every row is a token.
    package let tokenRows: [Int32]?
    /// What an encoder reads beside each sequence; nil in models without one, and where it was read before.
    package let source: SourceTokens?
    /// What kind of data each sequence belongs to, S; nil where that is not asked for.
    package var channels: [String?]?
    /// Whether the answers are the model's own, and not those of the data.
    package var isSampled = false

    /// - Parameter sequences: Token ids with, for each, whether it is to be predicted. The first of a sequence never is.
    package init(_ sequences: [(ids: [Int32], isTarget: [Bool])]) {
        self.init(weighted: sequences.map { ($0.ids, $0.isTarget, nil) })
    }

    /// - Parameter sequences: The same with what the loss of each token is multiplied by; nil where that is 1 for all.
    package init(weighted sequences: [(ids: [Int32], isTarget: [Bool], weights: [Float]?)]) {
        var rows: [Int32] = []
        var labels: [Int32] = []
        var weights: [Float] = []
        var start: Int32 = 0
        for (ids, isTarget, shares) in sequences {
            for index in ids.indices.dropFirst() where isTarget[index] {
                rows.append(start + Int32(index) - 1)
                labels.append(ids[index])
                weights.append(shares?[index] ?? 1)
            }
            start += Int32(ids.count)
        }
        let isWeighted = sequences.contains { $0.weights != nil }
        self.init(
            sequences.map(\.ids),
            targets: TokenTargets(rows: rows, labels: labels, weights: isWeighted ? weights : nil))
    }

    /// Whole sequences.
    ///
    /// - Parameters:
    ///   - segments: For each sequence the part that each token belongs to; nil where all belong to the first.
    ///   - targets: Rows of the flat batch and the tokens to be predicted there.
    package init(
        _ sequences: [[Int32]], segments: [[Int32]?] = [], targets: TokenTargets = .none,
        labels: SequenceLabels = .none
    ) {
        var parts: [Int32]?
        if segments.contains(where: { $0 != nil }) {
            parts = zip(sequences, segments).flatMap { $1 ?? Array(repeating: 0, count: $0.count) }
        }
        self.init(
            tokens: sequences.flatMap { $0 }, positions: sequences.flatMap { Array(0..<Int32($0.count)) },
            segments: parts, boundaries: Self.boundaries(of: sequences), targets: targets, labels: labels)
    }

    /// Sequences without targets, each continuing at a position.
    package init(continuing sequences: [(ids: [Int32], position: Int)]) {
        self.init(
            tokens: sequences.flatMap(\.ids),
            positions: sequences.flatMap { Array(Int32($0.position)..<Int32($0.position + $0.ids.count)) },
            segments: nil, boundaries: Self.boundaries(of: sequences.map(\.ids)), targets: .none, labels: .none)
    }

    init(
        tokens: [Int32], positions: [Int32], segments: [Int32]?, boundaries: [Int32], targets: TokenTargets,
        labels: SequenceLabels, tokenRows: [Int32]? = nil, source: SourceTokens? = nil
    ) {
        self.tokens = tokens
        self.positions = positions
        self.segments = segments
        self.boundaries = boundaries
        self.targets = targets
        self.labels = labels
        self.tokenRows = tokenRows
        self.source = source
    }

    static func boundaries(of sequences: [[Int32]]) -> [Int32] {
        sequences.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1.count)) }
    }

    package var sequenceCount: Int { boundaries.count - 1 }

    /// Refuses a sequence without tokens: its first and last row would be those of its neighbours.
    package func checkTokens() throws {
        guard zip(boundaries, boundaries.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw ModelError("a text without tokens has no row that could be judged")
        }
    }

    /// The row of each sequence's first token, S.
    package var firstRows: [Int32] { Array(boundaries.dropLast()) }

    /// The row of each sequence's last token, S.
    package var lastRows: [Int32] { boundaries.dropFirst().map { $0 - 1 } }

    /// The row of each sequence's last token before those with the id of padding at its end, S.
    ///
    /// A sequence of padding alone has its first row, as in `transformers`.
    package func lastRows(before padding: Int32?) -> [Int32] {
        // Nor does `transformers` look for padding where it is given vectors instead of ids.
        guard let padding, tokenRows == nil else { return lastRows }
        return zip(boundaries, boundaries.dropFirst()).map { start, end in
            let own = tokens[Int(start)..<Int(end)]
            return own.lastIndex { $0 != padding }.map(Int32.init) ?? start
        }
    }

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
    package static let none = TokenTargets(rows: [], labels: [])

    /// The row before each target, N.
    package let rows: [Int32]
    /// The target ids, N.
    package let labels: [Int32]
    /// What the loss of each target is multiplied by, N; nil where that is 1 for all.
    package let weights: [Float]?

    package var count: Int { rows.count }

    package init(rows: [Int32], labels: [Int32], weights: [Float]? = nil) {
        self.rows = rows
        self.labels = labels
        self.weights = weights
    }
}

/// What is known of each sequence as a whole.
package enum SequenceLabels: Sendable, Equatable {
    case none
    /// The class of each, S.
    case classes([Int32])
    /// Numbers, or 0 and 1 for several classes at once, row-major [S, width].
    case values([Float], width: Int)
    /// Which sequences belong together, in the order of the batch.
    case groups([SequenceGroup])
}

/// Sequences that are judged against each other: an anchor where there is one, then positives, then negatives.
package struct SequenceGroup: Sendable, Equatable {
    package let hasAnchor: Bool
    package let positives: Int
    package let negatives: Int
    /// How near anchor and positive are.
    package let label: Float?
    /// Groups of the same question have the same number.
    package let question: Int32

    package init(hasAnchor: Bool, positives: Int, negatives: Int, label: Float? = nil, question: Int32 = 0) {
        self.hasAnchor = hasAnchor
        self.positives = positives
        self.negatives = negatives
        self.label = label
        self.question = question
    }

    package var count: Int { (hasAnchor ? 1 : 0) + positives + negatives }
}

extension TokenBatch {
    /// The targets of each sequence, S.
    package var targetRanges: [Range<Int>] {
        var next = 0
        return boundaries.dropFirst().map { end in
            let start = next
            while next < targets.rows.count, targets.rows[next] < end { next += 1 }
            return start..<next
        }
    }
}
