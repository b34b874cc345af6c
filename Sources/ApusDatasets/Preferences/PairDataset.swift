package import ApusText

/// Encoded pairs of answers in flat arrays; samples that are the same row share their pair.
package struct PairDataset: Sendable {
    package typealias Side = TokenizedDataset.Sample

    /// The chosen side of each stored pair, and behind it the rejected one.
    private var sides = TokenizedDataset()
    private var margins: [Float?] = []
    /// The stored pair of each sample.
    private var sequences: [Int32] = []
    /// For each sample its number in the `RowDataset` it came from, to name its file and line.
    package private(set) var rows: [Int32] = []

    package init() {}

    /// A data set of pairs made elsewhere.
    package init(_ pairs: some Sequence<(chosen: Side, rejected: Side, margin: Float?)>) {
        for (number, pair) in pairs.enumerated() {
            let stored = appendPair(pair.chosen, pair.rejected, margin: pair.margin)
            appendSample(sequence: stored, row: number)
        }
    }

    package var count: Int { sequences.count }
    package var isEmpty: Bool { sequences.isEmpty }
    package var indices: Range<Int> { 0..<count }

    /// - Precondition: `index` is in `0..<count`.
    package func sample(_ index: Int) -> (chosen: Side, rejected: Side, margin: Float?) {
        let pair = Int(sequences[index])
        return (sides.sample(2 * pair), sides.sample(2 * pair + 1), margins[pair])
    }

    /// The tokens of both sides of a sample.
    package func length(of index: Int) -> Int {
        let pair = Int(sequences[index])
        return sides.length(of: 2 * pair) + sides.length(of: 2 * pair + 1)
    }

    /// Gives every id, mark and margin of a sample to `body`, as bytes for a digest.
    package func withBytes(of index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let pair = Int(sequences[index])
        for side in [2 * pair, 2 * pair + 1] {
            withUnsafeBytes(of: Int64(sides.length(of: side)), body)
            sides.withBytes(of: side, body)
        }
        if let margin = margins[pair] { withUnsafeBytes(of: margin, body) }
    }

    /// Stores a pair and returns its number, for `appendSample`.
    @discardableResult
    mutating func appendPair(_ chosen: Side, _ rejected: Side, margin: Float?) -> Int32 {
        for side in [chosen, rejected] {
            let weights = side.isTrained.map { $0 ? Float(1) : 0 }
            sides.appendSample(sequence: sides.appendSequence(side.ids[...], weights: weights[...]), row: margins.count)
        }
        margins.append(margin)
        return Int32(margins.count - 1)
    }
}

extension PairDataset: SampleStore {
    var tokenCount: Int { sides.tokenCount }
    var sequenceCount: Int { margins.count }

    mutating func reserveCapacity(for parts: [PairDataset]) { sides.reserveCapacity(for: parts.map(\.sides)) }

    mutating func appendSequence(_ number: Int, of part: PairDataset) -> Int32 {
        appendPair(part.sides.sample(2 * number), part.sides.sample(2 * number + 1), margin: part.margins[number])
    }

    mutating func appendSample(sequence: Int32, row: Int) {
        sequences.append(sequence)
        rows.append(Int32(row))
    }

    func write(to file: ArrayWriter) throws {
        try sides.write(to: file)
        try file.write(margins.map { $0 ?? .nan })
    }

    init(from file: inout ArrayReader) throws {
        sides = try TokenizedDataset(from: &file)
        margins = try file.array(of: Float.self).map { $0.isNaN ? nil : $0 }
        guard sides.sequenceCount == 2 * margins.count else { throw file.misfit }
        sides.appendSequencesAsSamples()
    }
}

extension RowDataset where Recognizer == PreferenceRecognizer {
    /// Encodes both sides of every row, once, on several threads.
    ///
    /// A pair is cut as a pair: both sides keep the same question. What is learned of a token is whether it is learned; a loss of
    /// sequences knows no other weights.
    ///
    /// - Parameters:
    ///   - truncation: `max_length` of each side and `truncation_strategy`.
    ///   - isStrict: Whether the first row that cannot be used is an error.
    ///   - encode: The chat template and tokenizer.
    /// - Throws: `DatasetError` naming file and line when strict, and when no row is left.
    package func paired(
        truncation: Truncation, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: @Sendable (Conversation) throws -> EncodedConversation
    ) throws -> (dataset: PairDataset, report: EncodingReport) {
        let (dataset, tallies) = try encoded(
            into: PairDataset(), isStrict: isStrict, threads: threads, progress: progress,
            advice: "Give rows that the chat template takes, with two answers and at most --max_length tokens; "
                + "--truncation_strategy left or right cuts longer ones.",
            cache: cache, options: truncation.words
        ) { row, dataset in
            var (chosen, rejected) = (AnswerTokens(try encode(row.chosen)), AnswerTokens(try encode(row.rejected)))
            let notes = try truncation.cut(&chosen, &rejected)
            for (name, side) in [("chosen", chosen), ("rejected", rejected)] {
                guard side.isTrained.dropFirst().contains(true) else {
                    throw RowRejection("nothing to train on", "the \(name) answer")
                }
            }
            guard chosen.ids != rejected.ids else {
                throw RowRejection("the chosen and the rejected answer are the same", "as tokens")
            }
            dataset.appendPair(chosen.sample, rejected.sample, margin: row.margin)
            return Set(chosen.notes + rejected.notes + notes).sorted()
        }
        return (dataset, EncodingReport(lengths: dataset.indices.map(dataset.length), tallies))
    }
}

/// The tokens of a conversation, and which of them are learned.
struct AnswerTokens {
    var ids: [Int32]
    var isTrained: [Bool]
    /// What the user should hear of although the conversation is used.
    let notes: [String]

    init(_ encoded: EncodedConversation) {
        ids = encoded.ids
        isTrained = encoded.weights.map { $0 > 0 }
        let isWeighted = encoded.weights.contains { $0 != 0 && $0 != 1 }
        notes = encoded.notes + (isWeighted ? ["weights of tokens (each counts once, or not at all)"] : [])
        if !isTrained.isEmpty { isTrained[0] = false }
    }

    var sample: TokenizedDataset.Sample { TokenizedDataset.Sample(ids: ids, isTrained: isTrained) }

    mutating func keep(_ range: Range<Int>) {
        ids = Array(ids[range])
        isTrained = Array(isTrained[range])
        if !isTrained.isEmpty { isTrained[0] = false }
    }
}

extension Truncation {
    /// Cuts a pair so that both sides begin with the same question, and returns a note where something was cut.
    ///
    /// On the left tokens are taken off the question, the same ones on both sides.
    func cut(_ chosen: inout AnswerTokens, _ rejected: inout AnswerTokens) throws -> [String] {
        let longest = max(chosen.ids.count, rejected.ids.count)
        guard let maximumLength, longest > maximumLength else { return [] }
        guard strategy == .left else {
            // `delete` throws.
            let kept = (try part(ofLength: chosen.ids.count).range, try part(ofLength: rejected.ids.count).range)
            chosen.keep(kept.0)
            rejected.keep(kept.1)
            return [note]
        }
        let shared = zip(zip(chosen.ids, chosen.isTrained), zip(rejected.ids, rejected.isTrained)).prefix {
            $0.0 == $1.0 && !$0.1 && !$1.1
        }.count
        let surplus = longest - maximumLength
        guard surplus < shared else {
            throw RowRejection(
                "longer than max_length \(maximumLength)",
                "\(longest) tokens, of which the question, which both answers share, has \(shared)")
        }
        chosen.keep(surplus..<chosen.ids.count)
        rejected.keep(surplus..<rejected.ids.count)
        return [note]
    }
}
