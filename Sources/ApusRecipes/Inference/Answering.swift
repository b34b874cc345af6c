import ApusDatasets
import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusText
import ApusTorch

/// Prompts and answers of a model that continues text, as the settings want them.
struct Answering {
    /// An answer, or as much of it as there was room or patience for.
    struct Answer {
        let text: String
        /// Whether it ended because the context was full.
        let filledContext: Bool
        /// What else was answered, where several answers are wanted.
        var others: [String] = []
        /// How probable its tokens were, where that is wanted.
        var logProbabilities: [TokenProbability] = []
        /// This answer and the others with their tokens, but for those of a beam search.
        var sequences: [Sequence] = []
        /// Why there is none.
        var failure: ModelError?

        /// The answer, where there is one.
        func checked() throws -> Answer {
            if let failure { throw failure }
            return self
        }
    }

    /// A text with the tokens that it was read off.
    struct Sequence {
        let text: String
        /// Without the one that ends it.
        let tokens: [Int32]
        /// Whether it ended because there was no room for more.
        let isTruncated: Bool
    }

    /// What the settings and the model's files ask for and do not get.
    let notices: [String]
    /// The most tokens of a prompt.
    let promptLimit: Int

    private let settings: InferSettings
    private let language: LanguageModel
    private let prompts: PromptEncoder
    /// Makes ids of what is read, in models that read a text whole; nil in those that continue it.
    private let reading: SourceTargetEncoder?
    private let generator: TokenGenerator
    /// Follows several beginnings at once; nil where one is enough.
    private let beams: BeamSearch?
    private let ends: AnswerEnds
    private let newTokens: Int?
    /// Answers to each prompt.
    private let answerCount: Int

    /// - Throws: `ModelError` for a `generation_config.json` that makes no sense; `SettingsError` for answers that are held to
    ///   what the model cannot write.
    init(_ settings: InferSettings, language: LanguageModel) throws {
        self.settings = settings
        self.language = language
        try language.choose(settings.encoding)
        prompts = PromptEncoder(
            settings.encoding, language.tokenizer, language.encoder, prefix: settings.generation.responsePrefix)
        let defaults = try language.generation()
        reading =
            language.readsTexts ? SourceTargetEncoder(settings.encoding, tokenizer: language.tokenizer) : nil
        let usesTemplate = settings.encoding.useChatTemplate && reading == nil
        ends = language.answerEnds(
            defaults, words: settings.generation.stopWords + defaults.stopStrings, usesTemplate: usesTemplate)
        let sampling = Self.sampling(settings, defaults)
        let wanted = settings.generation
        answerCount = settings.hasData ? wanted.numReturnSequences : 1
        guard sampling.temperature > 0 || wanted.numBeams > 1 || answerCount == 1 else {
            throw SettingsError(
                "--num_return_sequences \(wanted.numReturnSequences): greedy answers are all the same. Add --temperature 1, or "
                    + "--num_beams \(wanted.numReturnSequences).")
        }
        generator = TokenGenerator(
            language.model, sampling: sampling, endTokens: ends.tokens,
            constraint: try wanted.constraint(language.tokenizer))
        beams =
            wanted.numBeams > 1
            ? BeamSearch(
                language.model, sampling: sampling, endTokens: ends.tokens, count: wanted.numBeams,
                lengthPenalty: wanted.lengthPenalty ?? defaults.lengthPenalty,
                stop: wanted.earlyStopping.map(Self.stop) ?? defaults.beamStop,
                reader: ends.watchesText
                    ? AnswerText(language.tokenizer, ends: ends, skipsSpecialTokens: reading != nil) : nil) : nil
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
        if !settings.encoding.useChatTemplate, reading == nil {
            notices.append(
                "without a chat template the last question of a conversation is asked alone; there is no place for a system "
                    + "text, tools and earlier rounds")
        }
        if sampling.temperature == 0 {
            let idle = settings.withoutEffect(
                ["top_k", "top_p", "min_p", "typical_p"],
                because: beams == nil
                    ? "answers are greedy; --temperature 0.7 draws them" : "a beam search draws nothing")
            if let idle { notices.append(idle) }
        }
        if beams == nil,
            let idle = settings.withoutEffect(["length_penalty", "early_stopping"], because: "--num_beams is 1")
        {
            notices.append(idle)
        }
        self.notices = notices
    }

    /// Looks at what the model's files say of answers, and at what answers are held to, before the weights are read.
    ///
    /// - Throws: As `init`.
    static func check(_ settings: InferSettings, _ source: ModelSource, of task: TaskType) throws {
        guard task.task.writesText else { return }
        let config = try source.config()
        let head = try task.task.head(labelCount: nil, config: config)
        let size = try Models.registry.model(config, for: head).vocabularySize
        _ = try GenerationDefaults(
            GenerationDefaults.file(of: source), config: config.objectValue ?? [:], vocabularySize: size)
        guard try settings.generation.grammar() != nil else { return }
        _ = try settings.generation.constraint(TextParts.tokenizer(of: source))
    }

    /// The model's way to choose tokens where the settings leave it open.
    ///
    /// As in ms-swift a temperature above 0 draws, whatever `do_sample` says.
    static func sampling(_ settings: InferSettings, _ defaults: GenerationDefaults) -> Sampling {
        var sampling = defaults.sampling
        let samples =
            settings.generation.temperature.map { $0 > 0 } ?? (defaults.samples && settings.generation.numBeams == 1)
        sampling.temperature = samples ? settings.generation.temperature ?? sampling.temperature : 0
        sampling.minP = settings.generation.minP ?? sampling.minP
        sampling.typicalP = settings.generation.typicalP ?? sampling.typicalP
        if let size = settings.generation.noRepeatNgramSize { sampling.processors.noRepeatSize = size }
        if let topK = settings.generation.topK { sampling.topK = topK > 0 ? topK : nil }
        sampling.topP = settings.generation.topP ?? sampling.topP
        if let penalty = settings.generation.repetitionPenalty { sampling.processors.repetitionPenalty = penalty }
        sampling.seed = UInt64(bitPattern: Int64(settings.model.seed))
        return sampling
    }

    private static func stop(_ word: String) -> BeamSearch.Stop {
        switch word {
        case "true": .whenFull
        case "never": .whenHopeless
        default: .whenWorse
        }
    }

    /// The ids that the model continues.
    ///
    /// - Throws: `ModelError` for an empty prompt, and for one that is too long and not to be cut.
    func prompt(
        _ given: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:]
    ) throws -> [Int32] {
        try fittedPrompt(given, tools: tools, variables: variables).ids
    }

    /// The ids that the model continues, and how many others were cut off.
    ///
    /// - Throws: As `prompt`.
    func fittedPrompt(
        _ given: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:]
    ) throws -> (ids: [Int32], cut: Int) {
        if let reading { return try reading.source(given) }
        let prompt = try prompts(prompts.completed(given), tools: tools, variables: variables)
        guard !prompt.isEmpty else { throw ModelError("the prompt is empty; there is nothing to continue") }
        let cut = prompt.count - promptLimit
        guard cut > 0 else { return (prompt, 0) }
        switch settings.encoding.truncationStrategy {
        case .left: return (Array(prompt.suffix(promptLimit)), cut)
        case .right: return (Array(prompt.prefix(promptLimit)), cut)
        case .delete, .split:
            throw ModelError(
                "the prompt has \(prompt.count) tokens, the limit is \(promptLimit). Shorten it, raise --max_length "
                    + "where the model allows more, or cut with --truncation_strategy left.")
        }
    }

    /// The most tokens of what is shown to the model, however it reads.
    var shownLimit: Int { reading == nil ? promptLimit : settings.encoding.maxLength ?? promptLimit }

    /// The ids of a prompt of any length, for exactly these messages.
    func wholePrompt(_ messages: [Message], tools: [JSONValue]? = nil) throws -> [Int32] {
        try prompts(messages, tools: tools)
    }

    /// Answers to some prompts at once.
    ///
    /// - Parameters:
    ///   - draws: Names the random stream of each.
    ///   - starts: What each prompt ends with and its answer begins with (`start`).
    ///   - onText: Sees the text of an answer as it comes, of several to a prompt the first; false ends the answer.
    /// - Returns: An answer for each, or why there is none.
    func answers(
        to prompts: [[Int32]], draws: [UInt64], starts: [String],
        onText: (_ prompt: Int, _ text: String) throws -> Bool = { _, _ in true }
    ) throws -> [Answer] {
        if let beams { return try zip(prompts, starts).map { try answer(to: $0, behind: $1, by: beams) } }
        let count = answerCount
        let names = draws.flatMap { draw in (0..<count).map { $0 == 0 ? draw : streamKey(draw, UInt64($0)) } }
        let asked = prompts.flatMap { Array(repeating: $0, count: count) }
        var texts = starts.flatMap { Array(repeating: emptyText(behind: $0), count: count) }
        var probabilities = asked.map { _ in [TokenProbability]() }
        let sampled = try generator.sampled(
            asked, limit: newTokens, draws: names,
            onToken: { index, token in
                let text = texts[index].append(token)
                let goesOn = try index % count > 0 || onText(index / count, text)
                return goesOn && !texts[index].isStopped
            },
            onScores: settings.generation.logprobs && settings.hasData
                ? { index, token, scores in
                    probabilities[index].append(
                        try TokenProbability(
                            token, among: scores, naming: settings.generation.topLogprobs, language.tokenizer))
                } : nil)
        let ids = sampled.map(\.tokens)
        for index in texts.indices where sampled[index].failure == nil {
            let text = texts[index].finish()
            if index % count == 0 { _ = try onText(index / count, text) }
        }
        return prompts.indices.map { prompt in
            let first = prompt * count
            let room = language.model.maximumLength - (reading == nil ? prompts[prompt].count : 1)
            return Answer(
                text: texts[first].text,
                filledContext: prompts[prompt].count + ids[first].count >= language.model.maximumLength,
                others: texts[first + 1..<first + count].map(\.text), logProbabilities: probabilities[first],
                sequences: (first..<first + count).map { index in
                    Sequence(
                        text: texts[index].text, tokens: ids[index],
                        isTruncated: !texts[index].isStopped && ids[index].count >= min(newTokens ?? room, room))
                }, failure: sampled[first..<first + count].lazy.compactMap(\.failure).first)
        }
    }

    /// Answers to prompts of rows that say nothing of what their answers begin with.
    func answers(
        to prompts: [[Int32]], draws: [UInt64],
        onText: (_ prompt: Int, _ text: String) throws -> Bool = { _, _ in true }
    ) throws -> [Answer] {
        try answers(to: prompts, draws: draws, starts: prompts.map { _ in start() }, onText: onText)
    }

    /// What the answer to a row begins with, as its prompt has it.
    ///
    /// - Parameter variables: What the row tells the chat template.
    func start(_ variables: [String: JSONValue] = [:]) -> String { reading == nil ? prompts.start(variables) : "" }

    /// An answer before its first token.
    private func emptyText(behind start: String) -> AnswerText {
        AnswerText(language.tokenizer, ends: ends, prefix: start, skipsSpecialTokens: reading != nil)
    }

    /// The best answers of a beam search.
    private func answer(to prompt: [Int32], behind start: String, by beams: BeamSearch) throws -> Answer {
        let found: ArraySlice<BeamSearch.Found>
        do {
            found = try beams.answers(to: prompt, limit: newTokens).prefix(answerCount)
        } catch let error as ModelError {
            return Answer(text: "", filledContext: false, failure: error)
        }
        let texts = found.map { found in
            var text = emptyText(behind: start)
            for token in found.ids where !text.isStopped { text.append(token) }
            _ = text.finish()
            return text.text
        }
        return Answer(
            text: texts.first ?? "",
            filledContext: prompt.count + (found.first?.ids.count ?? 0) >= language.model.maximumLength,
            others: Array(texts.dropFirst()))
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

extension GenerationSettings {
    /// What an answer is held to, in tokens; nil where it is free.
    fileprivate func constraint(_ tokenizer: Tokenizer) throws -> TokenConstraint? {
        do {
            return try grammar().map { try TokenConstraint($0, tokenizer: tokenizer) }
        } catch let error as GrammarError {
            throw SettingsError("--structured_outputs_…: \(error).")
        }
    }
}
