/// What becomes of a result file that is there already.
package enum ExistingResult: String, Sendable, CaseIterable {
    /// It is left alone, and nothing is answered.
    case refuse
    /// New results go behind its own.
    case append
    case overwrite
}

/// What `--metric` measures of answers.
package enum AnswerMetric: String, Sendable, CaseIterable {
    /// The share of answers that are the wanted text.
    case acc
    /// The overlap of words, of pairs of words, and of the longest common subsequence, and bleu-4; in percent.
    case rouge
}

/// The settings of `infer`: a chat, an answer to one question, or answers to the rows of a dataset.
package struct InferSettings: Sendable {
    /// Without a name the base that the adapter names.
    package var model: ModelSettings
    /// `valDataset` is answered, or what a training run split off from `dataset`.
    package var data = DataSettings()
    package var encoding = EncodingSettings()
    package var generation = GenerationSettings()
    package var hardware = DeviceSettings()
    package var hub = HubSettings()
    /// What to answer, and nothing else; nil takes the data, or what a person types.
    package var question: String?
    /// `fill-mask`, followed by texts with masks; empty goes by the task.
    package var task: [String] = []
    /// The rows to answer; nil answers all.
    package var valDatasetSample: Int?
    /// What is measured of the answers to rows that bring one.
    package var metric: AnswerMetric?
    /// Whether the base model and each adapter answer side by side.
    package var compare = false
    /// The names of the adapters; empty takes their folders'.
    package var adapterNames: [String] = []
    /// Whether to merge the adapter before answering.
    package var mergeLoRA = false
    /// Whether the scores of a reranker are brought between 0 and 1 by a sigmoid.
    package var rerankerUseActivation = true
    private var givenStream: Bool?
    /// The engine that generates.
    package var inferBackend = InferenceBackend.transformers
    /// Rows answered at once; -1 takes as many as are good for speed.
    package var maxBatchSize = 1
    /// The file for the answers to a dataset; nil makes one beside the checkpoint.
    package var resultPath: String?
    /// What becomes of that file where there is one already.
    package var existingResult = ExistingResult.refuse

    /// Settings for a model, or for adapters whose base they name.
    package init(model: String? = nil, adapters: [String] = []) {
        self.model = ModelSettings(model)
        self.model.adapters = adapters
        self.model.loadArgs = true
    }

    /// Whether to print an answer while it is made; by default where rows are not answered, and beams are not followed.
    package var stream: Bool {
        get { givenStream ?? (!hasData && generation.numBeams == 1) }
        set { givenStream = newValue }
    }

    /// Whether there are rows to answer; without, `infer` is a chat.
    package var hasData: Bool { data.hasValidation }
}

extension InferSettings: CommandSettings {
    package static var command: Command { .infer }

    package init() {
        self.init(model: nil)
    }

    package static let fields: [SettingsField<InferSettings>] =
        fields(of: \.model) + fields(of: \.data) + fields(of: \.encoding) + fields(of: \.generation)
        + fields(of: \.hardware) + fields(of: \.hub) + [
            SettingsField("question", \.question),
            SettingsField("task", \.task),
            SettingsField("val_dataset_sample", \.valDatasetSample),
            SettingsField("metric", \.metric),
            SettingsField("compare", \.compare),
            SettingsField("adapter_names", \.adapterNames),
            SettingsField("merge_lora", \.mergeLoRA),
            SettingsField("reranker_use_activation", \.rerankerUseActivation),
            SettingsField("stream", \.stream),
            SettingsField("infer_backend", \.inferBackend),
            SettingsField("max_batch_size", \.maxBatchSize),
            SettingsField("result_path", \.resultPath),
            SettingsField("existing_result", \.existingResult),
        ]

    package mutating func settle(notices: inout [String]) throws {
        if model.adapters.isEmpty { try SettingChecks.model(model.name, .infer) }
        data.settleSplit(notices: &notices)
        if !data.dataset.isEmpty, !hasData {
            notices.append("--dataset is answered only with --split_dataset_ratio; --val_dataset is answered whole.")
        }
        if question != nil, hasData {
            throw SettingsError(
                "--question and a dataset: give one of them. With the data settings of a checkpoint, add "
                    + "--load_data_args false.")
        }
        if question?.allSatisfy(\.isWhitespace) == true {
            throw SettingsError("--question: is empty. Leave it out to chat.")
        }
        try encoding.check()
        try generation.check()
        if generation.numBeams > 1, givenStream == true {
            throw SettingsError(
                "--stream true and --num_beams \(generation.numBeams): which answer it is, a beam search knows at the end."
            )
        }
        try checkComparison()
        try model.quantization.settle()
        if model.quantization.method != nil, mergeLoRA {
            throw SettingsError(
                "--merge_lora true: the weights are quantised, and the sum would be rounded to few bits again. Answer with "
                    + "the adapter beside them (--merge_lora false), or merge first (apus merge-lora) and give what that "
                    + "writes as --model.")
        }
        if let task = task.first {
            guard task == "fill-mask" else {
                throw SettingsError("--task: got \"\(task)\", wanted fill-mask and texts with masks in them.")
            }
            model.taskType = .maskedLanguageModel
        }
        try SettingChecks.countOrAll(maxBatchSize, "max_batch_size")
        if model.taskType == nil, model.numLabels != nil { model.taskType = .sequenceClassification }
        try hardware.settle()
    }
}

extension InferSettings {
    private func checkComparison() throws {
        if !adapterNames.isEmpty {
            guard adapterNames.count == model.adapters.count, Set(adapterNames).count == adapterNames.count,
                !adapterNames.contains(Self.baseName)
            else {
                throw SettingsError(
                    "--adapter_names: got \(adapterNames.joined(separator: " ")); wanted a name of its own for each of "
                        + "\(model.adapters.count) adapters, none of them \"\(Self.baseName)\".")
            }
        }
        guard compare else { return }
        guard generation.numReturnSequences == 1 else {
            throw SettingsError(
                "--compare true and --num_return_sequences \(generation.numReturnSequences): \"responses\" has one answer of each "
                    + "model. Leave one out.")
        }
        guard !model.adapters.isEmpty else {
            throw SettingsError("--compare true: holds adapters against their base; give --adapters.")
        }
        guard !mergeLoRA else {
            throw SettingsError(
                "--compare true and --merge_lora true: a merged model has no base any more. Leave one out.")
        }
    }

    /// What the model without adapters is called beside them.
    static let baseName = "base"
}
