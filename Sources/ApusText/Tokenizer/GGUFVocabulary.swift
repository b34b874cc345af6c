package import Foundation

/// The tokenizer of a GGUF file, as its `tokenizer.ggml.*` keys give it.
package struct GGUFVocabulary: Sendable {
    /// `tokenizer.ggml.model`, such as "gpt2".
    package var model: String
    /// `tokenizer.ggml.pre`, the name of the way to split text.
    package var preTokenizer: String?
    package var tokens: [String]
    /// `tokenizer.ggml.token_type`; 3 is a control token, 4 one defined by the user.
    package var tokenTypes: [Int32]
    package var merges: [String]
    /// `tokenizer.ggml.scores`, of which SentencePiece's models make their merges.
    package var scores: [Double]
    package var beginningOfSequenceID: Int32?
    package var endOfSequenceID: Int32?
    package var unknownID: Int32?
    package var paddingID: Int32?
    package var addsBeginningOfSequence: Bool?
    package var addsEndOfSequence: Bool?
    /// `tokenizer.ggml.add_space_prefix`, for SentencePiece's models.
    package var addsPrefixSpace: Bool?
    package var chatTemplate: String?
    /// `tokenizer.ggml.seperator_token_id`, as llama.cpp spells it.
    package var separatorID: Int32?
    package var classificationID: Int32?
    package var maskID: Int32?
    /// Whether two ends stand between two texts, as in RoBERTa.
    package var addsSeparator: Bool?
    /// Whether Unigram texts lose the spaces around them and all but one of those between words.
    package var removesExtraSpaces: Bool?
    /// `tokenizer.ggml.precompiled_charsmap`, the normaliser of a SentencePiece file.
    package var characterMap: Data?

    package init(
        model: String, preTokenizer: String?, tokens: [String], tokenTypes: [Int32], merges: [String],
        scores: [Double] = [], beginningOfSequenceID: Int32? = nil, endOfSequenceID: Int32? = nil,
        unknownID: Int32? = nil,
        paddingID: Int32? = nil, addsBeginningOfSequence: Bool? = nil, addsEndOfSequence: Bool? = nil,
        addsPrefixSpace: Bool? = nil, chatTemplate: String? = nil
    ) {
        self.model = model
        self.preTokenizer = preTokenizer
        self.tokens = tokens
        self.tokenTypes = tokenTypes
        self.merges = merges
        self.scores = scores
        self.beginningOfSequenceID = beginningOfSequenceID
        self.endOfSequenceID = endOfSequenceID
        self.unknownID = unknownID
        self.paddingID = paddingID
        self.addsBeginningOfSequence = addsBeginningOfSequence
        self.addsEndOfSequence = addsEndOfSequence
        self.addsPrefixSpace = addsPrefixSpace
        self.chatTemplate = chatTemplate
    }
}

extension GGUFVocabulary {
    static let source = "GGUF tokenizer"

    func recipe() throws -> GGUFSplitting {
        let name = preTokenizer ?? "default"
        if let known = GGUFSplitting.known.first(where: { $0.names.contains(name) }) { return known }
        throw TokenizerError(
            Self.source,
            "tokenizer.ggml.pre \(name.debugDescription) is not supported; supported are "
                + GGUFSplitting.known.map { $0.names[0] }.joined(separator: ", ")
                + " and their aliases. Use the model's Hugging Face folder with its tokenizer.json")
    }

    fileprivate func parts() throws -> TokenizerParts {
        guard tokenTypes.isEmpty || tokenTypes.count == tokens.count else {
            throw TokenizerError(
                Self.source, "\(tokens.count) tokens but \(tokenTypes.count) entries in tokenizer.ggml.token_type")
        }
        switch model {
        case "gpt2", "llama": return try bytePairParts()
        case "t5": return try unigramParts()
        case "bert": return try wordPieceParts()
        default:
            throw TokenizerError(
                Self.source,
                "tokenizer.ggml.model \(model.debugDescription) is not supported; byte-level byte-pair encoding (\"gpt2\"), "
                    + "that of SentencePiece (\"llama\"), Unigram (\"t5\") and WordPiece (\"bert\") are. Use the model's "
                    + "Hugging Face folder with its tokenizer.json")
        }
    }

    private func bytePairParts() throws -> TokenizerParts {
        var parts: TokenizerParts
        var startsSequences = true
        if isSentencePiece {
            var configuration = TokenizerConfiguration()
            configuration.addsPrefixSpace = addsPrefixSpace
            parts = try TokenizerClass(named: "LlamaTokenizer").parts(
                try vocabulary(), try merges.isEmpty ? impliedMerges().table(source: Self.source) : mergeTable(),
                configuration, source: Self.source)
        } else {
            let recipe = try recipe()
            var options = BytePairModel.Options()
            options.ignoresMerges = recipe.ignoresMerges
            parts = TokenizerParts(
                normalizers: recipe.composes ? [.composed(isCompatible: false)] : [],
                preTokenizers: recipe.splits.map { .split($0, .isolated, inverted: false) } + [.byteLevel],
                vocabulary: try vocabulary(), merges: try mergeTable(), options: options, source: Self.source)
            parts.decoders = [.byteLevel]
            startsSequences = recipe.addsBeginningOfSequence
        }
        // SentencePiece's unknown token is found in the text as well.
        try addTokens(special: isSentencePiece ? [2, 3] : [3], to: &parts)
        let before = try boundary(addsBeginningOfSequence ?? startsSequences, beginningOfSequenceID)
        let after = try boundary(addsEndOfSequence ?? false, endOfSequenceID)
        if separatesTexts, let first = before.first, let last = after.first {
            parts.postProcessor = try PostProcessor([.roberta(classification: first, separator: last)])
        } else {
            parts.postProcessor = PostProcessor(before: before, after: after)
        }
        return parts
    }

    /// Adds the tokens that are found in the text before it is cut.
    ///
    /// - Parameters:
    ///   - special: The kinds of those that decoding may skip.
    ///   - plain: The kinds of the others.
    func addTokens(special: Set<Int32>, plain: Set<Int32> = [4], to parts: inout TokenizerParts) throws {
        for (kinds, isSpecial) in [(special, true), (plain, false)] {
            try parts.addTokens(
                tokenTypes.indices.filter { kinds.contains(tokenTypes[$0]) }.map {
                    AddedToken(spelling(of: $0), isSpecial: isSpecial, isNormalized: false)
                })
        }
    }

    /// A token that stands at one side of texts, in a list.
    func boundary(_ isAdded: Bool, _ id: Int32?) throws -> [Int32] {
        guard isAdded, let id else { return [] }
        _ = try self.token(id)
        return [id]
    }

    /// A token as the tokenizer has it, which for WordPiece is otherwise than in the file.
    func spelling(of index: Int) -> String { isWordPiece ? wordPiece(index) : tokens[index] }

    /// Whether two ends stand between two texts of a byte-pair vocabulary, as in RoBERTa.
    private var separatesTexts: Bool { addsSeparator ?? (preTokenizer == "roberta-bpe") }

    var isWordPiece: Bool { model == "bert" }
    var isUnigram: Bool { model == "t5" }

    /// Whether tokens are pieces of text with "▁" for spaces.
    var isSentencePiece: Bool { model == "llama" }

    private func vocabulary() throws -> Vocabulary {
        var vocabulary = Vocabulary(expectedCount: tokens.count)
        for (id, token) in tokens.enumerated() {
            guard id < Vocabulary.idLimit else {
                throw TokenizerError(Self.source, "\(tokens.count) tokens; at most \(Vocabulary.idLimit) are supported")
            }
            let bytes = Array(token.utf8)
            if vocabulary.id(of: bytes) != nil {
                throw TokenizerError(Self.source, "token \(token.debugDescription) appears twice, last as id \(id)")
            }
            try BytePairFiles(source: Self.source).insert(bytes, Int32(id), into: &vocabulary)
        }
        return vocabulary
    }

    private func mergeTable() throws -> MergeTable {
        var builder = MergeBuilder(source: Self.source, byteCount: merges.reduce(0) { $0 + $1.utf8.count })
        for merge in merges {
            var merge = merge
            try merge.withUTF8 { try builder.append(line: $0) }
        }
        return try builder.table(try vocabulary())
    }

    /// The merges that the scores of a SentencePiece model imply.
    func impliedMerges() throws -> PieceMerges {
        guard scores.count == tokens.count else {
            throw TokenizerError(
                Self.source,
                "\(tokens.count) tokens but \(scores.count) scores in tokenizer.ggml.scores, and no merges")
        }
        guard scores.allSatisfy(\.isFinite) else {
            throw TokenizerError(
                Self.source, "tokenizer.ggml.scores holds a score that is no number; download the file again")
        }
        let vocabulary = try vocabulary()
        return PieceMerges(vocabulary: vocabulary, order: Array(0..<Int32(vocabulary.idBound)), scores: scores)
    }

    fileprivate func configuration() throws -> TokenizerConfiguration {
        var configuration = TokenizerConfiguration()
        let roles: [(TokenizerConfiguration.Role, Int32?)] = [
            (.beginningOfSequence, beginningOfSequenceID), (.endOfSequence, endOfSequenceID), (.unknown, unknownID),
            (.padding, paddingID), (.separator, separatorID), (.classification, classificationID), (.mask, maskID),
        ]
        for (role, id) in roles {
            if let id { configuration.named[role] = AddedToken(try token(id), isSpecial: true) }
        }
        if let chatTemplate { configuration.chatTemplates = ["default": chatTemplate] }
        return configuration
    }

    func token(_ id: Int32) throws -> String {
        guard tokens.indices.contains(Int(id)) else {
            throw TokenizerError(Self.source, "a special token has id \(id), but there are \(tokens.count) tokens")
        }
        return spelling(of: Int(id))
    }

    /// The same with the ids that a file leaves to be known, by the names of their tokens.
    func completed() -> GGUFVocabulary {
        guard isUnigram || isWordPiece || separatesTexts else { return self }
        func id(_ name: String) -> Int32? { tokens.firstIndex(of: name).flatMap { Int32(exactly: $0) } }
        var whole = self
        if isWordPiece {
            // Converters write the tokens around a text as those of its beginning and its end.
            whole.classificationID = classificationID ?? beginningOfSequenceID ?? id("[CLS]")
            whole.separatorID = separatorID ?? id("[SEP]") ?? endOfSequenceID
            (whole.beginningOfSequenceID, whole.endOfSequenceID) = (nil, nil)
            whole.unknownID = unknownID ?? id("[UNK]")
            whole.paddingID = paddingID ?? id("[PAD]")
            whole.maskID = maskID ?? id("[MASK]")
            return whole
        }
        if isUnigram {
            whole.endOfSequenceID = endOfSequenceID ?? id("</s>")
            whole.unknownID = unknownID ?? tokenTypes.firstIndex(of: 2).flatMap { Int32(exactly: $0) } ?? id("<unk>")
            whole.paddingID = paddingID ?? id("<pad>")
        }
        if isOfXLMR || !isUnigram {
            whole.beginningOfSequenceID = beginningOfSequenceID ?? (isOfXLMR ? 0 : nil)
            whole.classificationID = classificationID ?? whole.beginningOfSequenceID
            whole.separatorID = separatorID ?? whole.endOfSequenceID
            whole.maskID = maskID ?? id("<mask>")
        }
        return whole
    }
}

extension Tokenizer {
    /// Makes the tokenizer that a GGUF file carries.
    ///
    /// - Throws: `TokenizerError` where its model or its way to split text is not supported.
    package convenience init(gguf: GGUFVocabulary) throws {
        let gguf = gguf.completed()
        self.init(try gguf.parts(), try gguf.configuration())
    }
}
