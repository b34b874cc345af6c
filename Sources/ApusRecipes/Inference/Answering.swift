import ApusDatasets
import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusText

/// Prompts and answers of a model that continues text, as the settings want them.
struct Answering {
    /// An answer, or as much of it as there was room or patience for.
    struct Answer {
        let text: String
        /// Whether it ended because the context was full.
        let filledContext: Bool
    }

    /// What the settings and the model's files ask for and do not get.
    let notices: [String]
    /// The most tokens of a prompt.
    let promptLimit: Int

    private let settings: InferSettings
    private let language: LanguageModel
    /// Makes ids of what is read, in models that read a text whole; nil in those that continue it.
    private let reading: SourceTargetEncoder?
    private let generator: TokenGenerator
    private let ends: AnswerEnds
    private let newTokens: Int?

    /// - Throws: `ModelError` for a `generation_config.json` that makes no sense.
    init(_ settings: InferSettings, language: LanguageModel) throws {
        self.settings = settings
        self.language = language
        try language.choose(settings.encoding)
        let defaults = try language.generation()
        reading =
            language.readsTexts ? SourceTargetEncoder(settings.encoding, tokenizer: language.tokenizer) : nil
        let usesTemplate = settings.encoding.useChatTemplate && reading == nil
        ends = language.answerEnds(
            defaults, words: settings.generation.stopWords + defaults.stopStrings, usesTemplate: usesTemplate)
        let sampling = Self.sampling(settings, defaults)
        generator = TokenGenerator(language.model, sampling: sampling, endTokens: ends.tokens)
        newTokens =
            settings.generation.maxNewTokens ?? defaults.maximumNewTokens
            ?? (reading == nil ? nil : SequenceToSequence.answerLimit)
        promptLimit = min(settings.encoding.maxLength ?? .max, language.model.maximumLength - 1)
        var notices = defaults.notices
        if usesTemplate, language.text.fallsBack {
            notices.append(
                "\(language.source.name) has no chat template: conversations are written as ChatML, as in training. "
                    + "Where it was not trained so, --use_chat_template false asks with the bare text.")
        }
        if sampling.temperature == 0 {
            let idle = settings.withoutEffect(
                ["top_k", "top_p"], because: "answers are greedy; --temperature 0.7 draws them")
            if let idle { notices.append(idle) }
        }
        self.notices = notices
    }

    /// The model's way to choose tokens where the settings leave it open.
    ///
    /// As in ms-swift a temperature above 0 draws, whatever `do_sample` says.
    static func sampling(_ settings: InferSettings, _ defaults: GenerationDefaults) -> Sampling {
        var sampling = defaults.sampling
        let samples = settings.generation.temperature.map { $0 > 0 } ?? defaults.samples
        sampling.temperature = samples ? settings.generation.temperature ?? sampling.temperature : 0
        if let topK = settings.generation.topK { sampling.topK = topK > 0 ? topK : nil }
        sampling.topP = settings.generation.topP ?? sampling.topP
        if let penalty = settings.generation.repetitionPenalty { sampling.processors.repetitionPenalty = penalty }
        sampling.seed = UInt64(bitPattern: Int64(settings.model.seed))
        return sampling
    }

    /// The ids that the model continues.
    ///
    /// - Throws: `ModelError` for an empty prompt, and for one that is too long and not to be cut.
    func prompt(_ given: [Message], tools: [JSONValue]? = nil) throws -> [Int32] {
        if let reading { return try reading.source(given).ids }
        var messages = given
        if let system = settings.encoding.system, !system.isEmpty, messages.first?.role != "system" {
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        let prompt = try wholePrompt(messages, tools: tools)
        guard !prompt.isEmpty else { throw ModelError("the prompt is empty; there is nothing to continue") }
        guard prompt.count > promptLimit else { return prompt }
        switch settings.encoding.truncationStrategy {
        case .left: return Array(prompt.suffix(promptLimit))
        case .right: return Array(prompt.prefix(promptLimit))
        case .delete, .split:
            throw ModelError(
                "the prompt has \(prompt.count) tokens, the limit is \(promptLimit). Shorten it, raise --max_length "
                    + "where the model allows more, or cut with --truncation_strategy left.")
        }
    }

    /// The ids of a prompt of any length, for exactly these messages.
    func wholePrompt(_ messages: [Message], tools: [JSONValue]? = nil) throws -> [Int32] {
        guard settings.encoding.useChatTemplate else {
            return language.tokenizer.encode(messages.compactMap(\.text).joined())
        }
        let prompt = try language.encoder.generationPrompt(
            messages, tools: tools, variables: settings.encoding.templateVariables,
            answerStart: settings.generation.responsePrefix.map { _ in "" })
        return prompt + language.tokenizer.encode(settings.generation.responsePrefix ?? "", addSpecialTokens: false)
    }

    /// Answers to some prompts at once.
    ///
    /// - Parameters:
    ///   - draws: Names the random stream of each.
    ///   - onText: Sees the text of an answer as it comes; false ends the answer.
    func answers(
        to prompts: [[Int32]], draws: [UInt64], onText: (_ prompt: Int, _ text: String) -> Bool = { _, _ in true }
    ) throws -> [Answer] {
        var texts = prompts.map { _ in AnswerText(language.tokenizer, ends: ends) }
        let ids = try generator.answers(to: prompts, limit: newTokens, draws: draws) { prompt, token in
            let goesOn = onText(prompt, texts[prompt].append(token))
            return goesOn && !texts[prompt].isStopped
        }
        return texts.indices.map { index in
            _ = onText(index, texts[index].finish())
            return Answer(
                text: texts[index].text,
                filledContext: prompts[index].count + ids[index].count >= language.model.maximumLength)
        }
    }
}

extension LanguageModel {
    /// Whether a text is read whole and answered by another, and not continued.
    var readsTexts: Bool { model.trunk.startToken != nil }

    /// Where answers end by the model's files, by the template that it was or will be trained with, and by some words.
    func answerEnds(
        _ defaults: GenerationDefaults, words: [String] = [], usesTemplate: Bool = true
    ) -> AnswerEnds {
        var ends = AnswerEnds(tokens: defaults.endTokens, words: words, tokenizer: tokenizer)
        if usesTemplate { ends.addSuffix(of: encoder) }
        return ends
    }
}
