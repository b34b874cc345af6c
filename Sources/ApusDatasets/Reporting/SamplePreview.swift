/// A sample shown as the user can check it: what goes in, and which part is learned.
package struct SamplePreview: Sendable {
    private let sample: TokenizedDataset.Sample
    private let decode: @Sendable ([Int32]) -> String

    /// - Parameter decode: The text of token ids, special tokens included.
    package init(_ sample: TokenizedDataset.Sample, decode: @escaping @Sendable ([Int32]) -> String) {
        self.sample = sample
        self.decode = decode
    }

    /// `[INPUT_IDS]`, `[INPUT]`, `[LABELS_IDS]` and `[LABELS]` as ms-swift prints them: a label of −100 is not learned,
    /// and a run of n of them is written `-100 * n`; so is the middle of many ids, by their number.
    package var labels: String {
        let text = runs.map { $0.isTrained ? decode($0.ids) : "[-100 * \($0.ids.count)]" }.joined()
        return """
            [INPUT_IDS] [\(Self.shortened(sample.ids))]
            [INPUT] \(decode(sample.ids))
            [LABELS_IDS] [\(runs.map { $0.isTrained ? Self.shortened($0.ids) : Self.ignored($0.ids.count) }
                .joined(separator: ", "))]
            [LABELS] \(text)
            """
    }

    private static func ignored(_ count: Int) -> String { count == 1 ? "-100" : "-100 * \(count)" }

    /// The first and the last of many ids.
    private static func shortened(_ ids: [Int32]) -> String {
        func text(_ part: ArraySlice<Int32>) -> String { part.map(String.init).joined(separator: ", ") }
        guard ids.count > 24 else { return text(ids[...]) }
        return "\(text(ids.prefix(12))), … \(ids.count - 16) more …, \(text(ids.suffix(4)))"
    }

    /// The text with its learned parts marked: between `«` and `»`, or in green among dimmed text.
    ///
    /// - Parameter usesColor: Whether to write ANSI escapes.
    package func marked(usesColor: Bool) -> String {
        runs.map { run in
            let text = decode(run.ids)
            return switch (usesColor, run.isTrained) {
            case (true, true): "\u{1B}[32m\(text)\u{1B}[0m"
            case (true, false): "\u{1B}[2m\(text)\u{1B}[0m"
            case (false, true): "«\(text)»"
            case (false, false): text
            }
        }.joined()
    }

    private var runs: [(ids: [Int32], isTrained: Bool)] {
        var runs: [(ids: [Int32], isTrained: Bool)] = []
        for (id, isTrained) in zip(sample.ids, sample.isTrained) {
            if let last = runs.last, last.isTrained == isTrained {
                runs[runs.count - 1].ids.append(id)
            } else {
                runs.append(([id], isTrained))
            }
        }
        return runs
    }
}
