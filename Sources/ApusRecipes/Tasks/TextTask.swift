import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusTraining
import Foundation

/// What a model of texts is for: the head it has, how rows are read and encoded, what is minimised, measured and answered.
///
/// A task is one file and a word in `TaskType.allCases`; nothing else knows it by name.
protocol TextTask: Sendable {
    /// The word of `--task_type`.
    var word: String { get }
    /// What a model does that is for it: `continues text`.
    var activity: String { get }
    /// How PEFT calls it; nil where PEFT has no name for it.
    var peft: PEFTTask? { get }
    /// The class of `transformers` that reads its models, where it is not that of PEFT's task.
    var automaticClass: String? { get }
    /// Whether its models write text.
    var writesText: Bool { get }
    /// What a GGUF file of its models is for; nil where there is none.
    var gguf: GGUFUse? { get }
    /// Whether a person can talk with its models.
    var converses: Bool { get }
    /// What can be minimised.
    var losses: [LossType] { get }
    /// What is minimised unless told otherwise; nil where nothing can be chosen.
    var standardLoss: LossType? { get }
    /// The options that not every task has a use for and this one has.
    var options: Set<String> { get }
    /// Whether a token is something to predict, so that a step needs room for logits.
    var predictsTokens: Bool { get }
    /// Whether samples depend on the micro-batch they are drawn for.
    var drawsSamples: Bool { get }
    /// Whether what a model's heads say has a part in the answer.
    var usesHeads: Bool { get }
    /// What `--predict_with_generate` measures of answers beside the metrics; empty where it cannot.
    var generatedMetrics: [String] { get }

    /// Whether a model that is given without a task is for this one.
    func isNamed(by files: TaskFiles) throws -> Bool

    /// Whether models of a configuration can be trained for this task and for no other unless asked.
    func isOnlyTask(of config: JSONValue) -> Bool

    /// The head of the model.
    ///
    /// - Parameter labelCount: Scores of a sequence, in tasks with labels; nil takes what the model says.
    func head(labelCount: Int?, config: JSONValue) throws -> ModelTask

    /// The names of what an evaluation reports, without `eval_`.
    ///
    /// - Parameters:
    ///   - problem: nil where the labels have not been seen; then the names of every problem.
    func metrics(loss: LossType?, problem: ProblemType?) -> [String]

    /// Describes the model, reads the data and chooses what is minimised; no weights are needed.
    func training(_ inputs: TrainingInputs) throws -> TrainingTask

    /// The model with its weights, ready to answer.
    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask
}

extension TextTask {
    var automaticClass: String? { nil }
    var writesText: Bool { false }
    var gguf: GGUFUse? { nil }
    var converses: Bool { false }
    var losses: [LossType] { [.crossEntropy] }
    var standardLoss: LossType? { nil }
    var options: Set<String> { [] }
    var predictsTokens: Bool { false }
    var drawsSamples: Bool { false }
    var usesHeads: Bool { true }
    var generatedMetrics: [String] { [] }
    func isNamed(by files: TaskFiles) -> Bool { false }
    func isOnlyTask(of config: JSONValue) -> Bool { false }
}

/// What a model in a GGUF file is for, which decides what the file must say.
enum GGUFUse: Sendable {
    /// It writes text.
    case text
    /// It makes vectors, as an encoder.
    case vectors
    /// It scores texts, as an encoder.
    case scores
}

/// How PEFT and the Hugging Face hub call a task.
struct PEFTTask: Sendable {
    /// `task_type` in `adapter_config.json`.
    let word: String
    /// What classes of PEFT are called by, such as `PeftModelForCausalLM`.
    let suffix: String
    /// The pipeline of a model card.
    let pipeline: String

    static let causalLM = PEFTTask(word: "CAUSAL_LM", suffix: "CausalLM", pipeline: "text-generation")
    static let sequenceToSequence = PEFTTask(
        word: "SEQ_2_SEQ_LM", suffix: "Seq2SeqLM", pipeline: "text2text-generation")
    static let sequenceClassification = PEFTTask(
        word: "SEQ_CLS", suffix: "SequenceClassification", pipeline: "text-classification")
    static let featureExtraction = PEFTTask(
        word: "FEATURE_EXTRACTION", suffix: "FeatureExtraction", pipeline: "feature-extraction")
}

/// What a task brings to a run: the model with its head, what it learns from, and what is minimised.
struct TrainingTask {
    let model: any TextModel
    let samples: TrainingSamples
    let objective: any Objective
    /// How labels are read, in tasks that have them.
    var labels: LabelScheme?
    /// Files that belong to a trained model of the task, by name.
    var companions: [(name: String, data: Data)] = []
    /// Finds what the model is compared with, once it has its weights and before what trains has values.
    ///
    /// Returns a second model, where that is kept beside.
    var compares: ((ReferenceLoading) throws -> (any TextModel)?)?
    /// Begins to write what the task writes into the folder of the run, behind what so many steps have written.
    var writes: ((_ folder: String, _ steps: Int) throws -> Void)?
    /// Tells more of a step that is logged.
    var tells: ((_ step: Int) -> Void)?
}

/// A task's model, loaded.
protocol LoadedTask {
    var model: any TextModel { get }
    /// What a user should know of how its files were read.
    var notices: [String] { get }
    /// What scores mean, in tasks that have labels; `config.json` says it.
    var labels: LabelScheme? { get }
    /// Files that belong to the model, by name.
    var companions: [(name: String, data: Data)] { get }
    /// Weights that the model's files do not have, so that an adapter must bring them.
    var newWeights: [String] { get }

    /// Answers what the settings name: rows, a question, texts, or what is typed.
    func answer(_ request: AnswerRequest) throws
}

extension LoadedTask {
    var notices: [String] { [] }
    var labels: LabelScheme? { nil }
    var companions: [(name: String, data: Data)] { [] }
    var newWeights: [String] { [] }
}

/// What is to be answered, and where a person types.
struct AnswerRequest {
    let settings: InferSettings
    let source: ModelSource
    let surroundings: Surroundings
    let terminal: (any LineInput)?
}
