package import ApusNN

extension TokenBatch {
    /// Whether a sequence begins in this batch and does not continue one.
    package func begins(_ sequence: Int) -> Bool {
        boundaries[sequence] < boundaries[sequence + 1] && positions[Int(boundaries[sequence])] == 0
    }

    /// The batch as a trunk sees it behind prompts: with rows for what they put into the input, and positions that count
    /// on from all that lies in front.
    ///
    /// A sequence that continues has its rows in front already; of the keys and values there its positions know nothing.
    package func behind(_ prompts: [PromptAdapter]) -> TokenBatch {
        guard !prompts.isEmpty else { return self }
        let added = prompts.reduce(0) { $0 + ($1 is InputAdapter ? $1.count : 0) }
        let shift = Int32(prompts.reduce(0) { $0 + ($1 is AttentionAdapter ? $1.count : 0) })
        guard added > 0 else { return moved(by: shift) }

        var (ids, places, parts): ([Int32], [Int32], [Int32]) = ([], [], [])
        var bounds: [Int32] = [0]
        var rows: [Int32] = []
        for sequence in 0..<sequenceCount {
            let own = Int(boundaries[sequence])..<Int(boundaries[sequence + 1])
            let front = begins(sequence) ? added : 0
            ids += Array(repeating: 0, count: front) + tokens[own]
            places += (0..<Int32(front)).map { $0 + shift } + positions[own].map { $0 + Int32(front) + shift }
            parts += Array(repeating: 0, count: front) + (segments.map { Array($0[own]) } ?? [])
            let first = bounds[sequence] + Int32(front)
            rows += first..<(first + Int32(own.count))
            bounds.append(first + Int32(own.count))
        }
        let targets = TokenTargets(
            rows: targets.rows.map { rows[Int($0)] }, labels: targets.labels, weights: targets.weights)
        return TokenBatch(
            tokens: ids, positions: places, segments: segments == nil ? nil : parts, boundaries: bounds,
            targets: targets, labels: labels, tokenRows: rows, source: source)
    }

    private func moved(by shift: Int32) -> TokenBatch {
        TokenBatch(
            tokens: tokens, positions: positions.map { $0 + shift }, segments: segments, boundaries: boundaries,
            targets: targets, labels: labels, source: source)
    }

    /// Refuses positions beyond those that a model has vectors for.
    package func check(within length: Int) throws {
        guard let last = positions.max(), Int(last) >= length else { return }
        throw ModelError(
            "a sequence takes \(last + 1) positions with what lies in front of it, and the model has \(length); give "
                + "--max_length, with room for the places of a prompt")
    }
}
