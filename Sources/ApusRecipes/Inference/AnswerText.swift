import ApusText

/// The text of an answer as its tokens come, ended after a stop word.
struct AnswerText {
    private var decoder: StreamingDecoder
    private let stopWords: [String]
    private var text = ""
    /// What `finish` added.
    private(set) var lastPiece = ""

    init(_ tokenizer: Tokenizer, stopWords: [String]) {
        decoder = tokenizer.streamingDecoder(skipSpecialTokens: true)
        self.stopWords = stopWords.filter { !$0.isEmpty }
    }

    var isStopped: Bool { stopWords.contains { text.hasSuffix($0) } }

    @discardableResult
    mutating func append(_ token: Int32) -> String {
        let piece = decoder.append(token)
        text += piece
        return piece
    }

    mutating func finish() -> String {
        lastPiece = decoder.finish()
        text += lastPiece
        return text
    }
}
