/// Turns what is judged into token ids and, for models that ask, the segment of each.
package typealias LabelledEncoding = @Sendable (LabelledRow) throws -> EncodedSequence

/// One sequence that is judged as a whole.
package struct EncodedSequence: Sendable, Equatable {
    package var ids: [Int32]
    /// Which text each token belongs to; nil for models that do not ask.
    package var segments: [Int32]?
    /// The tokens that were cut off to fit.
    package var cut: Int
    package var isCut: Bool { cut > 0 }

    package init(ids: [Int32], segments: [Int32]? = nil, cut: Int = 0) {
        self.ids = ids
        self.segments = segments
        self.cut = cut
    }
}

extension RowDataset where Recognizer == LabelledRecognizer {
    /// Encodes every row, once, on several threads, and reads its label.
    ///
    /// The result does not depend on how many.
    ///
    /// - Parameters:
    ///   - scheme: How labels are read; for validation data the one of the training data. `nil` leaves samples without
    ///     targets, for inference.
    ///   - maximumLength: `max_length`; `nil` keeps samples of any length.
    ///   - strategy: What happens to longer samples.
    ///   - isStrict: Whether the first row that cannot be used is an error.
    ///   - threads: `dataset_num_proc`.
    ///   - progress: How many of the distinct rows are done; calls do not overlap but come from any thread.
    ///   - encode: The tokenizer. All rows have segments, or none has.
    /// - Throws: `DatasetError` naming file and line for a label that does not fit the scheme, strict or not; when
    ///   strict for any row that cannot be used; and when no row is left.
    package func tokenized(
        scheme: LabelScheme?, maximumLength: Int? = nil, strategy: TruncationStrategy = .right, isStrict: Bool = false,
        threads: Int = 1, progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: LabelledEncoding
    ) throws -> (dataset: ScoredDataset, report: EncodingReport) {
        let truncation = try Truncation(maximumLength: maximumLength, strategy: strategy)
        let (dataset, tallies) = try encoded(
            into: ScoredDataset(), isStrict: isStrict, threads: threads, progress: progress,
            advice:
                "Give rows with a text of at most --max_length tokens; --truncation_strategy right cuts longer ones.",
            cache: cache, options: truncation.words.merging(["labels": scheme?.cacheWord ?? ""]) { $1 }
        ) { row, dataset in
            // Before the text: a wrong label is an error also of a row that would be dropped.
            let target = try scheme.flatMap { scheme in try row.label.map { try scheme.target(of: $0) } }
            let encoded = try encode(row)
            guard !encoded.ids.isEmpty else { throw RowRejection("no tokens") }
            if let segments = encoded.segments, segments.count != encoded.ids.count {
                throw RowRejection("cannot be encoded", "\(encoded.ids.count) ids but \(segments.count) segments")
            }
            let (range, notes) = try truncation.part(ofLength: encoded.ids.count)
            dataset.appendSequence(encoded.ids[range], segments: encoded.segments?[range], target: target)
            return encoded.isCut ? [truncation.note] : notes
        }
        return (dataset, EncodingReport(lengths: dataset.indices.map(dataset.length), tallies))
    }
}
