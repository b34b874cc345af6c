/// Joins the tokens of words again, token by token.
struct WordPieceDecoder: Sendable {
    let prefix: [UInt8]
    /// Whether spaces before punctuation and English contractions go.
    let cleansUp: Bool
    private var isFirst = true

    init(prefix: [UInt8], cleansUp: Bool) {
        self.prefix = prefix
        self.cleansUp = cleansUp
    }

    /// What `tokenizers` replaces, in its order, in each token with the space before it.
    private static let cleanups: [(found: [UInt8], replacement: [UInt8])] = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ].map { (Array($0.utf8), Array($1.utf8)) }

    mutating func decode(_ token: inout [UInt8]) {
        if isFirst {
            isFirst = false
        } else if token.starts(with: prefix) {
            token.removeFirst(prefix.count)
        } else {
            token.insert(0x20, at: 0)
        }
        if cleansUp { Self.cleanUp(&token) }
    }

    /// Takes spaces before punctuation and English contractions out of a token.
    static func cleanUp(_ token: inout [UInt8]) {
        // Every replacement needs a space.
        guard token.contains(0x20) else { return }
        for (found, replacement) in cleanups where token.count >= found.count {
            token = DecoderPipeline.replace(found, in: token, with: replacement)
        }
    }

    /// Appends what a token adds to the text; the same as `decode`, without an array for each token.
    mutating func append(_ token: ArraySlice<UInt8>, to text: inout [UInt8]) {
        guard !cleansUp || !Self.mayChange(token) else {
            var token = Array(token)
            decode(&token)
            text += token
            return
        }
        if isFirst {
            isFirst = false
            text += token
        } else if token.starts(with: prefix) {
            text += token.dropFirst(prefix.count)
        } else {
            text.append(0x20)
            text += token
        }
    }

    /// Whether a replacement is possible: where the token begins like one, or holds a space itself.
    private static func mayChange(_ token: ArraySlice<UInt8>) -> Bool {
        switch token.first {
        case UInt8(ascii: "."), UInt8(ascii: "?"), UInt8(ascii: "!"), UInt8(ascii: ","), UInt8(ascii: "'"),
            UInt8(ascii: "n"), UInt8(ascii: "d"):
            true
        default: token.contains(0x20)
        }
    }
}
