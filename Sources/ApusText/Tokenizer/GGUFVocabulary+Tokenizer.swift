package import Foundation

extension GGUFVocabulary {
    /// What a GGUF file says of a tokenizer.
    ///
    /// - Parameters:
    ///   - size: The rows of the model's table of words; ids without a token get one that stands for nothing, and added
    ///     tokens without a row are left out, as llama.cpp's converter does.
    ///   - pieces: The file `tokenizer.model` beside it, of which SentencePiece's kinds of tokens and scores come.
    ///   - beginning: The id that the model's configuration gives, where the tokenizer names no such token.
    /// - Throws: `TokenizerError` naming what the file cannot say.
    package init(
        _ tokenizer: Tokenizer, size: Int, pieces: Data? = nil, beginning: Int32? = nil, end: Int32? = nil,
        padding: Int32? = nil
    ) throws {
        let parts = tokenizer.parts
        func fault(_ problem: String) -> TokenizerError {
            TokenizerError(
                parts.source,
                "cannot be written to a GGUF file: \(problem). Export the model as safetensors, which keep the tokenizer's "
                    + "own files")
        }
        if let last = tokenizer.ids(beyond: size).own.last {
            throw fault("it has ids up to \(last), and the model has \(size) rows for them")
        }
        func withRow(_ id: Int32?) -> Int32? { id.flatMap { $0 < size ? $0 : nil } }
        if let model = parts.model as? UnigramModel {
            self = try Self(
                unigram: model, of: tokenizer, size: size, end: withRow(end), padding: withRow(padding), fault)
            return
        }
        if let model = parts.model as? WordPieceModel {
            self = try Self(wordPieces: model, of: tokenizer, size: size, fault)
            return
        }
        guard let bytePairs = parts.model as? BytePairModel, bytePairs.options.spellsWhole,
            parts.spellsBytes != bytePairs.options.fallsBackToBytes
        else {
            throw fault(
                "it is no byte-level byte-pair encoding and none of SentencePiece's kind, no Unigram and no WordPiece, which are "
                    + "what is written")
        }
        self.init(
            model: "gpt2", preTokenizer: nil, tokens: [], tokenTypes: [], merges: [],
            beginningOfSequenceID: withRow(tokenizer.bosTokenID) ?? withRow(beginning),
            endOfSequenceID: withRow(tokenizer.eosTokenID) ?? withRow(end), unknownID: withRow(tokenizer.unkTokenID),
            paddingID: withRow(tokenizer.padTokenID) ?? withRow(padding), chatTemplate: tokenizer.chatTemplate)
        (separatorID, maskID) = (withRow(tokenizer.sepTokenID), withRow(tokenizer.maskTokenID))
        tokens.reserveCapacity(size)
        tokenTypes.reserveCapacity(size)
        if bytePairs.options.fallsBackToBytes {
            try setBoundaries(tokenizer, fault)
            let file = try pieces.map { try SentencePieceModel($0, source: "tokenizer.model") }
            guard file?.isUnigram != true else { throw fault("its pieces are those of a Unigram model") }
            setPieces(tokenizer, bytePairs, size: size, file: file, takesScores: true)
            if try firstOtherText(than: tokenizer) == nil { return }
            setPieces(tokenizer, bytePairs, size: size, file: file, takesScores: false)
            guard let text = try firstOtherText(than: tokenizer) else { return }
            throw fault("a reader of the file would cut \(text.debugDescription) otherwise")
        }
        guard
            let splitting = GGUFSplitting(
                parts.preTokenizers, normalizers: parts.normalizers, ignoresMerges: bytePairs.options.ignoresMerges)
        else {
            throw fault(
                "its way of splitting text has no name in llama.cpp that is known here; known are "
                    + GGUFSplitting.known.map { $0.names[0] }.joined(separator: ", "))
        }
        preTokenizer = splitting.names[0]
        merges = bytePairs.merges.pairs.map { left, right in
            "\(tokenizer.token(of: left) ?? "") \(tokenizer.token(of: right) ?? "")"
        }
        for id in 0..<Int32(clamping: size) {
            let (token, kind) = Self.token(id, parts)
            tokens.append(token)
            tokenTypes.append(kind.rawValue)
        }
        try setBoundaries(tokenizer, fault)
        guard addsBeginningOfSequence == true, addsEndOfSequence == true, let first = beginningOfSequenceID,
            let last = endOfSequenceID
        else { return }
        let ofRoBERTa = try PostProcessor([.roberta(classification: first, separator: last)])
        guard tokenizer.layout(isPair: true, true) == ofRoBERTa.layout(isPair: true, addsSpecialTokens: true) else {
            return
        }
        addsSeparator = true
        if splitting.names.contains("roberta-bpe") { preTokenizer = "roberta-bpe" }
    }

    /// What stands around every text.
    mutating func setBoundaries(_ tokenizer: Tokenizer, _ fault: (String) -> TokenizerError) throws {
        let layout = tokenizer.layout(isPair: false, true)
        guard let text = layout.firstIndex(where: { if case .text = $0 { true } else { false } }) else {
            throw fault("its post-processor leaves out the text")
        }
        addsBeginningOfSequence = try Self.adds(beginningOfSequenceID, layout[..<text], fault)
        addsEndOfSequence = try Self.adds(endOfSequenceID, layout[(text + 1)...], fault)
    }

    /// What llama.cpp takes a token for.
    private enum Kind: Int32 {
        case normal = 1
        case control = 3
        case user = 4
        case unused = 5
    }

    private static func token(_ id: Int32, _ parts: TokenizerParts) -> (String, Kind) {
        if let added = parts.added.tokens[id] {
            return (added.content, added.isSpecial || looksSpecial(added.content) ? .control : .user)
        }
        guard let token = parts.model.vocabulary.token(of: id) else { return ("[PAD\(id)]", .unused) }
        return (String(decoding: token, as: UTF8.self), .normal)
    }

    /// Whether llama.cpp's converter takes a token for one of control, whatever the files say.
    static func looksSpecial(_ token: String) -> Bool {
        ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(token)
            || [("<|", "|>"), ("<｜", "｜>"), ("<unused", ">")].contains {
                token.hasPrefix($0.0) && token.hasSuffix($0.1)
            }
    }

    /// Whether the tokens on one side of every text are this one, rather than none.
    private static func adds(
        _ id: Int32?, _ pieces: ArraySlice<PostProcessor.Piece>, _ fault: (String) -> TokenizerError
    ) throws -> Bool {
        guard let piece = pieces.first else { return false }
        guard pieces.count == 1, case .token(let token, _) = piece, token == id else {
            throw fault("it puts other tokens around every text than that of the beginning or the end")
        }
        return true
    }
}

extension TokenizerParts {
    /// Whether text reaches the model byte by byte.
    fileprivate var spellsBytes: Bool {
        if (model as? BytePairModel)?.takesBytes == true { return true }
        return if case .byteLevel? = preTokenizers.last { true } else { false }
    }
}

extension BytePairModel.Options {
    /// Whether symbols are spelled alike wherever they stand.
    fileprivate var spellsWhole: Bool { continuingPrefix.isEmpty && endSuffix.isEmpty }
}
