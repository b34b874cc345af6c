import ApusJSON

/// WordPiece vocabularies, `tokenizer.ggml.model` "bert".
///
/// llama.cpp writes "▁" before tokens that begin a word, and leaves out the "##" of those that continue one.
extension GGUFVocabulary {
    /// A token with "##" where it continues a word, as `vocab.txt` has it.
    func wordPiece(_ index: Int) -> String {
        let token = tokens[index]
        // "▁" and a mark behind it are one character.
        let scalars = token.unicodeScalars
        if !tokenTypes.isEmpty, tokenTypes[index] == 3 { return token }
        if scalars.first == "▁" { return String(String.UnicodeScalarView(scalars.dropFirst())) }
        // The first converters left all tokens in brackets as they are.
        let isBracketed = scalars.count > 2 && scalars.first == "[" && scalars.last == "]"
        return isBracketed ? token : "##" + token
    }

    func wordPieceParts() throws -> TokenizerParts {
        guard let classificationID, let separatorID, let unknownID else {
            throw TokenizerError(
                Self.source,
                "WordPiece needs the tokens [CLS], [SEP] and [UNK], and the file names "
                    + (unknownID == nil ? "no [UNK]" : classificationID == nil ? "no [CLS]" : "no [SEP]")
                    + ". Use the model's Hugging Face folder with its tokenizer.json")
        }
        let vocabulary = try wordPieceVocabulary()
        var configuration = TokenizerConfiguration()
        configuration.named[.unknown] = AddedToken(try token(unknownID), isSpecial: true)
        configuration.lowercases = Self.lowercases(vocabulary)
        var parts = try TokenizerClass(named: "BertTokenizer").parts(
            vocabulary, nil, configuration, source: Self.source)
        try addTokens(special: [3], to: &parts)
        // Those that the file has no kind for.
        let named = try [paddingID, unknownID, classificationID, separatorID, maskID].compactMap { try $0.map(token) }
        try parts.addTokens(
            named.filter { parts.added.id(of: Array($0.utf8)) == nil }.map {
                AddedToken($0, isSpecial: true, isNormalized: false)
            })
        if addsBeginningOfSequence ?? true, addsEndOfSequence ?? true {
            parts.postProcessor = try PostProcessor([
                .bert(classification: classificationID, separator: separatorID)
            ])
        } else {
            parts.postProcessor = PostProcessor(
                before: try boundary(addsBeginningOfSequence ?? true, classificationID),
                after: try boundary(addsEndOfSequence ?? true, separatorID))
        }
        return parts
    }

    private func wordPieceVocabulary() throws -> Vocabulary {
        var vocabulary = Vocabulary(expectedCount: tokens.count)
        for index in tokens.indices {
            let bytes = Array(wordPiece(index).utf8)
            if vocabulary.id(of: bytes) != nil {
                throw TokenizerError(
                    Self.source, "token \(tokens[index].debugDescription) appears twice, last as id \(index)")
            }
            try BytePairFiles(source: Self.source).insert(bytes, Int32(clamping: index), into: &vocabulary)
        }
        return vocabulary
    }

    /// Whether texts become lower case, which no file says: a vocabulary that has every capital letter as a word is one of
    /// texts as they are written.
    static func lowercases(_ vocabulary: Vocabulary) -> Bool {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains { vocabulary.id(of: [$0]) == nil }
    }
}

// MARK: - In the words of `tokenizer.json`

extension GGUFVocabulary {
    func wordPieceSteps(_ tokenizer: Tokenizer) throws -> Steps {
        let unknown = try unknownID.map(token) ?? ""
        let lowercases = Self.lowercases(tokenizer.parts.model.vocabulary)
        return Steps(
            normalizer: [
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": .null,
                "lowercase": .bool(lowercases),
            ], preTokenizer: ["type": "BertPreTokenizer"],
            decoder: ["type": "WordPiece", "prefix": "##", "cleanup": true],
            model: [
                "type": "WordPiece", "unk_token": .string(unknown), "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
            ], vocabulary: vocabularyText())
    }
}
