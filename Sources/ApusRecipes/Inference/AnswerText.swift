import ApusGeneration
import ApusText

/// What tokens of an answer say, as ms-swift reads them: special tokens are part of it, but for padding.
struct AnswerDecoder {
    private var decoder: StreamingDecoder
    private let padding: Int32?

    /// - Parameter skipsSpecialTokens: Whether to leave out every special token, as where another text than the prompt is
    ///   written: such answers begin with one that says nothing.
    init(_ tokenizer: Tokenizer, skipsSpecialTokens: Bool = false) {
        decoder = tokenizer.streamingDecoder(skipSpecialTokens: skipsSpecialTokens)
        padding = tokenizer.padTokenID
    }

    /// The text that a token adds; empty while a character is incomplete.
    mutating func append(_ token: Int32) -> String { token == padding ? "" : decoder.append(token) }

    /// The rest of the text.
    mutating func finish() -> String { decoder.finish() }
}

/// The text of an answer as its tokens come, up to a stop.
struct AnswerText {
    private var decoder: AnswerDecoder
    private let ends: AnswerEnds
    private let longestSequence: Int
    private var lastIDs: [Int32] = []
    private var bytes: [UInt8] = []
    /// How many of the bytes were there before the answer.
    private let earlier: Int
    /// How many of the bytes were given out.
    private var shown: Int
    private(set) var isStopped = false

    /// - Parameters:
    ///   - tokens: What the answer goes on from, which no stop is looked for in.
    ///   - prefix: What the prompt began the answer with, which belongs to its text; nor is one looked for in that.
    ///   - skipsSpecialTokens: As in `AnswerDecoder`.
    init(
        _ tokenizer: Tokenizer, ends: AnswerEnds, behind tokens: [Int32] = [], prefix: String = "",
        skipsSpecialTokens: Bool = false
    ) {
        decoder = AnswerDecoder(tokenizer, skipsSpecialTokens: skipsSpecialTokens)
        self.ends = ends
        for token in tokens { bytes += decoder.append(token).utf8 }
        shown = bytes.count
        bytes += prefix.utf8
        earlier = bytes.count
        longestSequence = ends.sequences.map(\.count).max() ?? 0
    }

    /// Adds a token.
    ///
    /// - Returns: The text that is certain now: what may be the beginning of a stop waits.
    @discardableResult
    mutating func append(_ token: Int32) -> String {
        guard !isStopped else { return "" }
        append(decoder.append(token))
        if longestSequence > 0 {
            lastIDs = (lastIDs + [token]).suffix(longestSequence)
            if ends.sequences.contains(where: { lastIDs.suffix($0.count).elementsEqual($0) }) { isStopped = true }
        }
        return given(upTo: bytes.count - (isStopped ? 0 : waitingCount))
    }

    /// Ends the answer.
    ///
    /// - Returns: The rest of its text.
    mutating func finish() -> String {
        let rest = decoder.finish()
        if !isStopped { append(rest) }
        return given(upTo: bytes.count)
    }

    /// The whole text so far, with what it goes on from.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    private mutating func append(_ piece: String) {
        let old = bytes.count
        bytes += piece.utf8
        let found = ends.stops.compactMap { stop -> (start: Int, end: Int)? in
            let word = Array(stop.text.utf8)
            let first = max(earlier, old - word.count + 1)
            guard
                let start = (first..<max(first, bytes.count - word.count + 1)).first(where: {
                    bytes[$0..<$0 + word.count].elementsEqual(word)
                })
            else { return nil }
            return (start, stop.isKept ? start + word.count : start)
        }
        guard let stop = found.min(by: { $0.start < $1.start }) else { return }
        isStopped = true
        bytes.removeSubrange(max(stop.end, shown)...)
    }

    /// Bytes at the end that begin a stop which does not belong to the answer.
    private var waitingCount: Int {
        ends.stops.filter { !$0.isKept }.map { stop in
            let word = Array(stop.text.utf8)
            return (0..<word.count).reversed().first { bytes[earlier...].suffix($0).elementsEqual(word.prefix($0)) }
                ?? 0
        }.max() ?? 0
    }

    private mutating func given(upTo count: Int) -> String {
        guard count > shown else { return "" }
        defer { shown = count }
        return String(decoding: bytes[shown..<count], as: UTF8.self)
    }
}

extension AnswerText: AnswerReader {
    mutating func ends(with token: Int32) -> Bool {
        append(token)
        return isStopped
    }
}
