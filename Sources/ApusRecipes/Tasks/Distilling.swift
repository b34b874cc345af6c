import ApusAdapters
import ApusDatasets
import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusRunLog
import ApusText
import ApusTraining

/// Learning what a teacher finds probable behind each token of answers, those of the data or the model's own.
struct Distilling: TextTask {
    private let preferences: PreferenceSettings

    init(_ preferences: PreferenceSettings) { self.preferences = preferences }

    private var base: any TextTask { TaskType.causalLM.task }
    private var settings: DistillationSettings { preferences.distillation }
    private var form: DivergenceForm {
        settings.form(beta: preferences.chosenBeta, temperature: preferences.policy.temperature)
    }

    var word: String { base.word }
    var activity: String { base.activity }
    var peft: PEFTTask? { base.peft }
    var predictsTokens: Bool { base.predictsTokens }
    var options: Set<String> { base.options }

    func head(labelCount: Int?, config: JSONValue) throws -> ModelTask {
        try base.head(labelCount: labelCount, config: config)
    }

    func metrics(loss: LossType?, problem: ProblemType?) -> [String] { Distillation.metricNames(form) }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask { try base.loaded(inputs) }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let console = inputs.console
        if inputs.text.fallsBack, inputs.settings.encoding.useChatTemplate {
            console.print("\(inputs.source.name) has no chat template; ChatML is used")
        }
        let hasDropout = inputs.settings.model.tunerType.options.contains("lora_dropout")
        console.print(
            "note: nothing is dropped\(hasDropout ? " (--lora_dropout and the like)" : "") while a teacher is learned from"
        )
        let model = try Models.registry.model(inputs.config)
        guard !model.trunk.hasEncoder else {
            throw SettingsError(
                "--rlhf_type gkd: \(model.architecture) reads a text whole and writes another; a teacher is learned from by "
                    + "models that continue text. Give one of those.")
        }
        try model.setRouterLoss(inputs.settings.optimization.routerAuxLossCoef)
        try checkTeacher(of: model, inputs)
        let objective = Distillation(model, form)
        let samples = try samples(inputs, model)
        return TrainingTask(
            model: model, samples: samples, objective: objective,
            compares: { loading in
                var asked = preferences
                (asked.refModel, asked.refAdapters) = (settings.teacherModel, settings.teacherAdapters)
                let teacher = try PreferenceLearning(asked).reference(
                    inputs.settings, inputs.surroundings, loading, console, as: "teacher"
                ).reference
                // Attention by groups belongs to the model that trains so.
                if settings.teacherModel != nil { teacher.model?.trunk.attentionGroups = nil }
                objective.teacher = teacher
                return teacher.model
            })
    }

    // MARK: - Data

    private func samples(_ inputs: TrainingInputs, _ model: CausalLanguageModel) throws -> TrainingSamples {
        let (run, console) = (inputs.settings, inputs.console)
        var options = try ConversationRecognizer.Options(run.data)
        options.requiresAnswer = settings.lmbda < 1
        let rows = try inputs.rows(as: ConversationRecognizer(options))
        let truncation = try inputs.truncation(for: model)
        let encoding = ConversationEncoder(run.encoding, text: inputs.text)
        // Evaluations measure the answers of the data.
        var answersItself = settings.lmbda == 1
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            defer { answersItself = false }
            let result = try part.distilled(
                truncation: truncation, answersItself: answersItself, isStrict: run.data.strict,
                threads: run.data.datasetNumProc,
                progress: progress, cache: cache, encode: encoding.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        try checkLearns(data, run)
        let source = DistilledSamples(data)
        if settings.lmbda > 0 {
            source.own = try ownAnswers(inputs, model)
            noteRoom(behind: data.indices.map { data.sample($0).student.answerStart }.max() ?? 0, inputs, model)
        }
        let samples = try TrainingSamples(
            rows: rows, isSplit: run.data.isSplit, train: (source, train.1),
            validation: validation.map { (DistilledSamples($0.0), $0.1) }, empty: DistilledSamples(),
            row: { data.rows[$0] }, bytes: data.withBytes, maximumDroppedShare: run.data.maxDroppedRatio)
        let first = data.sample(0)
        console.preview(first.student, inputs.text.tokenizer)
        if let other = first.teacher {
            console.preview(other, inputs.text.tokenizer, as: "what the teacher reads of it")
        }
        return samples
    }

    /// How the model answers the questions of a step.
    private func ownAnswers(_ inputs: TrainingInputs, _ model: CausalLanguageModel) throws -> OwnAnswers {
        let answers = try AnswerSampler(preferences.policy, inputs, model)
        guard answers.hasEnds else {
            throw SettingsError(
                "--lmbda \(readable(settings.lmbda)): nothing ends an answer of \(inputs.source.name), neither in its "
                    + "files nor in its chat template. Name one as eos_token_id in its generation_config.json, or give --lmbda 0."
            )
        }
        return OwnAnswers(
            share: settings.lmbda, seed: inputs.settings.model.seed, limit: preferences.policy.completionLimit
        ) { try answers($0, draws: $1).map(\.learned) }
    }

    /// Says where the model has no room for the longest answers.
    private func noteRoom(behind longest: Int, _ inputs: TrainingInputs, _ model: CausalLanguageModel) {
        let (limit, room) = (preferences.policy.completionLimit, model.maximumLength - inputs.promptPlaces - longest)
        guard limit > room else { return }
        let flag = preferences.policy.maxNewTokens == nil ? "max_completion_length" : "max_new_tokens"
        inputs.console.print(
            "note: --\(flag) \(limit): the model was made for \(model.maximumLength) tokens, so that answers to the longest "
                + "question have at most \(room)")
    }

    /// Refuses a run in which model and teacher are one and the same.
    private func checkLearns(_ data: DistilledDataset, _ run: SFTSettings) throws {
        guard settings.teacherModel == nil, settings.teacherAdapters.isEmpty, run.model.adapters.isEmpty,
            settings.sftAlpha == 0, !data.hasTeacherWords
        else { return }
        throw SettingsError(
            "--rlhf_type gkd without a teacher: the model would learn to stay as it is. Give --teacher_model or "
                + "--teacher_adapters, rows with a \"teacher_prompt\" that tells the model more, or --sft_alpha.")
    }

    // MARK: - Teacher

    /// Looks at what of the teacher can be wrong before anything is read that takes long.
    private func checkTeacher(of model: CausalLanguageModel, _ inputs: TrainingInputs) throws {
        for adapter in settings.teacherAdapters { _ = try AdapterFiles.weights(in: adapter) }
        guard let name = settings.teacherModel else {
            if settings.teacherModelType != nil {
                throw SettingsError("--teacher_model_type: there is no --teacher_model. Give one, or leave it out.")
            }
            return
        }
        let source = try ModelSource(name, surroundings: inputs.surroundings)
        let config = try source.config()
        if let wanted = settings.teacherModelType, let type = config["model_type"]?.stringValue, wanted != type {
            throw ModelError(
                "--teacher_model_type is \(wanted), but config.json of \(name) says \(type); leave the flag out")
        }
        let teacher = try Models.registry.model(config)
        guard !teacher.trunk.hasEncoder else {
            throw SettingsError(
                "--teacher_model \(name): \(teacher.architecture) reads a text whole and writes another. Give a model that "
                    + "continues text.")
        }
        try inputs.checkTokens(
            of: teacher, source, match: model, flag: "--teacher_model", role: "teacher",
            unequalTables: { "those behind \($0) take no part" })
        try inputs.checkWeights(teacher, name, config, "--teacher_model")
    }
}
