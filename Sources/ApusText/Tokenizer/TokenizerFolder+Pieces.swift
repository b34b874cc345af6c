import ApusJSON
import Foundation

/// Tokenizers from the model files of SentencePiece, tiktoken and Mistral alone, as `transformers` 5 converts them.
extension TokenizerFolder {
    private static let sentencePieceNames = [
        "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", "sentencepiece.model",
    ]

    /// The file to read, unless the class has other ones that are there.
    func pieceFile(_ given: TokenizerClass?) -> String? {
        switch given?.bareFiles {
        case .vocabularyText? where exists("vocab.txt"): return nil
        case .vocabularyAndMerges? where exists("vocab.json") && exists("merges.txt"): return nil
        default: break
        }
        let known = Self.sentencePieceNames + ["tekken.json", "tiktoken.model"]
        if let name = known.first(where: exists) { return name }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.sorted().first { $0.hasSuffix(".tiktoken") }
    }

    func readPieces(
        _ name: String, _ configuration: TokenizerConfiguration, _ tokenizerClass: TokenizerClass
    ) throws -> Contents {
        let fileURL = url.appendingPathComponent(name)
        let data = try FolderFile.read(fileURL)
        if name == "tekken.json" {
            return try read(try TekkenFile(data, source: fileURL.path), configuration, tokenizerClass)
        }
        guard Self.sentencePieceNames.contains(name) else {
            return try readRanks(try RankedFile(data, source: fileURL.path), name, configuration, tokenizerClass)
        }
        do {
            return try read(try SentencePieceModel(data, source: fileURL.path), configuration, tokenizerClass)
        } catch let error as SentencePieceModel.NoModel {
            // Llama 3 has a file of the same name.
            guard let ranks = try? RankedFile(data, source: fileURL.path) else { throw error.reason }
            return try readRanks(ranks, name, configuration, tokenizerClass)
        }
    }

    // MARK: - SentencePiece

    private func read(
        _ model: SentencePieceModel, _ configuration: TokenizerConfiguration, _ tokenizerClass: TokenizerClass
    ) throws -> Contents {
        var configuration = configuration
        configuration.fill(tokenizerClass.defaultTokens)
        var added = model.addedTokens
        let parts: TokenizerParts
        switch tokenizerClass.steps {
        case .unigram(let steps):
            added = steps.extraTokens(configuration, given: added)
            parts = try steps.parts(
                try steps.arranged(model, configuration), try model.map(), configuration,
                givenUnknownID: model.unknownID, source: model.source)
        case .llama, .gemma:
            let vocabulary = try model.vocabulary()
            let merges = try PieceMerges(vocabulary: vocabulary, order: Array(0..<Int32(vocabulary.idBound)))
                .table(source: model.source)
            parts = try tokenizerClass.parts(vocabulary, merges, configuration, source: model.source)
        case .asGiven where !TokenizerClass.buildsOwnPieces(tokenizerClass.name):
            (parts, configuration) = try describedParts(model, configuration)
            added.removeAll { !$0.isSpecial }
        default:
            throw TokenizerError(
                model.source,
                "a SentencePiece model of \(tokenizerClass.name) is not supported; save the tokenizer with transformers "
                    + "to get a tokenizer.json")
        }
        if !configuration.listsExtraTokens { configuration.extra = added }
        var contents = try finished(parts, configuration, tokenizerClass, hasFile: false)
        if configuration.namesCode, !tokenizerClass.buildsSteps {
            contents.notices.append(
                "\(model.source) is read as it describes itself; the code that tokenizer_config.json names for it is not "
                    + "run, so that tokens which only the code adds are missing")
        }
        return contents
    }

    /// What the model itself says, with the tokens of roles that it names.
    private func describedParts(
        _ model: SentencePieceModel, _ configuration: TokenizerConfiguration
    ) throws -> (TokenizerParts, TokenizerConfiguration) {
        var configuration = configuration
        if model.addsDummyPrefix {
            for index in configuration.added.indices { configuration.added[index].token.isNormalized = false }
        }
        var roles: [TokenizerConfiguration.Role: String] = [:]
        roles[.beginningOfSequence] = model.beginningPiece
        roles[.endOfSequence] = model.endPiece
        if model.unknownID >= 0 { roles[.unknown] = model.unknownPiece }
        configuration.fill(roles)
        return (try model.parts(configuration, isLegacy: configuration.isLegacy ?? true), configuration)
    }

    // MARK: - tiktoken

    private func readRanks(
        _ file: RankedFile, _ name: String, _ configuration: TokenizerConfiguration, _ tokenizerClass: TokenizerClass
    ) throws -> Contents {
        var configuration = configuration
        configuration.fill(tokenizerClass.defaultTokens)
        let recipe = try TiktokenRecipe(name: name)
        var parts = try file.parts(
            normalizers: recipe.normalizesNFC ? [.composed(isCompatible: false)] : [], splitter: recipe.splitter)
        var names = recipe.special
        if recipe.isBare {
            // Tokens with ids beyond the file are there; what is missing between them is reserved.
            let listed = Dictionary(configuration.added.map { ($0.id, $0.token.content) }) { $1 }
            let last = min(configuration.added.last?.id ?? 0, Vocabulary.idLimit)
            if last >= file.count {
                names = (file.count...last).map { listed[$0] ?? "<|reserved_token_\($0)|>" }
            }
            if configuration.listsExtraTokens {
                names += configuration.extra.map(\.content).filter { !names.contains($0) }
            }
        }
        try parts.addTokens(names.map { AddedToken($0, isSpecial: true, isNormalized: false) })
        return try finished(parts, configuration, tokenizerClass, hasFile: false)
    }

    private func read(
        _ file: TekkenFile, _ configuration: TokenizerConfiguration, _ tokenizerClass: TokenizerClass
    ) throws -> Contents {
        try finished(try file.parts(), configuration, tokenizerClass, hasFile: false)
    }
}
