/// The stages of a tokenizer, from whichever files they were read.
struct TokenizerParts: Sendable {
    var normalizers: [TextNormalizer] = []
    var preTokenizers: [PreTokenizer] = []
    var model: any TokenModel
    var postProcessor = PostProcessor()
    /// Whether the file says what stands around texts.
    var hasPostProcessor = false
    /// `nil` puts a space between tokens.
    var decoders: [TokenDecoder]?
    var added = AddedVocabulary()
    /// The file that errors name.
    var source: String

    /// Joins a byte-pair model to the steps before it.
    ///
    /// Where the last step spells bytes in the byte alphabet and the model knows all of it, both leave the spelling
    /// out and work on the bytes.
    init(
        normalizers: [TextNormalizer], preTokenizers: [PreTokenizer], vocabulary: Vocabulary, merges: MergeTable,
        options: BytePairModel.Options, source: String
    ) {
        var takesBytes = false
        var steps = preTokenizers
        if case .byteLevel? = steps.last, steps.count(where: Self.isByteLevel) == 1,
            BytePairModel.takesBytes(vocabulary, options)
        {
            takesBytes = true
            steps.removeLast()
        }
        self.normalizers = normalizers
        self.preTokenizers = steps
        self.source = source
        model = BytePairModel(vocabulary: vocabulary, merges: merges, options: options, takesBytes: takesBytes)
    }

    /// Joins any other model to the steps before it.
    init(
        normalizers: [TextNormalizer], preTokenizers: [PreTokenizer], model: any TokenModel, source: String
    ) {
        self.normalizers = normalizers
        self.preTokenizers = preTokenizers
        self.model = model
        self.source = source
    }

    /// Whether a step asks if a piece is at the start of the text.
    var mindsStart: Bool {
        preTokenizers.contains { if case .metaspace(_, .first, _) = $0 { true } else { false } }
    }

    private static func isByteLevel(_ step: PreTokenizer) -> Bool {
        if case .byteLevel = step { true } else { false }
    }

    mutating func addTokens(_ tokens: [AddedToken]) throws {
        guard !tokens.isEmpty else { return }
        try added.add(tokens, to: model.vocabulary, normalizers: normalizers, source: source)
    }

    func id(of token: String) -> Int32? {
        let bytes = Array(token.utf8)
        return added.id(of: bytes) ?? model.vocabulary.id(of: bytes)
    }
}
