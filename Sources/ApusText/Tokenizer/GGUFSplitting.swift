import ApusJSON

/// How the tokenizers behind a `tokenizer.ggml.pre` split text before byte-level merging.
struct GGUFSplitting: Sendable {
    /// llama.cpp's names; the first is the one that is written.
    let names: [String]
    /// Whether text is composed first (NFC); llama.cpp leaves that out.
    var composes = false
    let splits: [SplitMatcher]
    var ignoresMerges = false
    /// What a file means that does not say whether texts begin with a token.
    var addsBeginningOfSequence = false

    /// llama.cpp finds the name in a table of hashes of what a tokenizer makes of one text; here it follows from the steps.
    static let known = [
        GGUFSplitting(
            names: ["gpt-2", "default", "gpt2", "mpt", "olmo", "jais", "phi-2", "roberta-bpe"], splits: [.gpt2]),
        GGUFSplitting(names: ["smollm", "starcoder", "refact", "codeshell"], splits: [.numeric, .gpt2]),
        GGUFSplitting(
            names: ["qwen2", "deepseek-r1-qwen", "megrez"], composes: true, splits: [.cl100k(.qwen2)]),
        GGUFSplitting(names: ["qwen35"], composes: true, splits: [.cl100k(.qwen35)]),
        GGUFSplitting(
            names: ["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"], splits: [.cl100k(.llama3)],
            ignoresMerges: true, addsBeginningOfSequence: true),
        GGUFSplitting(names: ["dbrx", "smaug-bpe"], splits: [.cl100k(.llama3)]),
        GGUFSplitting(
            names: ["tekken"], splits: [.o200k(.tekken)], ignoresMerges: true, addsBeginningOfSequence: true),
        GGUFSplitting(names: ["gpt-4o", "llama4"], splits: [.o200k(.gpt4o)]),
    ]

    /// The splitting of a tokenizer's steps, which end with the byte alphabet or its equivalent; nil for any other.
    init?(_ steps: [PreTokenizer], normalizers: [TextNormalizer], ignoresMerges: Bool) {
        var composes = false
        for normalizer in normalizers {
            guard case .composed(isCompatible: false) = normalizer else { return nil }
            composes = true
        }
        var splits: [SplitMatcher] = []
        for step in steps {
            switch step {
            case .byteLevel: continue
            case .split(let matcher, .isolated, inverted: false): splits.append(matcher)
            default: return nil
            }
        }
        let known = Self.known.first { known in
            // Text that is not composed is cut as if it were, where the file cannot say it.
            (known.composes || !composes) && known.ignoresMerges == ignoresMerges
                && known.splits.elementsEqual(splits) { $0.isSame(as: $1) }
        }
        guard let known else { return nil }
        self = known
    }

    private init(
        names: [String], composes: Bool = false, splits: [SplitMatcher], ignoresMerges: Bool = false,
        addsBeginningOfSequence: Bool = false
    ) {
        (self.names, self.composes, self.splits) = (names, composes, splits)
        (self.ignoresMerges, self.addsBeginningOfSequence) = (ignoresMerges, addsBeginningOfSequence)
    }

    /// The steps in the words of `tokenizer.json`.
    var json: (normalizer: JSONValue, preTokenizer: JSONValue) {
        func byteLevel(usesRegex: Bool) -> JSONValue {
            ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(usesRegex)]
        }
        var steps: [JSONValue] = []
        for split in splits {
            switch split {
            case .numeric: steps.append(["type": "Digits", "individual_digits": true])
            case .gpt2: steps.append(byteLevel(usesRegex: true))
            default:
                steps.append([
                    "type": "Split", "pattern": ["Regex": .string(split.pattern ?? "")], "behavior": "Isolated",
                    "invert": false,
                ])
            }
        }
        let endsInBytes = if case .gpt2? = splits.last { true } else { false }
        if !endsInBytes { steps.append(byteLevel(usesRegex: false)) }
        return (
            composes ? ["type": "NFC"] : .null,
            steps.count == 1 ? steps[0] : ["type": "Sequence", "pretokenizers": .array(steps)]
        )
    }
}

extension SplitMatcher {
    /// The well-known pattern that a scanner matches.
    fileprivate var pattern: String? {
        switch self {
        case .gpt2: GPT2Scanner.pattern
        case .cl100k(.qwen2): CL100KScanner.qwen2Pattern
        case .cl100k(.qwen35): CL100KScanner.qwen35Pattern
        case .cl100k(.llama3): CL100KScanner.llama3Pattern
        case .o200k(.gpt4o): O200KScanner.gpt4oPattern
        case .o200k(.tekken): O200KScanner.tekkenPattern
        default: nil
        }
    }

    /// Whether both match single numbers or the same well-known pattern.
    fileprivate func isSame(as other: SplitMatcher) -> Bool {
        switch (self, other) {
        case (.numeric, .numeric): true
        default: pattern != nil && pattern == other.pattern
        }
    }
}
