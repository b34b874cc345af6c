import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusText
import ApusWeights

/// What a model says about its answers: `generation_config.json`, or what `config.json` has of its keys.
struct GenerationDefaults {
    /// An answer ends before any of these: every end that the model's files name.
    let endTokens: Set<Int32>
    /// An answer ends behind any of these.
    let stopStrings: [String]
    /// Whether tokens are drawn; otherwise the likeliest is taken.
    let samples: Bool
    /// How they are drawn, and what is done to scores in any case.
    let sampling: Sampling
    let maximumNewTokens: Int?
    /// The power of the length by which a beam search divides.
    let lengthPenalty: Double
    /// When a beam search ends.
    let beamStop: BeamSearch.Stop
    /// What the file asks for and does not get.
    let notices: [String]

    /// - Throws: `ModelError` for a value that makes no sense, naming file and key.
    init(_ source: ModelSource, config: JSONValue, tokenizer: Tokenizer, vocabularySize: Int) throws {
        try self.init(
            Self.file(of: source), config: config.objectValue ?? [:], vocabularySize: vocabularySize)
        var ends = endTokens.union([tokenizer.eosTokenID].compactMap { $0 })
        if case .gguf(let model) = source.form { ends.formUnion(try Self.endTokens(of: model.file)) }
        self = GenerationDefaults(self, endTokens: ends)
    }

    /// `generation_config.json`; nil where there is none.
    ///
    /// - Throws: `ModelError` for one that is no object.
    static func file(of source: ModelSource) throws -> JSONObject? {
        guard let json = try source.json(fileName) else { return nil }
        guard let object = json.objectValue else {
            throw ModelError("\(source.path)/\(fileName) is no JSON object. Mend it, or take it away.")
        }
        return object
    }

    /// The ends that the metadata of a GGUF file name: of a text, of a turn, of a message.
    static func endTokens(of file: GGUFFile) throws -> [Int32] {
        let keys = ["eos_token_id", "eot_token_id", "eom_token_id"].map { "tokenizer.ggml.\($0)" }
        let ids = try keys.compactMap { try file.value($0, \.intValue) }
        let lists = try file.value("tokenizer.ggml.eos_token_ids", \.intValues) ?? []
        return (ids + lists).compactMap(Int32.init(exactly:)).filter { $0 >= 0 }
    }

    private init(_ other: GenerationDefaults, endTokens: Set<Int32>) {
        self.endTokens = endTokens
        stopStrings = other.stopStrings
        samples = other.samples
        sampling = other.sampling
        maximumNewTokens = other.maximumNewTokens
        lengthPenalty = other.lengthPenalty
        beamStop = other.beamStop
        notices = other.notices
    }

    static let fileName = "generation_config.json"

    /// Values that are not there are those of `transformers`: greedy, and for draws temperature 1 among the best 50.
    init(_ file: JSONObject?, config: JSONObject, vocabularySize: Int) throws {
        let read = GenerationKeys(
            file ?? config, place: file == nil ? "config.json" : Self.fileName, vocabularySize: vocabularySize)
        var ends = try read.ids("eos_token_id")
        if file != nil {
            ends += try GenerationKeys(config, place: "config.json", vocabularySize: vocabularySize).ids("eos_token_id")
        }
        endTokens = Set(ends)
        stopStrings = try read.texts("stop_strings")
        samples = try read.flag("do_sample") ?? false
        maximumNewTokens = try read.integer("max_new_tokens", from: 1)
        lengthPenalty =
            try read.number("length_penalty", -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude) ?? 1
        beamStop = try read.beamStop("early_stopping")

        var sampling = Sampling()
        sampling.temperature = try read.number("temperature", 0...Double.infinity) ?? 1
        let topK = try read.integer("top_k") ?? 50
        sampling.topK = topK > 0 ? topK : nil
        sampling.topP = try read.number("top_p", 0...1)
        sampling.minP = try read.number("min_p", 0...1)
        sampling.topH = try read.number("top_h", Double.leastNonzeroMagnitude...1)
        sampling.typicalP = try read.number("typical_p", Double.leastNonzeroMagnitude...1)
        sampling.epsilonCutoff = try read.cutoff("epsilon_cutoff")
        sampling.etaCutoff = try read.cutoff("eta_cutoff")
        let positive = Double.leastNonzeroMagnitude...Double.greatestFiniteMagnitude
        var processors = LogitsProcessors()
        processors.sequenceBiases = try read.sequenceBiases("sequence_bias")
        processors.promptPenalty = try read.number("encoder_repetition_penalty", positive) ?? 1
        processors.repetitionPenalty = try read.number("repetition_penalty", positive) ?? 1
        processors.noRepeatSize = try read.integer("no_repeat_ngram_size", from: 0) ?? 0
        processors.noPromptRepeatSize = try read.integer("encoder_no_repeat_ngram_size", from: 0) ?? 0
        processors.badWords = try read.idLists("bad_words_ids")
        processors.minimumLength = try read.integer("min_length", from: 0) ?? 0
        processors.minimumNewTokens = try read.integer("min_new_tokens", from: 0) ?? 0
        processors.forcedFirst = try read.ids("forced_bos_token_id").first
        processors.forcedLast = try read.ids("forced_eos_token_id")
        processors.removesInvalid = try read.flag("remove_invalid_values") ?? false
        processors.lengthDecay = try read.lengthDecay("exponential_decay_length_penalty")
        processors.suppressed = try read.ids("suppress_tokens")
        processors.suppressedFirst = try read.ids("begin_suppress_tokens")
        processors.renormalizes = try read.flag("renormalize_logits") ?? false
        sampling.processors = processors
        self.sampling = sampling
        notices = read.notices(isOfModel: file == nil)
    }
}
