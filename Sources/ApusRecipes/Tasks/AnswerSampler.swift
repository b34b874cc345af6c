import ApusDatasets
import ApusGeneration
import ApusLanguageModel
import ApusRewards
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining

/// How a model in training answers, and what its answers say.
struct AnswerSampler {
    /// Whether anything ends an answer before it is as long as it may be.
    let hasEnds: Bool

    private let generator: TokenGenerator
    private let tokenizer: Tokenizer
    private let ends: AnswerEnds
    /// The most tokens of an answer.
    let longest: Int
    private let isMeasured: Bool
    private let console: Console

    /// - Throws: `SettingsError` for a form of answers that cannot be followed.
    init(_ policy: PolicySettings, _ inputs: TrainingInputs, _ model: CausalLanguageModel) throws {
        ends = try inputs.answerEnds(of: model, words: policy.stopWords)
        tokenizer = inputs.text.tokenizer
        do {
            let constraint = try policy.structuredOutputsRegex.map { [tokenizer] in
                let constraint = try TokenConstraint(ByteGrammar(regex: $0), tokenizer: tokenizer)
                // Of an answer without tokens nothing can be learned.
                guard !constraint.tokens(after: constraint.start).isEmpty else {
                    throw SettingsError(
                        "--structured_outputs_regex \"\($0)\": no token of the model begins an answer of this form. Leave it "
                            + "out to let answers be free.")
                }
                return constraint
            }
            generator = TokenGenerator(
                model, sampling: policy.sampling(seed: UInt64(bitPattern: Int64(inputs.settings.model.seed))),
                endTokens: ends.tokens, constraint: constraint)
        } catch let error as GrammarError {
            throw SettingsError("--structured_outputs_regex: \(error).")
        }
        hasEnds = !ends.tokens.isEmpty || ends.watchesText
        longest = policy.completionLimit
        isMeasured = policy.comparesWithSampler
        console = inputs.console
    }

    /// Answers to some questions, of which equal ones are read once; in halves where there is no memory for all.
    ///
    /// - Parameter limits: The most tokens of each answer; nil is the longest that an answer may be.
    func callAsFunction(_ questions: [[Int32]], draws: [UInt64], limits: [Int]? = nil) throws -> [SampledAnswer] {
        let limits = limits ?? questions.map { _ in longest }
        func note(_ error: TorchError, _ count: Int) {
            console.print("out of memory (\(error.message)): \(count) answers are sampled in two halves")
        }
        return try inHalves(questions.indices, onHalving: note) { range in
            try together(Array(questions[range]), Array(draws[range]), Array(limits[range]))
        }
    }

    private func together(_ questions: [[Int32]], _ draws: [UInt64], _ limits: [Int]) throws -> [SampledAnswer] {
        let watchesText = ends.watchesText
        var texts = watchesText ? questions.map { _ in AnswerText(tokenizer, ends: ends) } : []
        var lengths = questions.map { _ in 0 }
        let bar = console.startProgress("Answers", total: limits.max() ?? 0)
        defer { bar.finish() }
        var answers = try generator.sampled(
            questions, limit: limits.max(), draws: draws, isMeasured: isMeasured,
            onToken: { index, token in
                lengths[index] += 1
                bar.update(to: lengths[index])
                if watchesText { texts[index].append(token) }
                return lengths[index] < limits[index] && !(watchesText && texts[index].isStopped)
            })
        if let failure = answers.lazy.compactMap(\.failure).first {
            throw TrainingError(.notFinite, "sampling answers: \(failure)")
        }
        for index in answers.indices where answers[index].end == nil && lengths[index] >= limits[index] {
            answers[index].isCut = !(watchesText && texts[index].isStopped)
        }
        return answers
    }

    /// What an answer says, behind what tokens before it say: all of them are decoded as one text.
    func text(of answer: SampledAnswer, behind earlier: [Int32] = []) -> String {
        var text = AnswerText(tokenizer, ends: ends, behind: earlier)
        for token in answer.tokens { text.append(token) }
        _ = text.finish()
        return text.text
    }

    /// An answer as rewards see it.
    ///
    /// - Parameter start: What the question ended with and the answer begins with, which the model did not draw.
    func completion(
        _ answer: SampledAnswer, to row: PromptRow, behind start: String = ""
    ) -> ApusRewards.Completion {
        ApusRewards.Completion(
            messages: row.conversation.messages.map(\.fields), text: start + text(of: answer), tokens: answer.learned,
            isTruncated: answer.isCut, columns: row.columns)
    }
}

extension TrainingInputs {
    /// Where answers of a model end: by its files, by some words, and by the template that it is trained with.
    func answerEnds(of model: CausalLanguageModel, words: [String] = []) throws -> AnswerEnds {
        let defaults = try GenerationDefaults(
            source, config: config, tokenizer: text.tokenizer, vocabularySize: model.vocabularySize)
        var ends = AnswerEnds(
            tokens: defaults.endTokens, words: words + defaults.stopStrings, tokenizer: text.tokenizer)
        if settings.encoding.useChatTemplate { ends.addSuffix(of: text.encoder) }
        return ends
    }
}
