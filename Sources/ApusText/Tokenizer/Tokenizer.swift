public import Foundation

/// Turns text into token ids and back, exactly as PyPI `tokenizers` does for the same files.
///
/// A tokenizer never changes after it is made, and any number of threads may use one at a time.
public final class Tokenizer: Sendable {
    let parts: TokenizerParts
    let configuration: TokenizerConfiguration
    private let pool = ScratchPool()
    let firstPipeline: DecoderPipeline
    /// Per id, whether decoding may skip it.
    let specialIDs: Set<Int32>

    /// What a user should know about the files that the tokenizer was read from, a sentence each.
    package let notices: [String]

    /// How many ids the model has rows for, where some tokens have an id beyond them; nil where nothing is known of that.
    let rows: Int?

    /// Reads a tokenizer from a folder in the layout of Hugging Face, as `AutoTokenizer` of `transformers` 5 does.
    ///
    /// A `tokenizer.json` comes first; else the model file of SentencePiece (`tokenizer.model`, `spiece.model` …), tiktoken
    /// or Mistral (`tekken.json`), else `vocab.json` and `merges.txt`, else `vocab.txt` are read. `tokenizer_config.json`,
    /// `special_tokens_map.json`, `added_tokens.json`, `chat_template.jinja` and `additional_chat_templates` are used
    /// where they are there, and `config.json` for the type of the model, which may decide about the class.
    ///
    /// - Throws: `TokenizerError` naming the file and the component that is missing, broken or not supported.
    public static func load(folder: URL) throws -> Tokenizer {
        let contents = try TokenizerFolder(url: folder).read()
        return Tokenizer(contents.parts, contents.configuration, notices: contents.notices)
    }

    init(
        _ parts: TokenizerParts, _ configuration: TokenizerConfiguration, notices: [String] = [], rows: Int? = nil
    ) {
        self.parts = parts
        self.configuration = configuration
        self.notices = notices
        self.rows = rows
        firstPipeline = DecoderPipeline(parts.decoders)
        let added = parts.added
        // A plain token of the model counts as special where it is spelled like one.
        var special = added.tokens.keys.filter { id in added.spelling(of: id).map(added.isSpecial) ?? false }
        let vocabulary = parts.model.vocabulary
        if vocabulary.hasEquals {
            special += (0..<Int32(vocabulary.idBound)).filter { id in
                vocabulary.token(of: id).map { added.isSpecial(spelling: Array($0)) } ?? false
            }
        }
        specialIDs = Set(special)
    }

    // MARK: - Encoding

    /// The ids of a text.
    ///
    /// Lengths that the files give for truncation and padding are not applied.
    ///
    /// - Parameter addSpecialTokens: Whether to put the tokens around it that the tokenizer puts around every text,
    ///   such as a beginning-of-sequence token. Special tokens spelled out in the text are recognised in any case.
    public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(text.utf8.count / 3 + 8)
        for piece in layout(isPair: false, addSpecialTokens) {
            switch piece {
            case .token(let id, _): ids.append(id)
            case .text: append(text, to: &ids)
            }
        }
        return ids
    }

    /// The order in which one text or two stand with their special tokens.
    func layout(isPair: Bool, _ addSpecialTokens: Bool) -> [PostProcessor.Piece] {
        parts.postProcessor.layout(isPair: isPair, addsSpecialTokens: addSpecialTokens)
    }

    /// How many special tokens a shortened text needs room for.
    func reservedLength(isPair: Bool) -> Int { parts.postProcessor.reservedLength(isPair: isPair) }

    /// Appends the ids of a text, without any around them.
    func append(_ text: String, to ids: inout [Int32]) {
        var text = text
        text.withUTF8 { bytes in
            pool.withScratch { encode(bytes, into: &ids, $0) }
        }
    }

    private func encode(_ text: UnsafeBufferPointer<UInt8>, into ids: inout [Int32], _ scratch: EncodingScratch) {
        if parts.added.findsNothing(at: .plain) {
            encodePlain(text, isStart: true, into: &ids, scratch)
        } else {
            parts.added.split(
                text, at: .plain,
                onText: { encodePlain($0, isStart: $0.baseAddress == text.baseAddress, into: &ids, scratch) },
                onToken: { ids.append($0) })
        }
    }

    private func encodePlain(
        _ text: UnsafeBufferPointer<UInt8>, isStart: Bool, into ids: inout [Int32], _ scratch: EncodingScratch
    ) {
        var isStart = isStart && parts.mindsStart
        let normalized = parts.normalizers.apply(
            to: text, scratch.firstNormalized, scratch.secondNormalized, isStart: &isStart)
        if parts.added.findsNothing(at: .normalized) {
            encodeNormalized(normalized, isStart: isStart, into: &ids, scratch)
        } else {
            let start = normalized.baseAddress
            parts.added.split(
                normalized, at: .normalized,
                onText: { encodeNormalized($0, isStart: isStart && $0.baseAddress == start, into: &ids, scratch) },
                onToken: { ids.append($0) })
        }
    }

    private func encodeNormalized(
        _ text: UnsafeBufferPointer<UInt8>, isStart: Bool, into ids: inout [Int32], _ scratch: EncodingScratch
    ) {
        let split = parts.preTokenizers.apply(to: text, isStart: isStart, scratch: scratch)
        parts.model.encode(split, pieces: scratch.pieces, into: &ids, scratch: scratch)
    }

    // MARK: - Decoding

    /// The text that ids stand for; bytes that are not valid UTF-8 become U+FFFD, unknown ids nothing.
    ///
    /// - Parameter skipSpecialTokens: Whether to leave special tokens out.
    public func decode(_ ids: [Int32], skipSpecialTokens: Bool = false) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(ids.count * 4)
        var pipeline = firstPipeline
        for id in ids { push(id, skipSpecialTokens, through: &pipeline, into: &bytes) }
        pipeline.finish(into: &bytes)
        let text = String(decoding: bytes, as: UTF8.self)
        return cleansUpSpaces ? Self.withoutSpacesBeforePunctuation(text) : text
    }

    /// Byte-pair encodings keep their spaces, which belong to the tokens, unless the files insist.
    private var cleansUpSpaces: Bool {
        configuration.cleansUpSpaces && (configuration.cleansUpBytePairs || !(parts.model is BytePairModel))
    }

    /// The text as `clean_up_tokenization` of `transformers` leaves it.
    private static func withoutSpacesBeforePunctuation(_ text: String) -> String {
        [".", "?", "!", ",", "'", "n't", "'m", "'s", "'ve", "'re"].reduce(text) { text, mark in
            text.replacing(mark == "'" ? " ' " : " \(mark)", with: mark)
        }
    }

    /// A decoder that takes ids one by one, and does not clean up spaces.
    public func streamingDecoder(skipSpecialTokens: Bool = false) -> StreamingDecoder {
        StreamingDecoder(self, firstPipeline, skipSpecialTokens: skipSpecialTokens)
    }

    func push(
        _ id: Int32, _ skipSpecialTokens: Bool, through pipeline: inout DecoderPipeline, into bytes: inout [UInt8]
    ) {
        if skipSpecialTokens, specialIDs.contains(id) { return }
        if let spelling = parts.added.spelling(of: id) {
            pipeline.push(spelling[...], into: &bytes)
        } else if let token = parts.model.vocabulary.token(of: id) {
            pipeline.push(token, into: &bytes)
        }
    }

    // MARK: - Vocabulary

    /// The number of different tokens, added ones included.
    public var vocabularySize: Int {
        let vocabulary = parts.model.vocabulary
        return vocabulary.count
            + parts.added.tokens.values.count { vocabulary.id(of: Array($0.content.utf8)) == nil }
    }

    /// The id of a token, spelled as in the vocabulary (byte-level tokenizers spell a space `Ġ`).
    public func id(of token: String) -> Int32? { parts.id(of: token) }

    /// The spelling of a token in the vocabulary.
    public func token(of id: Int32) -> String? {
        let spelling = parts.added.spelling(of: id).map { $0[...] } ?? parts.model.vocabulary.token(of: id)
        return spelling.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The tokens that `decode` can skip, in the order of their ids.
    public var specialTokens: [String] {
        specialIDs.sorted().compactMap { parts.added.tokens[$0]?.content }
    }

    /// Every token that is matched in the text before it is split, by id.
    public var addedTokens: [Int32: AddedToken] { parts.added.tokens }

    // MARK: - Named tokens

    /// The beginning-of-sequence token, where the tokenizer has one.
    public var bosToken: String? { configuration.named[.beginningOfSequence]?.content }
    /// The end-of-sequence token, where the tokenizer has one.
    public var eosToken: String? { configuration.named[.endOfSequence]?.content }
    /// The padding token, where the tokenizer has one.
    public var padToken: String? { configuration.named[.padding]?.content }
    /// The unknown token, where the tokenizer has one.
    public var unkToken: String? { configuration.named[.unknown]?.content }
    /// The token before a text that is classified as a whole, where the tokenizer has one.
    public var clsToken: String? { configuration.named[.classification]?.content }
    /// The token after each of two texts, where the tokenizer has one.
    public var sepToken: String? { configuration.named[.separator]?.content }
    /// The token that hides another one from the model, where the tokenizer has one.
    public var maskToken: String? { configuration.named[.mask]?.content }

    public var bosTokenID: Int32? { bosToken.flatMap(id(of:)) }
    public var eosTokenID: Int32? { eosToken.flatMap(id(of:)) }
    public var padTokenID: Int32? { padToken.flatMap(id(of:)) }
    public var unkTokenID: Int32? { unkToken.flatMap(id(of:)) }
    public var clsTokenID: Int32? { clsToken.flatMap(id(of:)) }
    public var sepTokenID: Int32? { sepToken.flatMap(id(of:)) }
    public var maskTokenID: Int32? { maskToken.flatMap(id(of:)) }

    // MARK: - Configuration

    /// The Jinja source of the chat template; of several, the one named "default".
    public var chatTemplate: String? { configuration.chatTemplates["default"] }

    /// The Jinja sources of all chat templates by their names; one that is alone is "default".
    package var chatTemplates: [String: String] { configuration.chatTemplates }

    /// The special tokens by the names under which templates know them, such as `pad_token` and `image_token`.
    package var namedTokens: [String: String] {
        var tokens: [String: String] = [:]
        for (role, token) in configuration.named { tokens[role.rawValue] = token.content }
        for (name, token) in configuration.ownNames { tokens[name] = token.content }
        return tokens
    }

    /// The most tokens that the model was made for, where the files give a number (`model_max_length`).
    public var modelMaximumLength: Int? { configuration.modelMaximumLength }
}
