/// The type of weights.
public enum WeightType: String, Sendable, CaseIterable {
    case bfloat16
    case float16
    case float32
}

/// The kind of device to compute on.
public enum DeviceKind: String, Sendable, CaseIterable {
    case cpu
    case cuda
    case mps
}

/// A family of models.
public enum ModelFamily: String, Sendable, CaseIterable {
    case bert
    case llama
    case mistral
    case qwen2
    case qwen3
    case roberta
}

/// What a model is for.
public enum TaskType: String, Sendable, CaseIterable {
    /// Continuing text.
    case causalLM = "causal_lm"
    /// Classes or numbers of whole texts.
    case sequenceClassification = "seq_cls"
    /// Tokens behind masks.
    case maskedLanguageModel = "mlm"
    /// Vectors of texts.
    case embedding
    /// Scores of documents for a question.
    case reranker
}

/// What is minimised, where a task leaves a choice.
public enum LossType: String, Sendable, CaseIterable {
    /// The only loss of tasks that predict tokens or classes.
    case crossEntropy = "cross_entropy"
    /// The squared error of a pair's cosine against its label.
    case cosineSimilarity = "cosine_similarity"
    /// Near pairs drawn together, far ones pushed beyond a margin.
    case contrastive
    /// A text's positive among all positives and negatives of the batch.
    case infoNCE = "infonce"
    /// Each document by itself: does it answer?
    case pointwiseReranker = "pointwise_reranker"
    /// The documents of a question against each other.
    case listwiseReranker = "listwise_reranker"

    /// What a task minimises unless told otherwise; nil where nothing can be chosen.
    static func standard(for task: TaskType) -> LossType? {
        switch task {
        case .embedding: .cosineSimilarity
        case .reranker: .pointwiseReranker
        default: nil
        }
    }

    func fits(_ task: TaskType) -> Bool {
        switch self {
        case .crossEntropy: task != .embedding && task != .reranker
        case .cosineSimilarity, .contrastive, .infoNCE: task == .embedding
        case .pointwiseReranker, .listwiseReranker: task == .reranker
        }
    }
}

/// What is learned from a label.
public enum LabelProblem: String, Sendable, CaseIterable {
    /// One or more numbers, by their squared error.
    case regression
    /// One of several classes, by cross entropy.
    case singleLabel = "single_label_classification"
    /// Any of several classes, by binary cross entropy.
    case multiLabel = "multi_label_classification"
}

/// What the numbers of a label of several classes are.
public enum MultiLabelNumbers: String, Sendable, CaseIterable {
    /// The classes that a row has.
    case ids
    /// 1 or 0 for each class.
    case multiHot = "multi_hot"
}

/// What happens to a sample longer than the limit.
public enum TruncationStrategy: String, Sendable, CaseIterable {
    case delete
    case left
    case right
}

/// Which tokens train.
public enum LossScale: String, Sendable, CaseIterable {
    /// Every answer of the assistant.
    case `default`
    /// What follows the last turn of the user.
    case lastRound = "last_round"
    /// Every token.
    case all
}

/// How an adapter starts.
public enum AdapterInitialization: String, Sendable, CaseIterable {
    /// A from Kaiming's uniform distribution and B zero, so that training starts at the base model.
    case kaiming = "true"
    /// Both random, for tests.
    case random = "false"
    /// A from a normal distribution and B zero.
    case gaussian
    /// The largest singular values of the base weights, which keep the rest.
    case pissa
    case pissaAfterFourIterations = "pissa_niter_4"
    case pissaAfterSixteenIterations = "pissa_niter_16"
    /// The first columns and rows of the QR decomposition of the base weights, which keep the rest.
    case olora
}

/// An optimizer.
public enum OptimizerName: String, Sendable, CaseIterable {
    case adamW = "adamw_torch"
    case fusedAdamW = "adamw_torch_fused"
    case sgd
}

/// The course of the learning rate.
public enum ScheduleName: String, Sendable, CaseIterable {
    case linear
    case cosine
    case constant
    case constantWithWarmup = "constant_with_warmup"
}

/// When something happens that recurs.
public enum IntervalStrategy: String, Sendable, CaseIterable {
    case no
    case steps
    case epoch
}

/// Where the log also goes.
public enum ReportTarget: String, Sendable, CaseIterable {
    case tensorBoard = "tensorboard"
    case none
}

/// What a run does at a gradient that is not a number.
public enum NaNPolicy: String, Sendable, CaseIterable {
    case stop
    case skip
}

/// The engine that generates.
public enum InferenceBackend: String, Sendable, CaseIterable {
    /// Apus' own, under the name of ms-swift's default.
    case transformers
}

extension WeightType: OptionChoice {}
extension DeviceKind: OptionChoice {}
extension ModelFamily: OptionChoice {}
extension TaskType: OptionChoice {}
extension LossType: OptionChoice {}
extension TruncationStrategy: OptionChoice {}
extension ExistingResult: OptionChoice {}
extension LossScale: OptionChoice {}
extension AdapterInitialization: OptionChoice {}
extension OptimizerName: OptionChoice {}
extension ScheduleName: OptionChoice {}
extension IntervalStrategy: OptionChoice {}
extension ReportTarget: OptionChoice {}
extension LabelProblem: OptionChoice {}
extension MultiLabelNumbers: OptionChoice {}
extension NaNPolicy: OptionChoice {}
extension InferenceBackend: OptionChoice {}
