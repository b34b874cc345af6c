public import ApusDatasets
public import ApusTorch

/// What becomes of a result file that is there already.
public enum ExistingResult: String, Sendable, CaseIterable {
    /// It is left alone, and nothing is answered.
    case refuse
    /// New results go behind its own.
    case append
    case overwrite
}

/// The settings of `infer`: a chat, an answer to one question, or answers to the rows of a dataset.
public struct InferSettings: Sendable {
    // MARK: Model

    /// The folder of the model; nil takes the base that the adapter names.
    public var model: String?
    /// The family the model must be of; nil takes what its `config.json` says.
    public var modelType: String?
    /// The type of the weights; nil takes what `config.json` says.
    public var torchDType: DType?
    /// What the model is for.
    public var taskType: TaskType?
    /// Classes, or numbers predicted at once; nil takes what the model says.
    public var numLabels: Int?
    /// What was learned from a label; nil takes what the model says.
    public var problemType: ProblemType?
    /// `fill-mask`, followed by texts with masks; empty goes by `taskType`.
    public var task: [String] = []
    /// What trains.
    public var tunerType = TunerType.lora
    /// Folders of adapters.
    public var adapters: [String] = []
    /// Whether to merge the adapter before answering.
    public var mergeLoRA = false
    /// Whether to take settings from the `args.json` of the checkpoint.
    public var loadArgs = true
    /// Whether to take the data settings of that file too.
    public var loadDataArgs = false
    /// Whether the scores of a reranker are brought between 0 and 1 by a sigmoid.
    public var rerankerUseActivation = true
    /// The seed of sampling.
    public var seed = 42

    // MARK: Data

    /// What to answer, and nothing else; nil takes the data, or what a person types.
    public var question: String?
    /// Data to answer the split-off part of.
    public var dataset: [String] = []
    /// Data to answer.
    public var valDataset: [String] = []
    /// The share of `dataset` to answer when there is no `valDataset`.
    public var splitDatasetRatio = 0.0
    /// The rows to answer; nil answers all.
    public var valDatasetSample: Int?
    /// New names of columns, by their old names.
    public var columns: [String: String] = [:]
    /// Whether to stop at the first row that cannot be answered.
    public var strict = false
    /// The seed of the order of the data.
    public var dataSeed = 42
    /// Whether to shuffle the training data once.
    public var datasetShuffle = true
    /// Whether to shuffle the validation data once.
    public var valDatasetShuffle = false
    /// Threads that prepare the data.
    public var datasetNumProc = 1
    /// The name that self-cognition data gives the model, in Chinese and in English.
    public var modelName: [String]?
    /// The name that self-cognition data gives its author, in Chinese and in English.
    public var modelAuthor: [String]?

    // MARK: Template

    /// The system prompt of rows that bring none; nil takes the template's.
    public var system: String?
    /// The most tokens of one prompt; nil takes the model's limit.
    public var maxLength: Int?
    /// What happens to a longer sample.
    public var truncationStrategy = TruncationStrategy.delete
    /// Whether to use the chat template, or the bare text.
    public var useChatTemplate = true
    /// How a decoder sees two texts: `{text1}` and `{text2}` stand for them.
    public var pairFormat = PairFormat.standard
    /// A text that every answer starts with.
    public var responsePrefix: String?
    /// Whether a model that can think does; nil takes the template's default.
    public var enableThinking: Bool?

    // MARK: Generation

    /// The most tokens of one answer; nil goes on until the context is full.
    public var maxNewTokens: Int?
    /// 0 always takes the likeliest token.
    ///
    /// Nil, here and below, takes the value of `generation_config.json`.
    public var temperature: Double?
    /// Draw among this many likeliest tokens; -1 draws among all.
    public var topK: Int?
    /// Draw among the likeliest tokens that together have this probability.
    public var topP: Double?
    /// Above 1 makes tokens that were used less likely.
    public var repetitionPenalty: Double?
    /// Texts that end an answer.
    public var stopWords: [String] = []
    private var givenStream: Bool?

    // MARK: Run

    /// The engine that generates.
    public var inferBackend = InferenceBackend.transformers
    /// Rows answered at once; -1 takes as many as are good for speed.
    public var maxBatchSize = 1
    /// The file for the answers to a dataset; nil makes one beside the checkpoint.
    public var resultPath: String?
    /// What becomes of that file where there is one already.
    public var existingResult = ExistingResult.refuse
    /// The device; nil takes the fastest there is.
    public var device: Device?
    /// The same as `device` being `cpu`.
    public var useCPU = false

    /// Settings for a model, or for adapters whose base they name.
    public init(model: String? = nil, adapters: [String] = []) {
        self.model = model
        self.adapters = adapters
    }

    /// Whether to print an answer while it is made; by default where rows are not answered.
    public var stream: Bool {
        get { givenStream ?? !hasData }
        set { givenStream = newValue }
    }

    /// Whether there are rows to answer; without, `infer` is a chat.
    public var hasData: Bool {
        !valDataset.isEmpty || (!dataset.isEmpty && splitDatasetRatio > 0)
    }
}

extension InferSettings: CommandSettings {
    package static var command: Command { .infer }

    package init() {
        self.init(model: nil)
    }

    package static let fields: [SettingsField<InferSettings>] = [
        SettingsField("model", \.model),
        SettingsField("model_type", \.modelType),
        SettingsField("torch_dtype", \.torchDType),
        SettingsField("task_type", \.taskType),
        SettingsField("num_labels", \.numLabels),
        SettingsField("task", \.task),
        SettingsField("problem_type", \.problemType),
        SettingsField("tuner_type", \.tunerType),
        SettingsField("adapters", \.adapters),
        SettingsField("merge_lora", \.mergeLoRA),
        SettingsField("load_args", \.loadArgs),
        SettingsField("load_data_args", \.loadDataArgs),
        SettingsField("seed", \.seed),
        SettingsField("question", \.question),
        SettingsField("dataset", \.dataset),
        SettingsField("val_dataset", \.valDataset),
        SettingsField("split_dataset_ratio", \.splitDatasetRatio),
        SettingsField("val_dataset_sample", \.valDatasetSample),
        SettingsField("columns", \.columns),
        SettingsField("strict", \.strict),
        SettingsField("data_seed", \.dataSeed),
        SettingsField("dataset_shuffle", \.datasetShuffle),
        SettingsField("val_dataset_shuffle", \.valDatasetShuffle),
        SettingsField("dataset_num_proc", \.datasetNumProc),
        SettingsField("model_name", \.modelName),
        SettingsField("model_author", \.modelAuthor),
        SettingsField("system", \.system),
        SettingsField("max_length", \.maxLength),
        SettingsField("truncation_strategy", \.truncationStrategy),
        SettingsField("use_chat_template", \.useChatTemplate),
        SettingsField("pair_format", \.pairFormat),
        SettingsField("response_prefix", \.responsePrefix),
        SettingsField("enable_thinking", \.enableThinking),
        SettingsField("max_new_tokens", \.maxNewTokens),
        SettingsField("temperature", \.temperature),
        SettingsField("top_k", \.topK),
        SettingsField("top_p", \.topP),
        SettingsField("repetition_penalty", \.repetitionPenalty),
        SettingsField("stop_words", \.stopWords),
        SettingsField("stream", \.stream),
        SettingsField("infer_backend", \.inferBackend),
        SettingsField("max_batch_size", \.maxBatchSize),
        SettingsField("reranker_use_activation", \.rerankerUseActivation),
        SettingsField("result_path", \.resultPath),
        SettingsField("existing_result", \.existingResult),
        SettingsField("device", \.device),
        SettingsField("use_cpu", \.useCPU),
    ]

    package mutating func settle(notices: inout [String]) throws {
        if adapters.isEmpty { try SettingChecks.model(model, .infer) }
        if splitDatasetRatio > 0, !valDataset.isEmpty {
            splitDatasetRatio = 0
            notices.append("--split_dataset_ratio is 0, because --val_dataset is given.")
        }
        if !dataset.isEmpty, !hasData {
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
        try PairFormat.check(pairFormat)
        if let task = task.first {
            guard task == "fill-mask" else {
                throw SettingsError("--task: got \"\(task)\", wanted fill-mask and texts with masks in them.")
            }
            taskType = .maskedLanguageModel
        }
        try SettingChecks.countOrAll(maxBatchSize, "max_batch_size")
        if taskType == nil, numLabels != nil { taskType = .sequenceClassification }
        device = try SettingChecks.device(device, useCPU: useCPU)
    }
}
