import ApusJSON
import Foundation

/// Finds out what kind of tokenizer a folder holds and puts its stages together.
struct TokenizerFolder {
    let url: URL

    func read() throws -> (parts: TokenizerParts, configuration: TokenizerConfiguration) {
        var configuration = try TokenizerConfiguration(folder: url)
        let modelType = configuration.className == nil ? try modelType() : nil
        var family = TokenizerFamily(className: configuration.className, modelType: modelType)
        var parts: TokenizerParts
        var isBare = true
        if exists("tokenizer.json") {
            setDefaults(&configuration, family)
            parts = try TokenizerJSONFile(url.appendingPathComponent("tokenizer.json")).read()
            isBare = false
        } else if exists("vocab.json"), exists("merges.txt") {
            setDefaults(&configuration, family)
            parts = try readVocabularyAndMerges(&configuration, family, modelType)
        } else if exists("vocab.txt") {
            // The file alone is BERT's.
            if configuration.className == nil, modelType == nil { family = .bert }
            guard family == .bert else {
                throw unsupported("vocab.txt", configuration.className, modelType)
            }
            setDefaults(&configuration, family)
            parts = try readVocabularyText(configuration)
        } else {
            throw TokenizerError(
                url.path,
                "holds no tokenizer.json, no vocab.json with merges.txt and no vocab.txt\(hint); give the folder of a "
                    + "model or a tokenizer")
        }
        parts.added.splitsSpecialTokens = configuration.splitsSpecialTokens
        try parts.addTokens(configuration.added)
        let special = TokenizerConfiguration.Role.allCases.compactMap { configuration.named[$0] } + configuration.extra
        try parts.addTokens(
            special.filter { parts.added.id(of: Array($0.content.utf8)) == nil }.map {
                var token = $0
                token.isSpecial = true
                return token
            })
        if isBare, let family, !family.defaultTokens.isEmpty {
            try setEncoderTokens(&parts, configuration, family)
        } else {
            setBoundaryTokens(&parts, configuration)
        }
        return (parts, configuration)
    }

    private func exists(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: url.appendingPathComponent(name).path)
    }

    private var hint: String {
        for name in ["tokenizer.model", "spiece.model", "vocab.json"] where exists(name) {
            return "; \(name) alone is not supported: save the tokenizer with transformers to get a tokenizer.json"
        }
        return ""
    }

    /// Lets the configuration decide about the first and last token where it says anything, as `transformers` does.
    private func setBoundaryTokens(_ parts: inout TokenizerParts, _ configuration: TokenizerConfiguration) {
        guard configuration.addsBeginningOfSequence != nil || configuration.addsEndOfSequence != nil else { return }
        func ids(_ isAdded: Bool?, _ role: TokenizerConfiguration.Role) -> [Int32] {
            guard isAdded == true, let token = configuration.named[role] else { return [] }
            return parts.id(of: token.content).map { [$0] } ?? []
        }
        let before = ids(configuration.addsBeginningOfSequence, .beginningOfSequence)
        let after = ids(configuration.addsEndOfSequence, .endOfSequence)
        parts.postProcessor = PostProcessor(before: before, after: after)
    }

    // MARK: - vocab.json and merges.txt

    private func readVocabularyAndMerges(
        _ configuration: inout TokenizerConfiguration, _ family: TokenizerFamily?, _ modelType: String?
    ) throws -> TokenizerParts {
        let vocabularyURL = url.appendingPathComponent("vocab.json")
        let mergesURL = url.appendingPathComponent("merges.txt")
        guard let data = FileManager.default.contents(atPath: vocabularyURL.path) else {
            throw TokenizerError(vocabularyURL.path, "cannot be read")
        }
        let vocabulary = try data.withUnsafeBytes { raw in
            var cursor = JSONCursor(raw.bindMemory(to: UInt8.self))
            return try BytePairFiles(source: vocabularyURL.path).readVocabulary(&cursor)
        }
        guard let lines = FileManager.default.contents(atPath: mergesURL.path) else {
            throw TokenizerError(mergesURL.path, "cannot be read")
        }
        let merges = try BytePairFiles(source: mergesURL.path).readMerges(lines: lines, vocabulary)
        let family = try family ?? gpt2(vocabulary, configuration.className, modelType)
        let endOfText = AddedToken("<|endoftext|>", isSpecial: true)
        switch family {
        case .gpt2 where vocabulary.id(of: Array(endOfText.content.utf8)) != nil:
            setDefaults(&configuration, endOfText, [.beginningOfSequence, .endOfSequence, .unknown])
        case .qwen2:
            setDefaults(&configuration, endOfText, [.endOfSequence, .unknown, .padding])
        case .bert:
            throw unsupported("vocab.json and merges.txt", configuration.className, modelType)
        case .gpt2, .roberta: break
        }
        let isQwen2 = family == .qwen2
        var parts = TokenizerParts(
            normalizers: isQwen2 ? [.nfc] : [],
            preTokenizers: (isQwen2 ? [.split(.cl100k(.qwen2), .isolated, inverted: false)] : [])
                + ComponentReader.byteLevel(addsPrefixSpace: configuration.addsPrefixSpace, usesRegex: !isQwen2),
            vocabulary: vocabulary, merges: merges, options: BytePairModel.Options(), source: vocabularyURL.path)
        parts.decoders = [.byteLevel]
        return parts
    }

    private func setDefaults(
        _ configuration: inout TokenizerConfiguration, _ token: AddedToken, _ roles: [TokenizerConfiguration.Role]
    ) {
        guard !exists("tokenizer_config.json"), !exists("special_tokens_map.json") else { return }
        for role in roles where configuration.named[role] == nil { configuration.named[role] = token }
    }

    /// Gives the roles of an encoder that its files leave open the tokens of its class.
    private func setDefaults(_ configuration: inout TokenizerConfiguration, _ family: TokenizerFamily?) {
        for (role, content) in family?.defaultTokens ?? [:] where configuration.named[role] == nil {
            configuration.named[role] =
                configuration.added.first { $0.content.utf8.elementsEqual(content.utf8) }
                ?? AddedToken(content, isSpecial: true)
        }
    }

    /// The two files alone are GPT-2's, or those of a descendant that spells its end of text "</s>".
    private func gpt2(
        _ vocabulary: Vocabulary, _ className: String?, _ modelType: String?
    ) throws -> TokenizerFamily {
        guard className == nil, modelType == nil else {
            throw unsupported("vocab.json and merges.txt", className, modelType)
        }
        for token in ["<|endoftext|>", "</s>"] where vocabulary.id(of: Array(token.utf8)) != nil { return .gpt2 }
        throw TokenizerError(
            url.path,
            "nothing says how this tokenizer splits text; add its tokenizer_config.json or tokenizer.json")
    }

    private func unsupported(_ files: String, _ className: String?, _ modelType: String?) -> TokenizerError {
        TokenizerError(
            url.path,
            "\(files) of \(className ?? "model type \(modelType ?? "")") are not supported; save the tokenizer "
                + "with transformers to get a tokenizer.json")
    }

    private func modelType() throws -> String? {
        guard let data = FileManager.default.contents(atPath: url.appendingPathComponent("config.json").path) else {
            return nil
        }
        do {
            return try JSONValue(parsing: data)["model_type"]?.stringValue
        } catch let error as JSONError {
            throw TokenizerError(url.appendingPathComponent("config.json").path, error.description)
        }
    }
}
