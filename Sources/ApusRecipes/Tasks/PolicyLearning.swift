import ApusDatasets
import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusRewards
import ApusRunLog
import ApusText
import ApusTraining
import Foundation

extension PreferenceLearning {
    /// Learning from answers that the model gives itself: generate, score, learn.
    func policy(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, console) = (inputs.settings, inputs.console)
        let policy = preferences.policy
        let model = try Models.registry.model(inputs.config)
        guard !model.trunk.hasEncoder else {
            throw SettingsError(
                "--rlhf_type \(preferences.method.rawValue): \(model.architecture) reads a text whole and writes another; "
                    + "models that continue text learn so. Give one of those.")
        }
        try model.setRouterLoss(settings.optimization.routerAuxLossCoef)
        try checkReference(model, inputs)
        let rewards = try rewards(inputs)

        let questions = try Questions(inputs, model, longest: policy.completionLimit)
        try rehearse(rewards, questions)
        let answers = try PolicyAnswers(policy, inputs, model)
        let tellsTokens = preferences.method == .ppo
        let head = try tellsTokens ? ValueHead(width: model.sizes.width, device: settings.hardware.chosen) : nil
        func maker(
            _ rows: PromptRows, _ data: TokenizedDataset, groupSize: Int, batchSize: Int
        ) -> RolloutMaker {
            let maker = RolloutMaker(
                model, questions: (0..<data.count).map { data.sample($0).ids }, rewards: rewards,
                preferences.makerOptions(groupSize: groupSize, batchSize: batchSize),
                sample: answers.sampled
            ) { question, answer in
                try answers.described(answer, to: rows.recognized(at: Int(data.conversations[question])))
            }
            maker.head = head
            return maker
        }
        let (size, accumulation) = (
            settings.optimization.perDeviceTrainBatchSize, settings.optimization.gradientAccumulationSteps
        )
        let seed = UInt64(bitPattern: Int64(settings.model.seed))
        let groupSize = tellsTokens ? 1 : policy.numGenerations
        let training = maker(questions.rows.train, questions.train.0, groupSize: groupSize, batchSize: size)
        let plan = RoundPlan(
            groupSize: groupSize, batchSize: size,
            batches: tellsTokens
                ? accumulation * preferences.proximal.numMiniBatches
                : policy.batchesPerRound(batchSize: size, accumulation: accumulation),
            iterations: tellsTokens ? preferences.proximal.numPPOEpochs : policy.numIterations,
            questions: questions.train.0.count)
        guard plan.roundsPerEpoch > 0 else {
            throw DatasetError(
                "the data have \(plan.questions) questions, and \(plan.questionsPerRound) are asked together "
                    + "(--per_device_train_batch_size × --steps_per_generation / --num_generations). Give more, or ask fewer "
                    + "together.")
        }
        console.print(
            "a round: \(plan.questionsPerRound) questions × \(plan.groupSize) answers of at most "
                + "\(policy.completionLimit) tokens, rewarded by \(rewards.map(\.name).joined(separator: ", "))")
        let order = EpochOrder(
            method: settings.data.trainDataloaderShuffle ? .torch : .sequential,
            seed: UInt64(bitPattern: Int64(settings.data.dataSeed)))
        let source = try RolloutSource(
            training, plan, order: order, seed: seed, accumulation: accumulation, longest: policy.completionLimit)
        let held = questions.validation ?? (TokenizedDataset(), questions.train.1)
        let measuring = maker(
            questions.rows.validation, held.0,
            groupSize: tellsTokens ? 1 : policy.numGenerationsEval ?? policy.numGenerations,
            batchSize: settings.evaluation.perDeviceEvalBatchSize)
        let heldOut = HeldOutRollouts(measuring, seed: seed, longest: policy.completionLimit)
        var options = PolicyObjective.Options()
        options.temperature = policy.temperature
        options.tellsEntropy = policy.logEntropy
        options.entropyShare = policy.topEntropyQuantile
        let objective: any Objective =
            if let head {
                ProximalObjective(model, ProximalLoss(preferences.proximal.options), head, training, source, heldOut)
            } else {
                PolicyObjective(
                    model, policy.loss(preferences.policyForm, beta: preferences.chosenBeta), training, source, heldOut,
                    options)
            }
        let samples = try TrainingSamples(
            rows: questions.rows, isSplit: settings.data.isSplit, train: (source, questions.train.1),
            validation: questions.validation.map { (heldOut, $0.1) }, empty: heldOut,
            row: { questions.train.0.conversations[source.question(of: $0)] },
            bytes: { questions.train.0.withBytes(of: source.question(of: $0), $1) },
            maximumDroppedShare: settings.data.maxDroppedRatio)
        return TrainingTask(
            model: model, samples: samples, objective: objective,
            compares: { loading in
                guard preferences.usesReference else { return nil }
                let reference = try reference(settings, inputs.surroundings, loading, console)
                training.reference = reference
                measuring.reference = reference
                return reference.model
            },
            writes: { folder, steps in
                guard policy.logCompletions else { return }
                let file = try CompletionsFile(in: folder, after: steps)
                let every = max(1, settings.output.loggingSteps)
                source.onRound = { step, report in
                    try file.append(report, step: step + 1)
                    if step % every == 0 { console.print(report.excerpt(step: step + 1)) }
                }
            })
    }

    /// Has the rewards judge two answers of no words, so that what is wrong with them is said before the run.
    private func rehearse(_ rewards: [any RewardFunction], _ questions: Questions) throws {
        let rows = try questions.train.0.conversations.prefix(2).map {
            try questions.rows.train.recognized(at: Int($0))
        }
        let answers = rows.map {
            ApusRewards.Completion(
                messages: $0.conversation.messages.map(\.fields), text: "", tokens: [], columns: $0.columns)
        }
        do {
            for reward in rewards { _ = try reward.rewards(of: answers) }
        } catch let error as RewardError {
            throw SettingsError("--reward_funcs: \(error)")
        }
    }

    /// What rewards answers, functions first.
    private func rewards(_ inputs: TrainingInputs) throws -> [any RewardFunction] {
        let policy = preferences.policy
        var options = preferences.rewards.options(answerLength: policy.completionLimit, inputs.surroundings)
        options.softMaxLength = options.softMaxLength ?? policy.completionLimit
        do {
            let functions = try RewardFunctions.named(preferences.rewards.rewardFuncs, options: options)
            return try functions + preferences.ownRewards
                + policy.rewardModel.map {
                    try RewardModel(
                        $0, adapters: policy.rewardAdapters, device: inputs.settings.hardware.chosen,
                        surroundings: inputs.surroundings)
                }
        } catch let error as RewardError {
            throw SettingsError("--reward_funcs: \(error)")
        }
    }
}

extension PreferenceSettings {
    /// How rounds of answers are made.
    fileprivate func makerOptions(groupSize: Int, batchSize: Int) -> RolloutMaker.Options {
        var options = RolloutMaker.Options()
        options.groupSize = groupSize
        options.batchSize = batchSize
        options.temperature = policy.temperature
        options.weights = rewards.rewardWeights ?? []
        guard method == .grpo else {
            options.proximal = proximal.options
            options.scale = .none
            return options
        }
        options.form = policyForm
        options.estimator = policy.advantageEstimator
        options.scale = policy.chosenScale
        options.divergenceCost = policy.takesDivergenceOffRewards ? chosenBeta : 0
        options.resampling = policy.dynamicSample ? policy.maxResampleTimes : 0
        options.masksCut = policy.overlongFilter
        return options
    }
}

/// The questions of a run.
private struct Questions {
    let rows: LoadedRows<PromptRecognizer>
    let train: (TokenizedDataset, EncodingReport)
    let validation: (TokenizedDataset, EncodingReport)?

    /// - Parameter longest: The most tokens of an answer, which need their room.
    init(_ inputs: TrainingInputs, _ model: CausalLanguageModel, longest: Int) throws {
        let (settings, text) = (inputs.settings, inputs.text)
        let room = model.maximumLength - longest - inputs.promptPlaces
        guard room >= 2 else {
            throw SettingsError(
                "--max_completion_length \(longest) leaves no room for questions: the model was made for "
                    + "\(model.maximumLength) tokens. Give less.")
        }
        let rows = try inputs.rows(as: PromptRecognizer(ConversationRecognizer.Options(settings.data)))
        let truncation = try Truncation(
            maximumLength: min(settings.encoding.maxLength ?? room, room),
            strategy: settings.encoding.truncationStrategy)
        let prompts = PromptEncoder(settings.encoding, text.tokenizer, text.encoder)
        (train, validation) = try inputs.console.encoded(rows) { part, progress in
            let result = try part.questions(
                truncation: truncation, isStrict: settings.data.strict, threads: settings.data.datasetNumProc,
                progress: progress
            ) { try prompts(prompts.completed($0.messages), tools: $0.tools) }
            return (result.dataset, result.report)
        }
        self.rows = rows
        let first = text.tokenizer.decode(train.0.sample(0).ids)
        inputs.console.print("first question:\n\(first)")
    }
}

/// Answers of the model in training, and their texts.
private struct PolicyAnswers {
    private let generator: TokenGenerator
    private let tokenizer: Tokenizer
    private let ends: AnswerEnds
    private let longest: Int
    private let console: Console

    init(_ policy: PolicySettings, _ inputs: TrainingInputs, _ model: CausalLanguageModel) throws {
        let (settings, text) = (inputs.settings, inputs.text)
        let defaults = try GenerationDefaults(
            inputs.source, config: inputs.config, tokenizer: text.tokenizer, vocabularySize: model.vocabularySize)
        var ends = AnswerEnds(
            tokens: defaults.endTokens, words: policy.stopWords + defaults.stopStrings, tokenizer: text.tokenizer)
        if settings.encoding.useChatTemplate { ends.addSuffix(of: text.encoder) }
        do {
            let constraint = try policy.structuredOutputsRegex.map {
                try TokenConstraint(ByteGrammar(regex: $0), tokenizer: text.tokenizer)
            }
            generator = TokenGenerator(
                model, sampling: policy.sampling(seed: UInt64(bitPattern: Int64(settings.model.seed))),
                endTokens: ends.tokens, constraint: constraint)
        } catch let error as GrammarError {
            throw SettingsError("--structured_outputs_regex: \(error).")
        }
        self.ends = ends
        tokenizer = text.tokenizer
        longest = policy.completionLimit
        console = inputs.console
    }

    /// Answers to some questions, of which equal ones are read once.
    func sampled(_ questions: [[Int32]], draws: [UInt64]) throws -> [SampledAnswer] {
        var texts = questions.map { _ in AnswerText(tokenizer, ends: ends) }
        let watchesText = !ends.stops.isEmpty || !ends.sequences.isEmpty
        var lengths = questions.map { _ in 0 }
        let bar = console.startProgress("Answers", total: longest)
        defer { bar.finish() }
        return try generator.sampled(
            questions, limit: longest, draws: draws, isMeasured: true,
            onToken: { index, token in
                lengths[index] += 1
                bar.update(to: lengths[index])
                guard watchesText else { return true }
                texts[index].append(token)
                return !texts[index].isStopped
            })
    }

    /// An answer and its question as texts.
    func described(
        _ answer: SampledAnswer, to row: PromptRow
    ) throws -> (prompt: String, completion: ApusRewards.Completion) {
        var text = AnswerText(tokenizer, ends: ends)
        for token in answer.tokens { text.append(token) }
        _ = text.finish()
        let messages = row.conversation.messages
        return (
            prompt: messages.last?.text ?? "",
            completion: ApusRewards.Completion(
                messages: messages.map(\.fields), text: text.text, tokens: answer.tokens, isTruncated: answer.isCut,
                columns: row.columns)
        )
    }
}
