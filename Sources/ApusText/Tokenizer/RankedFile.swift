import Foundation

/// A tiktoken file: a line for each token, its bytes in Base64 and its rank, by which pairs merge.
struct RankedFile {
    private let ranks: RankedTokens
    private let source: String

    /// How many tokens there are.
    var count: Int { ranks.vocabulary.count }

    /// - Throws: `TokenizerError` naming the line that is no token.
    init(_ data: Data, source: String) throws {
        self.source = source
        var ranks = RankedTokens(expectedCount: data.count / 12, source: source)
        try data.withUnsafeBytes { raw in
            let bytes = raw.bindMemory(to: UInt8.self)
            var line = 0
            var start = 0
            while start < bytes.count {
                let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
                line += 1
                let parts = bytes[start..<end].split { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
                start = end + 1
                if parts.isEmpty { continue }
                guard parts.count == 2, let token = Data(base64Encoded: Data(parts[0])),
                    let rank = Int32(String(decoding: parts[1], as: UTF8.self)), rank >= 0
                else {
                    throw TokenizerError(
                        source, "line \(line) is not a token in Base64 and its rank; download the file again")
                }
                try ranks.insert(token, rank)
            }
        }
        guard ranks.vocabulary.count > 0 else { throw TokenizerError(source, "has no tokens; download the file again") }
        self.ranks = ranks
    }

    /// The tokenizer of bytes around the tokens.
    func parts(normalizers: [TextNormalizer], splitter: SplitMatcher) throws -> TokenizerParts {
        try ranks.parts(
            ranks.vocabulary, order: ranks.order, normalizers: normalizers, splitter: splitter, source: source)
    }
}

/// Tokens of bytes whose ranks say in which order pairs merge.
struct RankedTokens {
    /// The tokens, spelled in the byte alphabet, by their ranks.
    private(set) var vocabulary: Vocabulary
    private let source: String

    init(expectedCount: Int, source: String) {
        vocabulary = Vocabulary(expectedCount: expectedCount)
        self.source = source
    }

    var order: [Int32] { Array(0..<Int32(vocabulary.idBound)) }

    mutating func insert(_ token: Data, _ rank: Int32) throws {
        var spelling: [UInt8] = []
        for byte in token { ByteAlphabet.spell(byte, into: &spelling) }
        try BytePairFiles(source: source).insert(spelling, rank, into: &vocabulary)
    }

    /// - Parameters:
    ///   - vocabulary: The tokens by their ids.
    ///   - order: The ids by rank.
    func parts(
        _ vocabulary: Vocabulary, order: [Int32], normalizers: [TextNormalizer], splitter: SplitMatcher, source: String
    ) throws -> TokenizerParts {
        let merges = try PieceMerges(vocabulary: vocabulary, order: order, ordersByParts: true).table(source: source)
        var options = BytePairModel.Options()
        options.ignoresMerges = true
        var parts = TokenizerParts(
            normalizers: normalizers,
            preTokenizers: [.split(splitter, .isolated, inverted: false), .byteLevel], vocabulary: vocabulary,
            merges: merges, options: options, source: source)
        parts.decoders = [.byteLevel]
        return parts
    }
}

/// How text is split and which special tokens there are for a tiktoken file, of which the file says nothing.
struct TiktokenRecipe {
    let splitter: SplitMatcher
    var normalizesNFC = false
    /// Whether the special tokens are those that the folder lists.
    var isBare = false
    /// The special tokens, whose ids follow those of the file.
    var special: [String] = []

    /// - Throws: `TokenizerError` for a name that is not known.
    init(name: String) throws {
        switch name {
        case "tokenizer.model", "tiktoken.model": (splitter, isBare) = (.cl100k(.llama3), true)
        case "qwen.tiktoken":
            (splitter, normalizesNFC) = (.cl100k(.qwen2), true)
            special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + (0..<205).map { "<|extra_\($0)|>" }
        case "gpt2.tiktoken", "r50k_base.tiktoken":
            splitter = .gpt2
            special = ["<|endoftext|>"]
        default:
            throw TokenizerError(
                name,
                "nothing says how this tiktoken vocabulary splits text; known are tokenizer.model, tiktoken.model, "
                    + "qwen.tiktoken, gpt2.tiktoken and r50k_base.tiktoken")
        }
    }
}
