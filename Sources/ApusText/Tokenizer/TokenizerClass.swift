/// How a tokenizer class of `transformers` 5 makes a tokenizer: most take the steps of `tokenizer.json` as they stand;
/// the classes with a name here build their own around its vocabulary, from the keys of `tokenizer_config.json`.
///
/// Source: the `tokenization_*.py` files of `transformers` 5 and `TokenizersBackend.convert_to_native_format`.
struct TokenizerClass: Sendable {
    /// What cuts text up, and what the model is.
    enum Steps: Sendable {
        /// Those of `tokenizer.json`.
        case asGiven
        /// WordPiece after BERT's normalizer, which `do_lower_case`, `strip_accents` and `tokenize_chinese_chars` set.
        case bert
        /// Byte-pair encoding of bytes after splitting, with `add_prefix_space`.
        case byteLevel(normalizesNFC: Bool, splits: [SplitMatcher])
        /// Byte-pair encoding where "▁" stands for a space, with `add_prefix_space` and `legacy`.
        case llama
        /// Byte-pair encoding where "▁" stands for a space, and none is added.
        case gemma
        case unigram(UnigramSteps)
    }

    /// What stands around texts.
    enum Boundaries: Sendable {
        /// What `tokenizer.json` says; without one, what `add_bos_token` and `add_eos_token` say.
        case asGiven
        /// What `add_bos_token` and `add_eos_token` say, which count only where there is no `tokenizer.json`.
        case flags
        /// `[CLS] A [SEP] B [SEP]`.
        case bert
        /// `<s> A </s></s> B </s>`.
        case roberta
        /// `[CLS] A [SEP] [SEP] B [SEP]`.
        case deberta
        /// `<cls> A <sep> B <sep>`, the first in segment 2.
        case funnel
        /// What `tokenizer.json` says, else `[CLS] A [SEP] B [SEP]`, or what the flags say where they are given.
        case albert
        /// `[CLS] A [SEP] B [SEP]` beside a `tokenizer.json`, else what the flags say.
        case remBERT
        /// `A </s> B </s>`.
        case t5
        /// `<s> A </s></s> B </s>`, by the tokens of sequences.
        case xlmRoberta
        /// `A <sep> B <sep> <cls>`, the last in segment 2.
        case xlnet
    }

    /// The files that can stand in for a `tokenizer.json`.
    enum BareFiles: Sendable {
        case vocabularyText, vocabularyAndMerges
    }

    enum Renewal: Sendable {
        case none, all
        /// None, but all of them become special.
        case asSpecial
        /// Those that fill none of the roles.
        case withoutRole
    }

    var name: String
    var steps: Steps = .asGiven
    var boundaries: Boundaries = .asGiven
    /// The tokens of roles that the files leave open.
    var defaultTokens: [TokenizerConfiguration.Role: String] = [:]
    var addsPrefixSpace = false
    var bareFiles: BareFiles?
    /// Which special tokens lose properties such as `lstrip`, as the class adds them once more by name.
    var renewal: Renewal = .none
    /// Whether the token that the file pads with is the padding token, where nothing else says.
    var padsAsFileSays: Bool { defaultTokens[.padding] == nil && !(name == "GPT2Tokenizer" && buildsSteps) }
    /// Whether a mask token that is only named takes the white space before it along.
    var stripsBeforeMask = false
    /// The ids around texts of a class that does without the tokens, by their places in its first vocabulary.
    var fallbackIDs: (classification: Int32, separator: Int32)?

    /// Any other class: `tokenizer.json` decides.
    static func asGiven(_ name: String) -> TokenizerClass { TokenizerClass(name: name) }

    /// How the class builds a Unigram tokenizer, if it does.
    var unigramSteps: UnigramSteps? { if case .unigram(let steps) = steps { steps } else { nil } }

    /// Whether the class builds its own steps.
    var buildsSteps: Bool { if case .asGiven = steps { false } else { true } }

    // MARK: - The classes

    /// - Parameter name: A class without "Fast" at its end.
    init(named name: String) {
        let bert: [TokenizerConfiguration.Role: String] = [
            .unknown: "[UNK]", .separator: "[SEP]", .padding: "[PAD]", .classification: "[CLS]", .mask: "[MASK]",
        ]
        let roberta: [TokenizerConfiguration.Role: String] = [
            .beginningOfSequence: "<s>", .endOfSequence: "</s>", .unknown: "<unk>", .separator: "</s>",
            .padding: "<pad>", .classification: "<s>", .mask: "<mask>",
        ]
        let endOfText = "<|endoftext|>"
        self.init(name: name)
        switch name {
        case "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer", "LxmertTokenizer",
            "MobileBertTokenizer", "SqueezeBertTokenizer":
            (steps, boundaries, defaultTokens, bareFiles) = (.bert, .bert, bert, .vocabularyText)
            fallbackIDs = (2, 3)
        case "ConvBertTokenizer":
            // It has no constructor of its own, so that it takes the steps of tokenizer.json.
            (boundaries, defaultTokens, bareFiles) = (.bert, bert, .vocabularyText)
            fallbackIDs = (2, 3)
        case "MPNetTokenizer":
            (steps, boundaries, defaultTokens, bareFiles) = (.bert, .roberta, roberta, .vocabularyText)
            defaultTokens[.unknown] = "[UNK]"
            (stripsBeforeMask, fallbackIDs) = (true, (0, 2))
        case "FunnelTokenizer":
            (steps, boundaries, defaultTokens, bareFiles) = (.bert, .funnel, roberta, .vocabularyText)
            defaultTokens[.separator] = "<sep>"
            defaultTokens[.classification] = "<cls>"
        case "RobertaTokenizer", "BartTokenizer", "LEDTokenizer", "LongformerTokenizer", "MvpTokenizer":
            (steps, boundaries, defaultTokens) = (.byteLevel(normalizesNFC: false, splits: [.gpt2]), .roberta, roberta)
            bareFiles = .vocabularyAndMerges
        case "BlenderbotTokenizer":
            (steps, defaultTokens) = (.byteLevel(normalizesNFC: false, splits: [.gpt2]), roberta)
            (addsPrefixSpace, stripsBeforeMask, bareFiles) = (true, true, .vocabularyAndMerges)
        case "DebertaTokenizer":
            (steps, boundaries, defaultTokens) = (.byteLevel(normalizesNFC: false, splits: [.gpt2]), .deberta, bert)
            defaultTokens[.beginningOfSequence] = "[CLS]"
            defaultTokens[.endOfSequence] = "[SEP]"
            bareFiles = .vocabularyAndMerges
        case "GPT2Tokenizer":
            steps = .byteLevel(normalizesNFC: false, splits: [.gpt2])
            defaultTokens = [.beginningOfSequence: endOfText, .endOfSequence: endOfText, .unknown: endOfText]
            bareFiles = .vocabularyAndMerges
        case "GPTNeoXTokenizer":
            (steps, boundaries) = (.byteLevel(normalizesNFC: true, splits: [.gpt2]), .flags)
            defaultTokens = [
                .beginningOfSequence: endOfText, .endOfSequence: endOfText, .unknown: endOfText,
                .padding: "<|padding|>",
            ]
            bareFiles = .vocabularyAndMerges
        case "Qwen2Tokenizer", "Qwen3_5Tokenizer":
            let isQwen2 = name == "Qwen2Tokenizer"
            steps = .byteLevel(normalizesNFC: true, splits: [.cl100k(isQwen2 ? .qwen2 : .qwen35)])
            defaultTokens = [.endOfSequence: endOfText, .unknown: endOfText, .padding: endOfText]
            (bareFiles, renewal) = isQwen2 ? (.vocabularyAndMerges, .all) : (nil, .none)
        case "CohereTokenizer":
            (steps, renewal) = (.byteLevel(normalizesNFC: true, splits: [.numeric, .gpt2]), .withoutRole)
            bareFiles = .vocabularyAndMerges
            defaultTokens = [
                .beginningOfSequence: "<BOS_TOKEN>", .endOfSequence: "<|END_OF_TURN_TOKEN|>", .unknown: "<UNK>",
                .separator: "<SEP>", .padding: "<PAD>", .classification: "<CLS>", .mask: "<MASK_TOKEN>",
            ]
        case "LlamaTokenizer", "Phi3Tokenizer":
            (steps, addsPrefixSpace) = (.llama, true)
            defaultTokens = [.beginningOfSequence: "<s>", .endOfSequence: "</s>", .unknown: "<unk>"]
        case "GemmaTokenizer":
            steps = .gemma
            defaultTokens = [
                .beginningOfSequence: "<bos>", .endOfSequence: "<eos>", .unknown: "<unk>", .padding: "<pad>",
                .mask: "<mask>",
            ]
        case "T5Tokenizer", "AlbertTokenizer", "XLMRobertaTokenizer", "CamembertTokenizer", "DebertaV2Tokenizer",
            "XLNetTokenizer", "BigBirdTokenizer", "RemBertTokenizer":
            setUnigram(roberta, bert)
        default: break
        }
    }

    private init(name: String, steps: Steps = .asGiven) {
        self.name = name
        self.steps = steps
    }

    // MARK: - The steps

    /// The steps of the class around a vocabulary, without added tokens and what stands around texts.
    ///
    /// - Parameter merges: Nil merges nothing.
    func parts(
        _ vocabulary: Vocabulary, _ merges: MergeTable?, _ configuration: TokenizerConfiguration, source: String
    ) throws -> TokenizerParts {
        let merges = merges ?? MergeTable(expectedCount: 1)
        let addsPrefixSpace = configuration.addsPrefixSpace ?? addsPrefixSpace
        var options = BytePairModel.Options()
        var parts: TokenizerParts
        switch steps {
        case .asGiven, .bert, .unigram:
            var options = WordPieceModel.Options()
            options.unknown = configuration.named[.unknown]?.content ?? "None"
            parts = TokenizerParts(
                normalizers: [
                    .bert(
                        BertNormalizer(
                            cleansText: boundaries != .funnel || configuration.cleansText,
                            spacesHan: configuration.spacesHan,
                            stripsAccents: configuration.stripsAccents, lowercases: configuration.lowercases ?? true))
                ],
                preTokenizers: [.bert], model: try WordPieceModel(vocabulary, options, source: source), source: source)
            parts.decoders = [.wordPiece(prefix: Array(options.continuingPrefix.utf8), cleansUp: true)]
        case .byteLevel(let normalizesNFC, let splits):
            parts = TokenizerParts(
                normalizers: normalizesNFC ? [.composed(isCompatible: false)] : [],
                preTokenizers: Self.steps(splits, addsPrefixSpace: addsPrefixSpace), vocabulary: vocabulary,
                merges: merges, options: options, source: source)
            parts.decoders = [.byteLevel]
        case .llama:
            (options.fusesUnknown, options.fallsBackToBytes) = (true, true)
            let scheme: MetaspaceScheme =
                !addsPrefixSpace ? .never : configuration.isLegacy ?? false ? .always : .first
            parts = TokenizerParts(
                normalizers: [], preTokenizers: [.metaspace(Self.space, scheme, splits: false)],
                vocabulary: vocabulary, merges: merges, options: options, source: source)
            parts.decoders = Self.spaceDecoders + (addsPrefixSpace ? [.strip(scalar: [0x20], start: 1, stop: 0)] : [])
        case .gemma:
            (options.fusesUnknown, options.fallsBackToBytes) = (true, true)
            options.unknownID = configuration.named[.unknown].flatMap { vocabulary.id(of: Array($0.content.utf8)) }
            parts = TokenizerParts(
                normalizers: [.replace(.literal([0x20]), Self.space)],
                preTokenizers: [.split(.literal([0x20]), .mergedWithPrevious, inverted: false)],
                vocabulary: vocabulary, merges: merges, options: options, source: source)
            parts.decoders = Self.spaceDecoders
        }
        return parts
    }

    /// What stands in for a space where bytes are not spelled.
    private static let space = Array("▁".utf8)

    private static let spaceDecoders: [TokenDecoder] = [.replace(.literal(space), [0x20]), .byteFallback, .fuse]

    /// The prefix space goes before the last split, to which it belongs in the files too.
    private static func steps(_ splits: [SplitMatcher], addsPrefixSpace: Bool) -> [PreTokenizer] {
        let steps = splits.map { PreTokenizer.split($0, .isolated, inverted: false) }
        guard addsPrefixSpace else { return steps + [.byteLevel] }
        if case .gpt2? = splits.last { return steps.dropLast() + [.prefixSpace] + steps.suffix(1) + [.byteLevel] }
        return steps + [.prefixSpace, .byteLevel]
    }

    /// What the class puts around texts; call it when all tokens are there.
    ///
    /// - Parameter hasFile: Whether there is a `tokenizer.json`, beside which the flags of the configuration are silent.
    func postProcessor(
        _ parts: TokenizerParts, _ configuration: TokenizerConfiguration, hasFile: Bool
    ) throws -> PostProcessor {
        func ids(_ role: TokenizerConfiguration.Role) -> [Int32] {
            configuration.named[role].flatMap { parts.id(of: $0.content) }.map { [$0] } ?? []
        }
        func id(_ role: TokenizerConfiguration.Role, or fallback: Int32? = nil) throws -> Int32 {
            guard let id = ids(role).first ?? fallback else {
                throw TokenizerError(parts.source, "has no \"\(role.rawValue)\", which stands around every text")
            }
            return id
        }
        switch boundaries {
        case .asGiven where hasFile: return parts.postProcessor
        case .albert where hasFile && parts.hasPostProcessor: return parts.postProcessor
        case .albert
        where configuration.addsBeginningOfSequence == nil && configuration.addsEndOfSequence == nil || hasFile,
            .remBERT where hasFile && parts.hasPostProcessor:
            return try PostProcessor([
                .bert(classification: try id(.classification), separator: try id(.separator))
            ])
        case .asGiven, .flags, .albert, .remBERT:
            return PostProcessor(
                before: !hasFile && configuration.addsBeginningOfSequence == true ? ids(.beginningOfSequence) : [],
                after: !hasFile && configuration.addsEndOfSequence == true ? ids(.endOfSequence) : [])
        case .bert, .roberta:
            var first = try id(.classification, or: fallbackIDs?.classification)
            let last = try id(.separator, or: fallbackIDs?.separator)
            // Without both, the two have one name and so one id.
            if boundaries == .bert, ids(.classification).isEmpty, ids(.separator).isEmpty { first = last }
            return try PostProcessor([
                boundaries == .bert
                    ? .bert(classification: first, separator: last) : .roberta(classification: first, separator: last)
            ])
        case .xlmRoberta:
            return try PostProcessor([
                .roberta(classification: try id(.beginningOfSequence), separator: try id(.endOfSequence))
            ])
        case .t5:
            let end: PostProcessor.Piece = .token(try id(.endOfSequence), segment: 0)
            let pair = [.text(0, segment: 0), end, .text(1, segment: 0), end]
            return try PostProcessor([.template(single: [.text(0, segment: 0), end], pair: pair)])
        case .xlnet:
            let separator = try id(.separator)
            let last: PostProcessor.Piece = .token(try id(.classification), segment: 2)
            let single: [PostProcessor.Piece] = [.text(0, segment: 0), .token(separator, segment: 0)]
            let second: [PostProcessor.Piece] = [.text(1, segment: 1), .token(separator, segment: 1)]
            return try PostProcessor([.template(single: single + [last], pair: single + second + [last])])
        case .deberta, .funnel:
            let first: PostProcessor.Piece = .token(try id(.classification), segment: boundaries == .funnel ? 2 : 0)
            let separator = try id(.separator)
            let last: PostProcessor.Piece = .token(separator, segment: 0)
            let second: Int32 = boundaries == .funnel ? 1 : 0
            let pair: [PostProcessor.Piece] =
                [first, .text(0, segment: 0), last] + (boundaries == .deberta ? [last] : [])
                + [.text(1, segment: second), .token(separator, segment: second)]
            return try PostProcessor([.template(single: [first, .text(0, segment: 0), last], pair: pair)])
        }
    }
}
