import ApusJSON
import Foundation

/// Finds out what kind of tokenizer a folder holds and puts its stages together.
struct TokenizerFolder {
    let url: URL

    struct Contents {
        var parts: TokenizerParts
        var configuration: TokenizerConfiguration
        /// What a user should know about the files, a sentence each.
        var notices: [String] = []
    }

    func read() throws -> Contents {
        let configuration = try TokenizerConfiguration(folder: url)
        let config = try TokenizerConfiguration.object(url.appendingPathComponent("config.json"))
        var clues = TokenizerClass.Clues(
            tokenizerClass: configuration.className, modelTokenizerClass: config?["tokenizer_class"]?.stringValue,
            modelType: config?["model_type"]?.stringValue, namesCode: configuration.namesCode)
        clues.spellsBytes = {
            let data = try FolderFile.readIfThere(url.appendingPathComponent("tokenizer.json"))
            return data?.firstRange(of: Data("\"ByteLevel\"".utf8)) != nil
        }
        let tokenizerClass = try TokenizerClass.resolved(clues)
        var contents: Contents
        if exists("tokenizer.json") {
            contents = try readJSON(configuration, tokenizerClass ?? .asGiven("TokenizersBackend"))
        } else if let name = pieceFile(tokenizerClass) {
            contents = try readPieces(name, configuration, tokenizerClass ?? .asGiven("TokenizersBackend"))
        } else if exists("vocab.json"), exists("merges.txt") {
            contents = try readVocabularyAndMerges(configuration, tokenizerClass)
        } else if exists("vocab.txt") {
            contents = try readVocabularyText(configuration, tokenizerClass)
        } else {
            throw TokenizerError(
                url.path,
                exists("vocab.json")
                    ? "holds vocab.json, which says too little by itself; put the merges.txt of the same tokenizer beside it, "
                        + "or its tokenizer.json"
                    : "holds no tokenizer.json, no SentencePiece or tiktoken model, no vocab.json with merges.txt and no "
                        + "vocab.txt; give the folder of a model or a tokenizer")
        }
        contents.parts.added.splitsSpecialTokens = configuration.splitsSpecialTokens
        return contents
    }

    func exists(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: url.appendingPathComponent(name).path)
    }

    private func readJSON(
        _ configuration: TokenizerConfiguration, _ tokenizerClass: TokenizerClass
    ) throws -> Contents {
        var configuration = configuration
        let file = try TokenizerJSONFile(url.appendingPathComponent("tokenizer.json"))
        if tokenizerClass.padsAsFileSays, let padding = file.paddingToken {
            configuration.fill([.padding: padding])
        }
        if !configuration.listsAddedTokens {
            var tokens = Dictionary(configuration.added.map { ($0.id, $0.token) }) { $1 }
            for (id, token) in try file.numberedTokens() { tokens[id] = token }
            configuration.added = tokens.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
        configuration.fill(tokenizerClass.defaultTokens)
        if let steps = tokenizerClass.unigramSteps, !configuration.listsExtraTokens {
            let given = configuration.extra.isEmpty ? nil : configuration.extra
            configuration.extra = steps.extraTokens(configuration, given: given)
        }
        let parts =
            tokenizerClass.buildsSteps ? try file.parts(of: tokenizerClass, configuration) : try file.parts()
        return try finished(parts, configuration, tokenizerClass, hasFile: true)
    }

    /// Adds the tokens that the small files name, and what stands around texts.
    func finished(
        _ parts: TokenizerParts, _ configuration: TokenizerConfiguration, _ tokenizerClass: TokenizerClass,
        hasFile: Bool
    ) throws -> Contents {
        var parts = parts
        let filled = TokenizerConfiguration.Role.allCases.filter { configuration.named[$0] != nil }
        var roles = filled.compactMap { configuration.named[$0] }
        if tokenizerClass.stripsBeforeMask, let mask = configuration.named[.mask],
            mask == AddedToken(mask.content, isSpecial: true)
        {
            // The mask is the last of the roles.
            roles[roles.count - 1].stripsLeft = true
        }
        let named = roles + configuration.ownNames.map(\.token)
        func withRole(_ token: AddedToken) -> AddedToken {
            var token = token
            if named.contains(where: { $0.content.utf8.elementsEqual(token.content.utf8) }) { token.isSpecial = true }
            return token
        }
        try parts.addTokens(configuration.added.map { withRole($0.token) })
        let special = named + configuration.extra
        func isNew(_ token: AddedToken) -> Bool { parts.added.id(of: Array(token.content.utf8)) == nil }
        // A role whose token another one has named already changes nothing; with other properties it counts once more, and
        // so does a text alone after an object that says the same.
        let isBare = (filled.map(\.rawValue) + configuration.ownNames.map(\.name)).map(configuration.bare.contains)
        let missing = zip(named, isBare).filter { isNew($0.0) }
        let once = missing.indices.filter { here in !missing[..<here].contains { $0 == missing[here] } }
        try parts.addTokens((once.map { missing[$0].0 } + configuration.extra.filter(isNew)).map(withRole))
        switch tokenizerClass.renewal {
        case .none: break
        case .asSpecial:
            let own = configuration.filled.compactMap { configuration.named[$0]?.content }
            try parts.addTokens(
                special.map { token in
                    if own.contains(token.content) { return AddedToken(token.content, isSpecial: true) }
                    var token = token
                    token.isSpecial = true
                    return token
                })
        case .all: try parts.addTokens(special.map { AddedToken($0.content, isSpecial: true) })
        case .withoutRole:
            try parts.addTokens(
                (configuration.ownNames.map(\.token) + configuration.extra).map {
                    AddedToken($0.content, isSpecial: true)
                })
        }
        parts.postProcessor = try tokenizerClass.postProcessor(parts, configuration, hasFile: hasFile)
        return Contents(parts: parts, configuration: configuration)
    }
}
