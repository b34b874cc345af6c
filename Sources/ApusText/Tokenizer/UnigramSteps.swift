/// How a tokenizer class of `transformers` 5 builds a Unigram tokenizer around scored tokens.
struct UnigramSteps: Sendable {
    /// How the ids of a SentencePiece file become those of the class.
    enum Layout: Sendable {
        case asGiven
        /// `<extra_id_99>` … `<extra_id_0>` follow.
        case extraIDs
        /// Four tokens take the places of the first three, the mask follows.
        case fairseq
        /// Five tokens take the place of the first, the mask follows.
        case camembert
    }

    /// Which token is the unknown one.
    enum Unknown: Sendable {
        case id(Int)
        /// The one that has the name and no score.
        case unscored(orID: Int)
        /// The first that has the name.
        case named
        /// What the model or the configuration says.
        case given(orID: Int)
    }

    enum Normalization: Sendable {
        /// The map of the file alone.
        case map
        /// Quotes, accents and case before the map.
        case albert(keepsAccents: Bool?, lowercases: Bool, collapsesSpaces: Bool)
        /// White space, composition and case; no map.
        case deberta
        /// Runs of spaces become "▁"; no map.
        case bigBird
    }

    var layout = Layout.asGiven
    var unknown: Unknown
    var normalization = Normalization.map
    /// Whether text is cut at white space before spaces become "▁".
    var splitsSpace = true
    /// Whether `add_prefix_space` counts.
    var mindsPrefixSpace = true
    /// Special tokens without a role, where the files name none.
    var extraNames: [String] = []

    private static let space = Array("▁".utf8)

    func parts(
        _ pieces: ScoredVocabulary, _ map: CharacterMap?, _ configuration: TokenizerConfiguration,
        givenUnknownID: Int?, source: String
    ) throws -> TokenizerParts {
        let model = try UnigramModel(
            pieces, unknownID: unknownID(pieces, configuration, givenUnknownID), fallsBackToBytes: false,
            source: source)
        let addsPrefixSpace = !mindsPrefixSpace || configuration.addsPrefixSpace ?? true
        var scheme: MetaspaceScheme = addsPrefixSpace ? .always : .never
        var preTokenizers: [PreTokenizer] = []
        if splitsSpace { preTokenizers.append(.split(.whitespace, .removed, inverted: false)) }
        if case .deberta = normalization {
            if !addsPrefixSpace { scheme = .first }
            if configuration.splitsPunctuation {
                preTokenizers.append(.split(.punctuation, .isolated, inverted: false))
            }
        }
        preTokenizers.append(.metaspace(Self.space, scheme, splits: true))
        var parts = TokenizerParts(
            normalizers: try normalizers(map, configuration, source), preTokenizers: preTokenizers, model: model,
            source: source)
        parts.decoders = [.metaspace(Self.space, dropsFirst: scheme != .never)]
        return parts
    }

    private func unknownID(
        _ pieces: ScoredVocabulary, _ configuration: TokenizerConfiguration, _ given: Int?
    ) -> Int {
        let name = Array((configuration.named[.unknown]?.content ?? "None").utf8)
        func first(_ isWanted: (Int) -> Bool) -> Int? {
            pieces.scores.indices.first {
                isWanted($0) && pieces.vocabulary.token(of: Int32($0)).map { $0.elementsEqual(name) } ?? false
            }
        }
        switch unknown {
        case .id(let id): return id
        case .unscored(let id):
            return first { pieces.scores[$0] == 0 } ?? given ?? configuration.unknownID ?? id
        case .named: return first { _ in true } ?? 0
        case .given(let id): return given ?? configuration.unknownID ?? id
        }
    }

    private func normalizers(
        _ map: CharacterMap?, _ configuration: TokenizerConfiguration, _ source: String
    ) throws -> [TextNormalizer] {
        func replace(_ pattern: String, _ content: [UInt8]) throws -> TextNormalizer {
            .replace(try SplitMatcher(pattern: pattern, source: source), content)
        }
        let mapped: [TextNormalizer] = map.map { [.mapped($0)] } ?? []
        switch normalization {
        case .map: return mapped
        case .albert(let keepsAccents, let lowercases, let collapsesSpaces):
            var steps: [TextNormalizer] = [.replace(.literal(Array("``".utf8)), [0x22])]
            steps.append(.replace(.literal(Array("''".utf8)), [0x22]))
            if collapsesSpaces { steps.append(try replace(" {2,}", [0x20])) }
            let keeps = keepsAccents.map { configuration.keepsAccents ?? $0 } ?? false
            if !keeps { steps += [.decomposed(isCompatible: true), .stripAccents] }
            if configuration.lowercases ?? lowercases { steps.append(.lowercase) }
            return steps + mapped
        case .deberta:
            return (configuration.lowercases ?? false ? [.lowercase] : [])
                + [
                    try replace(#"\s{2,}|[\n\r\t]"#, [0x20]), .composed(isCompatible: false),
                    .strip(left: false, right: true),
                ]
        case .bigBird: return [try replace(" {2,}", Self.space)]
        }
    }

    /// The tokens of a SentencePiece file by the ids of the class.
    func arranged(
        _ model: SentencePieceModel, _ configuration: TokenizerConfiguration
    ) throws -> ScoredVocabulary {
        func name(_ role: TokenizerConfiguration.Role) -> String { configuration.named[role]?.content ?? "None" }
        var first: [(String, Double)] = []
        var last: [String] = []
        var replaced = 0
        switch layout {
        case .asGiven: break
        case .extraIDs: last = (0..<configuration.extraIDs).reversed().map { "<extra_id_\($0)>" }
        case .fairseq:
            first = [.beginningOfSequence, .padding, .endOfSequence, .unknown].map { (name($0), 0) }
            (replaced, last) = (3, [name(.mask)])
        case .camembert:
            first = [("<s>NOTUSED", 0), (name(.padding), 0), ("</s>NOTUSED", 0), (name(.unknown), 0)]
            first.append(("<unk>NOTUSED", -100))
            (replaced, last) = (1, [name(.mask)])
        }
        var pieces = ScoredVocabulary(expectedCount: model.pieces.count + 128)
        for (text, score) in first { try pieces.append(text, score: score, source: model.source) }
        for piece in model.pieces.dropFirst(replaced) {
            try pieces.append(piece.text, score: piece.score, source: model.source)
        }
        for text in last { try pieces.append(text, score: 0, source: model.source) }
        return pieces
    }

    /// The special tokens without a role where the configuration lists none.
    ///
    /// - Parameter given: Those of other files, if there are any.
    func extraTokens(_ configuration: TokenizerConfiguration, given: [AddedToken]?) -> [AddedToken] {
        var names = given == nil ? extraNames : []
        if case .extraIDs = layout, !(given ?? []).contains(where: { $0.content.contains("<extra_id_") }) {
            names = (0..<configuration.extraIDs).map { "<extra_id_\($0)>" }
        }
        return (given ?? []) + names.map { AddedToken($0, isSpecial: true) }
    }
}
