package import ApusText

/// Encoded answers with a judgement, and for each the answer to another question that it is compared with.
package struct JudgedDataset: Sendable {
    package typealias Answer = TokenizedDataset.Sample

    private var answers = TokenizedDataset()
    private var judgements: [Bool] = []
    /// Where the last answer of each stored conversation begins.
    private var starts: [Int32] = []
    /// The stored answer of each sample.
    private var sequences: [Int32] = []
    /// For each sample its number in the `RowDataset` it came from, to name its file and line.
    package private(set) var rows: [Int32] = []
    /// The most tokens of a question with another's answer; a longer one is cut on the right.
    private let maximumLength: Int?

    package init(maximumLength: Int? = nil) { self.maximumLength = maximumLength }

    /// A data set of answers made elsewhere.
    package init(_ answers: some Sequence<(answer: Answer, isGood: Bool)>) {
        self.init()
        for (number, (answer, isGood)) in answers.enumerated() {
            appendSample(sequence: append(answer, isGood: isGood), row: number)
        }
    }

    package var count: Int { sequences.count }
    package var isEmpty: Bool { sequences.isEmpty }
    package var indices: Range<Int> { 0..<count }

    /// - Precondition: `index` is in `0..<count`.
    package func sample(_ index: Int) -> (answer: Answer, isGood: Bool) {
        let stored = Int(sequences[index])
        return (answers.sample(stored), judgements[stored])
    }

    package func length(of index: Int) -> Int { answers.length(of: Int(sequences[index])) }

    package func isGood(_ index: Int) -> Bool { judgements[Int(sequences[index])] }

    /// The question of a sample with the answer of another: of the one before it in its group.
    ///
    /// The first of a group takes the last one's, so that a group of one has its own.
    ///
    /// - Parameter groupSize: Samples of a group, in the order of the data set.
    package func mismatched(_ index: Int, groupSize: Int) -> Answer {
        let first = index / groupSize * groupSize
        let other = index > first ? index - 1 : min(first + groupSize, count) - 1
        let (own, theirs) = (Int(sequences[index]), Int(sequences[other]))
        let (question, answer) = (answers.sample(own), answers.sample(theirs))
        let (end, start) = (Int(starts[own]), Int(starts[theirs]))
        var ids = question.ids[..<end] + answer.ids[start...]
        var isTrained = question.isTrained[..<end] + answer.isTrained[start...]
        if let maximumLength, ids.count > maximumLength {
            ids = ids.prefix(max(maximumLength, end + 1))
            isTrained = isTrained.prefix(ids.count)
        }
        return Answer(ids: Array(ids), isTrained: Array(isTrained))
    }

    /// Gives every id, mark and judgement of a sample to `body`, as bytes for a digest.
    package func withBytes(of index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let stored = Int(sequences[index])
        answers.withBytes(of: stored, body)
        withUnsafeBytes(of: judgements[stored], body)
        withUnsafeBytes(of: starts[stored], body)
    }

    /// Stores an answer and returns its number, for `appendSample`.
    ///
    /// The last answer is the last run of learned tokens.
    @discardableResult
    mutating func append(_ answer: Answer, isGood: Bool) -> Int32 {
        let end = answer.isTrained.lastIndex(of: true) ?? 0
        let start = (answer.isTrained[..<end].lastIndex(of: false) ?? -1) + 1
        let weights = answer.isTrained.map { $0 ? Float(1) : 0 }
        answers.appendSample(
            sequence: answers.appendSequence(answer.ids[...], weights: weights[...]), row: judgements.count)
        judgements.append(isGood)
        starts.append(Int32(start))
        return Int32(judgements.count - 1)
    }
}

extension JudgedDataset: SampleStore {
    var tokenCount: Int { answers.tokenCount }
    var sequenceCount: Int { judgements.count }

    mutating func reserveCapacity(for parts: [JudgedDataset]) { answers.reserveCapacity(for: parts.map(\.answers)) }

    mutating func appendSequence(_ number: Int, of part: JudgedDataset) -> Int32 {
        append(part.answers.sample(number), isGood: part.judgements[number])
    }

    mutating func appendSample(sequence: Int32, row: Int) {
        sequences.append(sequence)
        rows.append(Int32(row))
    }

    func write(to file: ArrayWriter) throws {
        try answers.write(to: file)
        try file.write(judgements.map { $0 ? UInt8(1) : 0 })
        try file.write(starts)
        try file.write([maximumLength ?? 0])
    }

    init(from file: inout ArrayReader) throws {
        answers = try TokenizedDataset(from: &file)
        judgements = try file.array(of: UInt8.self).map { $0 == 1 }
        starts = try file.array()
        let limits = try file.array(of: Int.self)
        maximumLength = limits.first { $0 > 0 }
        answers.appendSequencesAsSamples()
        guard judgements.count == answers.sequenceCount, starts.count == judgements.count,
            starts.indices.allSatisfy({ 0..<answers.length(of: $0) ~= Int(starts[$0]) })
        else { throw file.misfit }
    }
}

extension RowDataset where Recognizer == JudgedRecognizer {
    /// Encodes every row, once, on several threads.
    ///
    /// - Parameters:
    ///   - truncation: `max_length` and `truncation_strategy`.
    ///   - isStrict: Whether the first row that cannot be used is an error.
    ///   - encode: The chat template and tokenizer.
    /// - Throws: `DatasetError` naming file and line when strict, and when no row is left.
    package func judged(
        truncation: Truncation, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: @Sendable (Conversation) throws -> EncodedConversation
    ) throws -> (dataset: JudgedDataset, report: EncodingReport) {
        let (dataset, tallies) = try encoded(
            into: JudgedDataset(maximumLength: truncation.maximumLength), isStrict: isStrict, threads: threads,
            progress: progress,
            advice: "Give rows that the chat template takes, with an answer and at most --max_length tokens; "
                + "--truncation_strategy left or right cuts longer ones.",
            cache: cache, options: truncation.words
        ) { row, dataset in
            var tokens = AnswerTokens(try encode(row.conversation))
            let (range, notes) = try truncation.part(ofLength: tokens.ids.count)
            tokens.keep(range)
            guard tokens.isTrained.contains(true) else { throw RowRejection("nothing to train on") }
            dataset.append(tokens.sample, isGood: row.isGood)
            return tokens.notes + notes
        }
        return (dataset, EncodingReport(lengths: dataset.indices.map(dataset.length), tallies))
    }
}
