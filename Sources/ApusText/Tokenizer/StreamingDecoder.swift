/// Decodes ids one by one, for text that appears while it is generated.
///
/// No piece holds half a character, and the pieces put together, with the last one from `finish`, are what
/// `Tokenizer.decode` makes of all the ids before it cleans up spaces, where the tokenizer asks for that.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private let firstPipeline: DecoderPipeline
    private var pipeline: DecoderPipeline
    /// The start of a character whose other bytes are still to come, at most three bytes.
    private var pending: [UInt8] = []

    init(_ tokenizer: Tokenizer, _ pipeline: DecoderPipeline, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
        firstPipeline = pipeline
        self.pipeline = pipeline
    }

    /// The text that an id adds; empty while a character is incomplete.
    public mutating func append(_ id: Int32) -> String {
        tokenizer.push(id, skipSpecialTokens, through: &pipeline, into: &pending)
        let complete = pending.count - Self.incompleteSuffix(of: pending)
        let piece = String(decoding: pending[..<complete], as: UTF8.self)
        pending.removeSubrange(..<complete)
        return piece
    }

    /// The rest of the text, U+FFFD for an incomplete character, after which the decoder is as new.
    public mutating func finish() -> String {
        pipeline.finish(into: &pending)
        let piece = String(decoding: pending, as: UTF8.self)
        pending = []
        pipeline = firstPipeline
        return piece
    }

    /// How many bytes at the end begin a character that more bytes could complete.
    static func incompleteSuffix(of bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let lead = bytes[bytes.count - length]
            if lead & 0xC0 == 0x80 { continue }
            let needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1
            guard length < needed, (0xC2...0xF4).contains(lead) else { return 0 }
            guard length > 1 else { return 1 }
            // The second byte is limited after these leads, so that no other bytes could complete them.
            let second = bytes[bytes.count - length + 1]
            let isPossible =
                switch lead {
                case 0xE0: second >= 0xA0
                case 0xED: second < 0xA0
                case 0xF0: second >= 0x90
                case 0xF4: second < 0x90
                default: true
                }
            return isPossible ? length : 0
        }
        return 0
    }
}
