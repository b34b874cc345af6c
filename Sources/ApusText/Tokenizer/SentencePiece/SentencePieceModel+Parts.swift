extension SentencePieceModel {
    /// The steps that the model itself describes, for folders whose class builds none, as `transformers` 5 makes them.
    ///
    /// - Parameters:
    ///   - configuration: Its listed tokens rename pieces of a byte-pair model.
    ///   - isLegacy: Whether every stretch between added tokens gets a dummy prefix, not the first alone.
    func parts(_ configuration: TokenizerConfiguration, isLegacy: Bool) throws -> TokenizerParts {
        var normalizers: [TextNormalizer] = []
        if let map = try map() { normalizers.append(.mapped(map)) }
        if removesExtraSpaces {
            normalizers.append(.replace(try SplitMatcher(pattern: #"\A +| +\z"#, source: source), []))
            normalizers.append(.replace(try SplitMatcher(pattern: " {2,}", source: source), [0x20]))
        }
        if escapesSpaces { normalizers.append(.replace(.literal([0x20]), Self.space)) }
        // Metaspace leaves a text alone that has the prefix; SentencePiece does not.
        if addsDummyPrefix, isLegacy {
            normalizers.append(
                .replace(try SplitMatcher(pattern: #"\A▁"#, source: source), Self.space + Self.space))
        }
        let names = isUnigram ? pieces.map(\.text) : renamedPieces(configuration)
        let userDefined = zip(names, pieces).filter { $1.kind == .userDefined }.map { Array($0.0.utf8) }
        var preTokenizers: [PreTokenizer] = []
        if addsDummyPrefix { preTokenizers.append(.metaspace(Self.space, isLegacy ? .always : .first, splits: false)) }
        if !userDefined.isEmpty {
            var trie = TokenTrie()
            for piece in userDefined { trie.insert(piece, id: 0) }
            preTokenizers.append(.split(.tokens(trie), .isolated, inverted: false))
        }
        var parts: TokenizerParts
        if isUnigram {
            let model = try UnigramModel(
                try scored(), unknownID: unknownID, fallsBackToBytes: fallsBackToBytes, source: source)
            parts = TokenizerParts(normalizers: normalizers, preTokenizers: preTokenizers, model: model, source: source)
        } else {
            parts = try bytePairParts(names, normalizers, preTokenizers, ignoresMerges: !userDefined.isEmpty)
        }
        parts.decoders = [.replace(.literal(Self.space), [0x20])] + (fallsBackToBytes ? [.byteFallback] : [])
        if addsDummyPrefix {
            parts.decoders? += [.fuse, .strip(scalar: [0x20], start: 1, stop: 0)]
        } else if fallsBackToBytes {
            parts.decoders? += [.fuse]
        }
        return parts
    }

    /// What stands in for a space.
    private static let space = Array("▁".utf8)

    private func bytePairParts(
        _ names: [String], _ normalizers: [TextNormalizer], _ preTokenizers: [PreTokenizer], ignoresMerges: Bool
    ) throws -> TokenizerParts {
        var renamed = self
        for id in names.indices { renamed.pieces[id].text = names[id] }
        let vocabulary = try renamed.vocabulary()
        // Only normal pieces merge, those with the best score first.
        let takesPart = pieces.map { $0.kind == .normal }
        let order = pieces.indices.filter { takesPart[$0] }.sorted {
            pieces[$0].score != pieces[$1].score ? pieces[$0].score > pieces[$1].score : $0 < $1
        }
        let merges = try PieceMerges(vocabulary: vocabulary, order: order.map { Int32($0) }, takesPart: takesPart)
            .table(source: source)
        var options = BytePairModel.Options()
        (options.fusesUnknown, options.fallsBackToBytes) = (true, fallsBackToBytes)
        options.ignoresMerges = ignoresMerges
        options.unknownID = vocabulary.id(of: Array(unknownPiece.utf8))
        let spellsAll = fallsBackToBytes && !vocabulary.byteTokens.contains(nil)
        guard options.unknownID != nil || spellsAll else {
            throw TokenizerError(source, "has no piece \(unknownPiece.debugDescription) for what it cannot spell")
        }
        return TokenizerParts(
            normalizers: normalizers, preTokenizers: preTokenizers, vocabulary: vocabulary, merges: merges,
            options: options, source: source)
    }

    /// The spellings of the pieces, where listed tokens give others to their ids; a spelling that a piece keeps stays its.
    private func renamedPieces(_ configuration: TokenizerConfiguration) -> [String] {
        let names = Dictionary(configuration.added.map { ($0.id, $0.token.content) }) { $1 }
        guard !names.isEmpty else { return pieces.map(\.text) }
        let kept = Set(pieces.indices.filter { names[$0] == nil }.map { Array(pieces[$0].text.utf8) })
        return pieces.indices.map { id in
            guard let name = names[id], !kept.contains(Array(name.utf8)) else { return pieces[id].text }
            return name
        }
    }
}
