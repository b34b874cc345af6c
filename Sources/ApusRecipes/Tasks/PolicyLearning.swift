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
        try BestMetric.check(
            settings.evaluation.metricForBestModel, ofRewards: preferences.rewards.rewardFuncs,
            loggedAs: rewards.map(\.name))

        let scheduler = try scheduler(inputs)
        // What would end the run at some later step is left out before it.
        let questions = try Questions(inputs, model, longest: policy.completionLimit) { columns in
            let fault = rewards.lazy.compactMap { $0.fault(of: columns) }.first ?? scheduler?.fault(of: columns)
            return fault.map { ($0.reason, $0.detail) }
        }
        let answers = try AnswerSampler(policy, inputs, model)
        let turns = scheduler.map {
            TurnTaking(
                scheduler: $0, longest: policy.maxTurns, limitsTotal: policy.completionLengthLimitScope == .total,
                room: model.maximumLength - inputs.promptPlaces, sampler: answers, tokenizer: inputs.text.tokenizer,
                prompts: questions.prompts)
        }
        try rehearse(rewards, scheduler, questions)
        if let note = try questions.noteOnSolutions(preferences.rewards.rewardFuncs) { console.print(note) }
        if !answers.hasEnds {
            console.print(
                "note: nothing ends an answer of \(inputs.source.name) before it has \(policy.completionLimit) tokens, neither its "
                    + "files nor its chat template; --stop_words gives a text that does")
        }
        let tellsTokens = preferences.method == .ppo
        let head = try tellsTokens ? ValueHead(width: model.sizes.width, device: settings.hardware.chosen) : nil
        func maker(
            _ rows: PromptRows, _ data: TokenizedDataset, groupSize: Int, batchSize: Int
        ) -> RolloutMaker {
            let maker = RolloutMaker(
                model, questions: (0..<data.count).map { data.sample($0).ids }, rewards: rewards,
                preferences.makerOptions(groupSize: groupSize, batchSize: batchSize)
            ) { numbers, draws in
                let asked = try numbers.map {
                    (row: try rows.recognized(at: Int(data.conversations[$0])), ids: data.sample($0).ids)
                }
                if let turns { return try turns.episodes(asked, draws: draws) }
                return try zip(answers(asked.map(\.ids), draws: draws), asked).map { answer, asked in
                    let start = questions.prompts.start(asked.row.conversation.variables)
                    return Episode(answer, answers.completion(answer, to: asked.row, behind: start))
                }
            }
            maker.head = head
            maker.note = console.print
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
                    + (tellsTokens
                        ? "(--per_device_train_batch_size × --gradient_accumulation_steps × --num_mini_batches)"
                        : "(--per_device_train_batch_size × --steps_per_generation / --num_generations)")
                    + ". Give more, or ask fewer together.")
        }
        try Self.checkCount(plan, "--num_iterations or --num_ppo_epochs")
        let left = plan.questionsLeft
        console.print(
            "a round: \(plan.questionsPerRound) questions × \(plan.groupSize) answers of at most "
                + "\(policy.completionLimit) tokens, rewarded by \(rewards.map(\.name).joined(separator: ", "))"
                + (left > 0 ? "; \(left) of \(plan.questions) questions are left over in each epoch" : ""))
        let longest = policy.longestEpisode(room: model.maximumLength - inputs.promptPlaces)
        let order = EpochOrder(
            method: settings.data.trainDataloaderShuffle ? .torch : .sequential,
            seed: UInt64(bitPattern: Int64(settings.data.dataSeed)))
        let source = try RolloutSource(
            training, plan, order: order, seed: seed, accumulation: accumulation, longest: longest)
        let held = questions.validation ?? (TokenizedDataset(), questions.train.1)
        let measuring = maker(
            questions.rows.validation, held.0,
            groupSize: tellsTokens ? 1 : policy.evaluationGroup,
            batchSize: settings.evaluation.perDeviceEvalBatchSize)
        let heldOut = HeldOutRollouts(measuring, seed: seed, longest: longest)
        guard heldOut.count <= Int(Int32.max) else { throw Self.tooMany("--num_generations_eval") }
        let grouped = PolicyObjective(
            model, preferences.policyLoss, training, source, heldOut, preferences.policyOptions)
        let lessons = tellsTokens ? nil : try preferences.experts.lessons(accumulation: accumulation)
        let experts = try lessons.map { _ in try ExpertRows(preferences.experts, inputs, model) }
        if let lessons, let experts {
            grouped.experts = ExpertAnswers(
                experts.data, rowsOfStep: lessons.rowsOfStep,
                seed: UInt64(bitPattern: Int64(settings.data.dataSeed)), lessons.schedule,
                weighsDoubt: preferences.experts.chordEnablePhiFunction)
        }
        let objective: any Objective =
            if let head {
                ProximalObjective(model, ProximalLoss(preferences.proximal.options), head, training, source, heldOut)
            } else {
                grouped
            }
        let samples = try TrainingSamples(
            rows: questions.rows, isSplit: settings.data.isSplit, train: (source, questions.train.1),
            validation: questions.validation.map { (heldOut, $0.1) }, empty: heldOut,
            row: { questions.train.0.conversations[source.question(of: $0)] },
            bytes: { question, digest in
                if let experts, question >= questions.train.0.count {
                    experts.data.withBytes(of: question - questions.train.0.count, digest)
                    return
                }
                questions.train.0.withBytes(of: question, digest)
                // Rewards look at the columns.
                let columns = JSONValue.object(try questions.row(question).columns).serialized()
                columns.utf8CString.withUnsafeBytes(digest)
            }, digested: questions.train.0.count + (experts?.data.count ?? 0),
            beside: experts.map {
                ($0.dropped, $0.longest(preferences.experts.chordSFTPerDeviceTrainBatchSize ?? 0))
            } ?? ([], 0),
            maximumDroppedShare: settings.data.maxDroppedRatio)
        var last: RolloutMaker.Report?
        return TrainingTask(
            model: model, samples: samples, objective: objective,
            compares: { loading in
                guard preferences.usesReference else { return nil }
                let (reference, moving) = try compared(inputs, loading)
                grouped.moving = moving
                training.reference = reference
                measuring.reference = reference
                return reference.model
            },
            writes: { folder, steps in
                guard policy.logCompletions else { return }
                let file = try CompletionsFile(in: folder, after: steps, console) { inputs.text.tokenizer.decode($0) }
                source.onRound = { step, report in
                    file.append(report, step: step + 1)
                    last = report
                }
            },
            tells: { step in
                if let last { console.print(last.table(step: step, width: console.columns)) }
            })
    }

    /// Refuses more uses of answers in an epoch than have numbers.
    private static func checkCount(_ plan: RoundPlan, _ name: String) throws {
        let (uses, overflows) = (plan.roundsPerEpoch * plan.size).multipliedReportingOverflow(by: plan.iterations)
        guard !overflows, uses <= Int(Int32.max) else { throw tooMany(name) }
    }

    private static func tooMany(_ name: String) -> SettingsError {
        SettingsError(
            "\(name): all uses of answers to the questions of the data are more than \(Int32.max). Give less, or fewer "
                + "questions.")
    }

    /// Who says what follows answers; nil where each stands alone.
    private func scheduler(_ inputs: TrainingInputs) throws -> (any TurnScheduler)? {
        let policy = preferences.policy
        guard preferences.method == .grpo, let name = policy.multiTurnScheduler else { return nil }
        do {
            return try TurnSchedulers.named(
                name, options: preferences.rewards.options(answerLength: policy.completionLimit, inputs.surroundings))
        } catch let error as RewardError {
            throw SettingsError("--multi_turn_scheduler: \(error)")
        }
    }

    /// Has two answers of no words judged and answered, so that what is wrong is said before the run.
    private func rehearse(
        _ rewards: [any RewardFunction], _ scheduler: (any TurnScheduler)?, _ questions: Questions
    ) throws {
        let rows = try (0..<min(2, questions.train.0.count)).map(questions.row)
        let answers = rows.map {
            ApusRewards.Completion(
                messages: $0.conversation.messages.map(\.fields), text: "", tokens: [], columns: $0.columns)
        }
        do {
            for reward in rewards { _ = try reward.rewards(of: answers) }
        } catch let error as RewardError {
            throw SettingsError("--reward_funcs: \(error)")
        }
        do {
            _ = try scheduler?.turns(after: answers, turn: 1)
        } catch let error as RewardError {
            throw SettingsError("--multi_turn_scheduler: \(error)")
        }
    }

    /// What rewards answers, functions first.
    private func rewards(_ inputs: TrainingInputs) throws -> [any RewardFunction] {
        let policy = preferences.policy
        var options = preferences.rewards.options(answerLength: policy.completionLimit, inputs.surroundings)
        options.softMaxLength = options.softMaxLength ?? policy.completionLimit
        do {
            let functions = try RewardFunctions.named(preferences.rewards.rewardFuncs, options: options)
            let models = try policy.rewardModel.map {
                try RewardModel(
                    $0, adapters: policy.rewardAdapters, device: inputs.settings.hardware.chosen,
                    surroundings: inputs.surroundings)
            }
            return RewardFunctions.distinctlyNamed(functions + preferences.ownRewards + models)
        } catch let error as RewardError {
            throw SettingsError("--reward_funcs: \(error)")
        }
    }
}

extension PreferenceSettings {
    /// What is minimised of them.
    var policyLoss: PolicyLoss { policy.loss(policyForm, beta: chosenBeta) }

    /// What is told of that.
    var policyOptions: PolicyObjective.Options {
        var options = PolicyObjective.Options()
        options.tellsGap = policy.tellsSamplerGap
        options.tellsEntropy = policy.logEntropy
        options.entropyShare = policy.topEntropyQuantile
        return options
    }

    /// How rounds of answers are made.
    func makerOptions(groupSize: Int, batchSize: Int) -> RolloutMaker.Options {
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
        options.tellsTurns = policy.multiTurnScheduler != nil
        return options
    }
}

/// The questions of a run.
private struct Questions {
    let rows: LoadedRows<PromptRecognizer>
    let prompts: PromptEncoder
    let train: (TokenizedDataset, EncodingReport)
    let validation: (TokenizedDataset, EncodingReport)?

    /// The row of a question that is learned from.
    func row(_ question: Int) throws -> PromptRow {
        try rows.train.recognized(at: Int(train.0.conversations[question]))
    }

    /// What is to be known of the right answers before a run.
    func noteOnSolutions(_ rewards: [String]) throws -> String? {
        try SolutionScan.note(
            of: rewards, count: train.0.count, solution: { try row($0).columns["solution"] },
            place: { rows.train.place(of: Int(train.0.conversations[$0])) })
    }

    /// - Parameters:
    ///   - longest: The most tokens of an answer, which need their room.
    ///   - fault: Why a question with some other columns cannot be asked; nil where it can.
    init(
        _ inputs: TrainingInputs, _ model: CausalLanguageModel, longest: Int,
        fault: @escaping @Sendable (JSONObject) -> (reason: String, detail: String)?
    ) throws {
        let (settings, text) = (inputs.settings, inputs.text)
        let room = model.maximumLength - longest - inputs.promptPlaces
        guard room >= 2 else {
            throw SettingsError(
                "--max_completion_length \(longest) leaves no room for questions: the model was made for "
                    + "\(model.maximumLength) tokens. Give less.")
        }
        let rows = try inputs.rows(as: PromptRecognizer(ConversationRecognizer.Options(settings.data), fault: fault))
        let truncation = try Truncation(
            maximumLength: min(settings.encoding.maxLength ?? room, room),
            strategy: settings.encoding.truncationStrategy)
        prompts = PromptEncoder(settings.encoding, text.tokenizer, text.encoder)
        let cache = inputs.sampleCache()
        (train, validation) = try inputs.console.encoded(rows) { [prompts] part, progress in
            let result = try part.questions(
                truncation: truncation, isStrict: settings.data.strict, threads: settings.data.datasetNumProc,
                progress: progress, cache: cache
            ) { try prompts(prompts.completed($0.messages), tools: $0.tools, variables: $0.variables) }
            return (result.dataset, result.report)
        }
        self.rows = rows
        let first = text.tokenizer.decode(train.0.sample(0).ids)
        inputs.console.print("first question:\n\(first)")
    }
}
