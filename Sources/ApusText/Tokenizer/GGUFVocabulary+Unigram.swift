import ApusJSON
import Foundation

/// Unigram vocabularies, `tokenizer.ggml.model` "t5": those of T5 and its kin, and of XLM-R.
extension GGUFVocabulary {
    /// Whether tokens lie as XLM-R has them, whatever stood in the SentencePiece file that they are of.
    var isOfXLMR: Bool { isUnigram && tokens.prefix(4) == ["<s>", "<pad>", "</s>", "<unk>"] }

    /// Whether text is cut at white space, each word with a "▁" before it: what `transformers` makes of a SentencePiece file
    /// for T5 and XLM-R.
    ///
    /// Converters write for XLM-R whether decoding cleans up spaces in the place of whether encoding removes them.
    var cutsAtSpace: Bool {
        let isUsual = addsPrefixSpace ?? true && removesExtraSpaces ?? true && !tokenTypes.contains(6)
        return isOfXLMR || isUsual
    }

    /// What the converter scores tokens with that no text is cut into, or less.
    static let converterAside: Double = -1000

    /// The vocabulary as a SentencePiece file holds it.
    ///
    /// Rows that stand for nothing are left out at the end. They must not count as the least likely tokens, by which unknown
    /// ones are scored, and those added later have no score in such a file.
    func sentencePieces() throws -> SentencePieceModel {
        guard scores.count == tokens.count else {
            throw TokenizerError(
                Self.source, "\(tokens.count) tokens but \(scores.count) scores in tokenizer.ggml.scores")
        }
        func isAside(_ id: Int) -> Bool { scores[id] <= Self.converterAside }
        func kind(_ id: Int) -> SentencePieceModel.Kind {
            tokenTypes.isEmpty ? .normal : SentencePieceModel.Kind(rawValue: tokenTypes[id]) ?? .normal
        }
        var count = tokens.count
        while count > 0, kind(count - 1) == .unused, isAside(count - 1) { count -= 1 }
        let lowest = (0..<count).filter { !isAside($0) }.map { scores[$0] }.min() ?? 0
        let pieces = (0..<count).map { id in
            let score = !isAside(id) ? scores[id] : kind(id) == .userDefined ? 0 : lowest
            return SentencePieceModel.Piece(text: tokens[id], score: score, kind: kind(id))
        }
        var model = SentencePieceModel(pieces: pieces, source: Self.source)
        model.characterMap = characterMap
        model.unknownID = unknownID.map(Int.init) ?? -1
        model.fallsBackToBytes = tokenTypes.contains(SentencePieceModel.Kind.byte.rawValue)
        model.addsDummyPrefix = addsPrefixSpace ?? true
        model.removesExtraSpaces = removesExtraSpaces ?? true
        return model
    }

    func unigramParts() throws -> TokenizerParts {
        let model = try sentencePieces()
        let configuration = TokenizerConfiguration()
        var parts: TokenizerParts
        if cutsAtSpace {
            parts = try UnigramSteps(unknown: .id(model.unknownID)).parts(
                try model.scored(), try model.map(), configuration, givenUnknownID: model.unknownID,
                source: Self.source)
            try addTokens(special: [2, 3], to: &parts)
        } else {
            // User-defined pieces are then found in the normalised text.
            parts = try model.parts(configuration, isLegacy: true)
            try addTokens(special: [2, 3], plain: [], to: &parts)
        }
        parts.postProcessor = try unigramBoundaries()
        return parts
    }

    /// `A </s>`, `A </s> B </s>`; for XLM-R `<s> A </s>`, `<s> A </s></s> B </s>`.
    private func unigramBoundaries() throws -> PostProcessor {
        let before = try boundary(addsBeginningOfSequence ?? isOfXLMR, beginningOfSequenceID)
        let after = try boundary(addsEndOfSequence ?? true, endOfSequenceID)
        if isOfXLMR || addsSeparator == true, let first = before.first, let last = after.first {
            return try PostProcessor([.roberta(classification: first, separator: last)])
        }
        if before.isEmpty, after.isEmpty { return PostProcessor() }
        func pieces(_ ids: [Int32]) -> [PostProcessor.Piece] { ids.map { .token($0, segment: 0) } }
        let single = pieces(before) + [.text(0, segment: 0)] + pieces(after)
        let second = [PostProcessor.Piece.text(1, segment: 0)] + pieces(after)
        return try PostProcessor([.template(single: single, pair: single + second)])
    }
}

// MARK: - In the words of `tokenizer.json`

extension GGUFVocabulary {
    func unigramSteps() throws -> Steps {
        let model = try sentencePieces()
        var normalizers: [JSONValue] = []
        if let characterMap {
            normalizers.append([
                "type": "Precompiled", "precompiled_charsmap": .string(characterMap.base64EncodedString()),
            ])
        }
        let preTokenizers: [JSONValue]
        let decoder: JSONValue
        if cutsAtSpace {
            let space: JSONValue = [
                "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true,
            ]
            preTokenizers = [["type": "WhitespaceSplit"], space]
            decoder = space
        } else {
            normalizers += Self.spaceNormalizers(model)
            preTokenizers = Self.preTokenizers(model)
            decoder = Self.pieceDecoder(
                fallsBackToBytes: model.fallsBackToBytes, dropsFirst: model.addsDummyPrefix)
        }
        func sequence(_ steps: [JSONValue], _ key: String) -> JSONValue {
            steps.isEmpty ? .null : steps.count == 1 ? steps[0] : ["type": "Sequence", key: .array(steps)]
        }
        let entries = model.pieces.map { JSONValue.array([.string($0.text), .double($0.score)]).serialized() }
        return Steps(
            normalizer: sequence(normalizers, "normalizers"),
            preTokenizer: sequence(preTokenizers, "pretokenizers"), decoder: decoder,
            model: [
                "type": "Unigram", "unk_id": .int(model.unknownID), "byte_fallback": .bool(model.fallsBackToBytes),
            ], vocabulary: "[\n" + entries.joined(separator: ",\n") + "\n]")
    }

    /// What `SentencePieceModel.parts` does to spaces.
    private static func spaceNormalizers(_ model: SentencePieceModel) -> [JSONValue] {
        func replace(_ kind: String, _ pattern: String, _ content: String) -> JSONValue {
            ["type": "Replace", "pattern": [kind: .string(pattern)], "content": .string(content)]
        }
        var steps: [JSONValue] = []
        if model.removesExtraSpaces {
            steps += [replace("Regex", #"\A +| +\z"#, ""), replace("Regex", " {2,}", " ")]
        }
        steps.append(replace("String", " ", "▁"))
        if model.addsDummyPrefix { steps.append(replace("Regex", #"\A▁"#, "▁▁")) }
        return steps
    }

    private static func preTokenizers(_ model: SentencePieceModel) -> [JSONValue] {
        var steps: [JSONValue] = []
        if model.addsDummyPrefix {
            steps.append(["type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": false])
        }
        let userDefined = model.pieces.filter { $0.kind == .userDefined && !$0.text.isEmpty }.map(\.text)
        if !userDefined.isEmpty {
            // The longest first, as the pieces are found.
            let alternatives = userDefined.sorted { $0.utf8.count > $1.utf8.count }.map { piece in
                piece.unicodeScalars.map { #"\.[]{}()*+?^$|"#.unicodeScalars.contains($0) ? "\\\($0)" : "\($0)" }
                    .joined()
            }
            steps.append([
                "type": "Split", "pattern": ["Regex": .string(alternatives.joined(separator: "|"))],
                "behavior": "Isolated", "invert": false,
            ])
        }
        return steps
    }
}
