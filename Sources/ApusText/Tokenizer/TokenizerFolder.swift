import ApusJSON
import Foundation

/// Finds out what kind of tokenizer a folder holds and puts its stages together.
struct TokenizerFolder {
    let url: URL

    func read() throws -> (parts: TokenizerParts, configuration: TokenizerConfiguration) {
        var configuration = try TokenizerConfiguration(folder: url)
        var parts: TokenizerParts
        if exists("tokenizer.json") {
            parts = try TokenizerJSONFile(url.appendingPathComponent("tokenizer.json")).read()
        } else if exists("vocab.json"), exists("merges.txt") {
            parts = try readVocabularyAndMerges(&configuration)
        } else {
            throw TokenizerError(
                url.path,
                "holds no tokenizer.json, and no vocab.json with merges.txt\(hint); give the folder of a model or a tokenizer"
            )
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
        setBoundaryTokens(&parts, configuration)
        return (parts, configuration)
    }

    private func exists(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: url.appendingPathComponent(name).path)
    }

    private var hint: String {
        for name in ["tokenizer.model", "spiece.model", "vocab.txt", "vocab.json"] where exists(name) {
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
        parts.postProcessor = PostProcessor()
        parts.postProcessor.wrap(before, after)
    }

    // MARK: - vocab.json and merges.txt

    private func readVocabularyAndMerges(_ configuration: inout TokenizerConfiguration) throws -> TokenizerParts {
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
        let family = try family(vocabulary, configuration.className)
        let endOfText = AddedToken("<|endoftext|>", isSpecial: true)
        switch family {
        case .gpt2 where vocabulary.id(of: Array(endOfText.content.utf8)) == nil:
            break
        case .gpt2:
            setDefaults(&configuration, endOfText, [.beginningOfSequence, .endOfSequence, .unknown])
        case .qwen2:
            setDefaults(&configuration, endOfText, [.endOfSequence, .unknown, .padding])
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

    /// Tokenizers that share the two files and differ in how they split text.
    private enum Family {
        case gpt2, qwen2
    }

    private func family(_ vocabulary: Vocabulary, _ className: String?) throws -> Family {
        let modelType = try modelType()
        switch (className, modelType) {
        case ("GPT2Tokenizer"?, _): return .gpt2
        case ("Qwen2Tokenizer"?, _): return .qwen2
        case (nil, "gpt2"?), (nil, "gpt_neo"?), (nil, "gptj"?), (nil, "opt"?): return .gpt2
        case (nil, "qwen2"?), (nil, "qwen2_moe"?), (nil, "qwen3"?), (nil, "qwen3_moe"?): return .qwen2
        case (nil, nil):
            // The two files alone are GPT-2's, or those of a descendant that spells its end of text "</s>".
            if vocabulary.id(of: Array("<|endoftext|>".utf8)) != nil || vocabulary.id(of: Array("</s>".utf8)) != nil {
                return .gpt2
            }
            throw TokenizerError(
                url.path,
                "nothing says how this tokenizer splits text; add its tokenizer_config.json "
                    + "or tokenizer.json")
        default:
            let kind = className ?? "model type \(modelType ?? "")"
            throw TokenizerError(
                url.path,
                "vocab.json and merges.txt of \(kind) are not supported; save the tokenizer "
                    + "with transformers to get a tokenizer.json")
        }
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
