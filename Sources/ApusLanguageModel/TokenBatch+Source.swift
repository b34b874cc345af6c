/// The texts that an encoder reads, end to end: one for each sequence of the batch they belong to.
///
/// T' tokens, S sequences.
package struct SourceTokens: Sendable {
    package let tokens: [Int32]  // T'
    /// S + 1 offsets.
    package let boundaries: [Int32]

    package init(_ texts: [[Int32]]) {
        tokens = texts.flatMap { $0 }
        boundaries = TokenBatch.boundaries(of: texts)
    }

    /// The sequences of a batch as what is read.
    package init(of batch: TokenBatch) {
        tokens = batch.tokens
        boundaries = batch.boundaries
    }
}

extension TokenBatch {
    /// Texts with answers that are to be predicted token by token, each from the text and from what stands before.
    ///
    /// - Parameters:
    ///   - answers: The tokens of each answer, with what the loss of each is multiplied by; nil where that is 1 for all.
    ///   - start: What a decoder sees before the first of them.
    package init(
        sources: [[Int32]], answers: [(ids: [Int32], weights: [Float]?)], start: Int32
    ) {
        let sequences = answers.map { [start] + $0.ids.dropLast() }
        let isWeighted = answers.contains { $0.weights != nil }
        let labels = answers.flatMap(\.ids)
        self.init(
            tokens: sequences.flatMap { $0 }, positions: sequences.flatMap { Array(0..<Int32($0.count)) },
            segments: nil, boundaries: Self.boundaries(of: sequences),
            targets: TokenTargets(
                rows: Array(0..<Int32(labels.count)), labels: labels,
                weights: isWeighted
                    ? answers.flatMap { $0.weights ?? Array(repeating: 1, count: $0.ids.count) } : nil),
            labels: .none, source: SourceTokens(sources))
    }

    /// The beginnings of answers to texts, of which nothing is known.
    package init(answering sources: [[Int32]], start: Int32) {
        self.init(
            tokens: sources.map { _ in start }, positions: sources.map { _ in 0 }, segments: nil,
            boundaries: Array(0...Int32(sources.count)), targets: .none, labels: .none, source: SourceTokens(sources))
    }
}
