package import ApusJSON

extension RowDataset where Recognizer == EmbeddingRecognizer {
    /// Encodes every text of every row, once, on several threads.
    ///
    /// - Parameters:
    ///   - maximumLength: `max_length` of each text; `nil` keeps any length.
    ///   - strategy: What happens to longer texts; `delete` drops the whole row.
    ///   - encode: The tokenizer; what a row tells the chat template is of its first text, as in ms-swift.
    /// - Throws: `DatasetError` naming file and line when strict for any row that cannot be used, and when none is left.
    package func tokenized(
        maximumLength: Int? = nil, strategy: TruncationStrategy = .right, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: @Sendable (_ text: RowText, _ columns: JSONObject) throws -> EncodedSequence
    ) throws -> (dataset: GroupedDataset, report: EncodingReport) {
        let truncation = try Truncation(maximumLength: maximumLength, strategy: strategy)
        return try grouped(
            isStrict: isStrict, threads: threads, progress: progress, cache: cache, options: truncation.words
        ) { row in
            var notes: [String] = []
            func text(_ text: RowText, of columns: JSONObject = [:]) throws -> GroupedDataset.Text {
                try GroupedDataset.Text(encoded: try encode(text, columns), truncation: truncation, notes: &notes)
            }
            let group = GroupedDataset.Group(
                anchor: try text(row.anchor, of: row.otherColumns),
                positives: try row.positive.map { [try text($0)] } ?? [],
                negatives: try row.negatives.map { try text($0) }, label: row.label)
            return (group, notes)
        }
    }
}

extension RowDataset where Recognizer == RerankerRecognizer {
    /// Encodes every query with each of its documents, once, on several threads.
    ///
    /// - Parameters:
    ///   - maximumLength: `max_length` of each pair; `nil` keeps any length.
    ///   - strategy: What happens to longer pairs; `delete` drops the whole row.
    ///   - encode: The tokenizer. All pairs have segments, or none has.
    /// - Throws: `DatasetError` naming file and line when strict for any row that cannot be used, and when none is left.
    package func tokenized(
        maximumLength: Int? = nil, strategy: TruncationStrategy = .right, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: @Sendable (_ query: RowText, _ document: RowText) throws -> EncodedSequence
    ) throws -> (dataset: GroupedDataset, report: EncodingReport) {
        let truncation = try Truncation(maximumLength: maximumLength, strategy: strategy)
        return try grouped(
            isStrict: isStrict, threads: threads, progress: progress, cache: cache, options: truncation.words
        ) { row in
            var notes: [String] = []
            func pair(_ document: RowText) throws -> GroupedDataset.Text {
                try GroupedDataset.Text(encoded: try encode(row.query, document), truncation: truncation, notes: &notes)
            }
            let group = GroupedDataset.Group(
                positives: try row.positives.map(pair), negatives: try row.negatives.map(pair))
            return (group, notes)
        }
    }
}

extension RowDataset {
    fileprivate func grouped(
        isStrict: Bool, threads: Int, progress: (@Sendable (_ done: Int, _ total: Int) -> Void)?,
        cache: SampleCache?, options: [String: String],
        group: @Sendable (Recognizer.Row) throws -> (GroupedDataset.Group, notes: [String])
    ) throws -> (dataset: GroupedDataset, report: EncodingReport) {
        let (dataset, tallies) = try encoded(
            into: GroupedDataset(), isStrict: isStrict, threads: threads, progress: progress,
            advice:
                "Give rows with texts of at most --max_length tokens; --truncation_strategy right cuts longer ones.",
            cache: cache, options: options
        ) { row, dataset in
            let (group, notes) = try group(row)
            dataset.appendGroup(group)
            return Set(notes).sorted()
        }
        return (dataset, EncodingReport(lengths: dataset.indices.map(dataset.length), tallies))
    }
}

extension GroupedDataset.Text {
    fileprivate init(encoded: EncodedSequence, truncation: Truncation, notes: inout [String]) throws {
        guard !encoded.ids.isEmpty else { throw RowRejection("no tokens") }
        if let segments = encoded.segments, segments.count != encoded.ids.count {
            throw RowRejection("cannot be encoded", "\(encoded.ids.count) ids but \(segments.count) segments")
        }
        let (range, cut) = try truncation.part(ofLength: encoded.ids.count)
        notes += encoded.isCut ? [truncation.note] : cut
        self.init(ids: Array(encoded.ids[range]), segments: encoded.segments.map { Array($0[range]) })
    }
}
