/// Unigram and WordPiece tokenizers as GGUF files say them.
///
/// What is made is read again: where it cuts a text otherwise, or puts other tokens around one, the file cannot say the
/// tokenizer.
extension GGUFVocabulary {
    typealias Fault = (String) -> TokenizerError

    init(
        unigram model: UnigramModel, of tokenizer: Tokenizer, size: Int, end: Int32?, padding: Int32?, _ fault: Fault
    ) throws {
        func withRow(_ id: Int32?) -> Int32? { id.flatMap { $0 < size ? $0 : nil } }
        self.init(
            model: "t5", preTokenizer: "default", tokens: [], tokenTypes: [], merges: [],
            beginningOfSequenceID: withRow(tokenizer.bosTokenID),
            endOfSequenceID: withRow(tokenizer.eosTokenID) ?? end, unknownID: model.unknownID,
            paddingID: withRow(tokenizer.padTokenID) ?? padding, chatTemplate: tokenizer.chatTemplate)
        (separatorID, maskID) = (withRow(tokenizer.sepTokenID), withRow(tokenizer.maskTokenID))
        for step in tokenizer.parts.normalizers {
            switch step {
            case .mapped(let map) where characterMap == nil: characterMap = map.data
            // Of spaces; that of other texts is found below.
            case .replace: continue
            default: throw fault("its normalizer does what such a file cannot say")
            }
        }
        for step in tokenizer.parts.preTokenizers {
            switch step {
            case .metaspace, .split(.whitespace, .removed, inverted: false): continue
            default: throw fault("it splits text as such a file cannot say")
            }
        }
        for id in 0..<Int32(clamping: size) {
            let (text, kind) = Self.piece(id, model, tokenizer)
            tokens.append(text)
            tokenTypes.append(kind.rawValue)
            let own = Int(id) < model.scores.count ? model.scores[Int(id)] : nil
            scores.append(own ?? (kind == .unused ? Self.withoutToken : Self.converterAside))
        }
        try setBoundaries(tokenizer, fault)
        var other: String?
        for (addsSpace, removesSpaces) in [(true, true), (true, false), (false, false), (false, true)] {
            (addsPrefixSpace, removesExtraSpaces) = (addsSpace, removesSpaces)
            guard let found = try firstOtherText(than: tokenizer) else {
                try setSeparator(tokenizer, fault)
                return
            }
            other = other ?? found
        }
        throw fault("a reader of the file would cut \((other ?? "").debugDescription) otherwise")
    }

    /// The score of rows that stand for nothing.
    private static let withoutToken: Double = -10_000

    private static func piece(
        _ id: Int32, _ model: UnigramModel, _ tokenizer: Tokenizer
    ) -> (String, SentencePieceModel.Kind) {
        if let added = tokenizer.parts.added.tokens[id] {
            let isSpecial = added.isSpecial || looksSpecial(added.content)
            return (added.content, id == model.unknownID ? .unknown : isSpecial ? .control : .userDefined)
        }
        guard let token = model.vocabulary.token(of: id).map({ String(decoding: $0, as: UTF8.self) }) else {
            return ("[PAD\(id)]", .unused)
        }
        return (token, id == model.unknownID ? .unknown : model.fallsBackToBytes && isByte(token) ? .byte : .normal)
    }

    /// What stands between two texts.
    private mutating func setSeparator(_ tokenizer: Tokenizer, _ fault: Fault) throws {
        let wanted = tokenizer.layout(isPair: true, true)
        for separates in isOfXLMR ? [true] : [false, true] {
            addsSeparator = separates
            if try Tokenizer(gguf: self).layout(isPair: true, true) == wanted { return }
        }
        throw fault("it puts other tokens around two texts than such a file can say")
    }

    init(wordPieces model: WordPieceModel, of tokenizer: Tokenizer, size: Int, _ fault: Fault) throws {
        let parts = tokenizer.parts
        guard case .bert? = parts.normalizers.first, parts.normalizers.count == 1,
            case .bert? = parts.preTokenizers.first, parts.preTokenizers.count == 1,
            model.options.continuingPrefix == "##", model.options.longestWord == 100
        else { throw fault("its steps are not those of BERT, which are what readers take for WordPiece") }
        func withRow(_ id: Int32?) -> Int32? { id.flatMap { $0 < size ? $0 : nil } }
        let unknown = model.vocabulary.id(of: Array(model.options.unknown.utf8))
        // The tokens around a text stand as its beginning and its end too.
        self.init(
            model: "bert", preTokenizer: "default", tokens: [], tokenTypes: [], merges: [],
            beginningOfSequenceID: withRow(tokenizer.clsTokenID), endOfSequenceID: withRow(tokenizer.sepTokenID),
            unknownID: withRow(unknown), paddingID: withRow(tokenizer.padTokenID), chatTemplate: tokenizer.chatTemplate)
        (separatorID, maskID) = (endOfSequenceID, withRow(tokenizer.maskTokenID))
        for id in 0..<Int32(clamping: size) {
            let (text, kind) = Self.wordPiece(id, parts)
            tokens.append(text)
            tokenTypes.append(kind.rawValue)
        }
        try setBoundaries(tokenizer, fault)
        if let other = try firstOtherText(than: tokenizer) {
            throw fault(
                "a reader of the file would cut \(other.debugDescription) otherwise (readers bring texts to lower case, "
                    + "unless the vocabulary has all capital letters)")
        }
        try setSeparator(tokenizer, fault)
    }

    /// "▁" stands before what begins a word, and nothing before what continues one.
    private static func wordPiece(_ id: Int32, _ parts: TokenizerParts) -> (String, SentencePieceModel.Kind) {
        if let added = parts.added.tokens[id] {
            return added.isSpecial ? (added.content, .control) : ("▁" + added.content, .userDefined)
        }
        guard let token = parts.model.vocabulary.token(of: id) else { return ("▁[PAD\(id)]", .unused) }
        let continues = token.starts(with: Array("##".utf8))
        let text = String(decoding: token.dropFirst(continues ? 2 : 0), as: UTF8.self)
        return (continues ? text : "▁" + text, .normal)
    }
}
