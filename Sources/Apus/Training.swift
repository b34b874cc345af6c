import ApusAdapters
import ApusDatasets
public import ApusNN
import ApusRecipes

/// A method of parameter-efficient training that a program brings along: what hangs on each chosen linear layer.
///
/// Its files are PEFT's two, with the name in capitals as `peft_type`; only a program that has the method reads them.
public struct OwnMethod: Sendable {
    let method: ApusAdapters.OwnMethod

    /// - Parameters:
    ///   - name: Such as `gate`.
    ///   - layers: Ends of the names of the layers to hang on, such as `q_proj`; nil takes all but the head.
    ///   - part: Makes what hangs on a layer; it declares its parameters and says what it computes.
    public init(
        _ name: String, on layers: [String]? = nil, part: @escaping @Sendable (Linear) throws -> LinearAdapter
    ) {
        method = ApusAdapters.OwnMethod(name, on: layers, part: part)
    }
}

/// Fine-tuning, as `apus sft` and `apus rlhf` do it: the same data, files and numbers, without a word printed.
///
/// ```swift
/// var training = Training(model: "Qwen2.5-0.5B-Instruct", data: ["conversations.jsonl"])
/// training.epochs = 3
/// let checkpoint = try training.run { print($0.step, $0.metrics["loss"] ?? 0) }
/// ```
public struct Training: Sendable {
    /// What is trained.
    public enum Method: Sendable {
        /// A low-rank adapter beside frozen weights.
        case lora(rank: Int = 8, alpha: Double = 32)
        /// An adapter of any method, by ms-swift's `--tuner_type`, with its options by the names of their flags (values of
        /// lists with blanks between them), and with those of quantised weights below it (`quant_bits` …).
        case adapter(String, options: [String: String] = [:])
        /// An adapter of a method that the program brings along.
        case own(OwnMethod)
        case allWeights
    }

    /// What the model is to do.
    public enum Task: Sendable {
        case answering
        /// Numbers for texts.
        case regression(outputs: Int = 1)
        /// One of two or more classes, or several where rows have lists of them.
        case classification(classes: Int)
        case embedding
        /// Which of two answers is better, from rows with "rejected_response" or "chosen" and "rejected" (DPO).
        case preferring
        /// What rewards say of answers that the model gives itself to the questions of the rows (GRPO): some of a program's
        /// own, some by ms-swift's names, added up.
        case rewarded(
            by: [any Reward], named: [String] = [], answersPerQuestion: Int = 8, maximumTokens: Int = 128)
    }

    /// A state of the run that is worth telling.
    public struct Progress: Sendable {
        public let step: Int
        public let totalSteps: Int
        /// Values by ms-swift's names, such as `loss`, `grad_norm`, `learning_rate` and `eval_loss`.
        public let metrics: [String: Double]
    }

    public var model: String
    /// Files of rows, each `path[#count]`.
    public var data: [String]
    public var validation: [String] = []
    public var method = Method.lora()
    public var task = Task.answering
    public var epochs = 1.0
    /// Ends the run before its epochs do.
    public var maximumSteps: Int?
    public var batchSize = 1
    public var accumulation = 1
    /// The peak of the schedule; nil is 1e-4 for adapters and 1e-5 for all weights.
    public var learningRate: Double?
    public var outputFolder = "output"
    public var seed = 42
    /// Sees what the command prints beside its progress: notes, rows that were left out and why, the plan.
    public var onNotice: (@Sendable (String) -> Void)?

    public init(model: String, data: [String]) {
        self.model = model
        self.data = data
    }

    /// Trains to the end.
    ///
    /// - Parameter onProgress: Called after each step that is logged, and after each evaluation.
    /// - Returns: The folder of the last checkpoint: an adapter, or a model, that `Model` loads.
    /// - Throws: `CancellationError` where the task that it runs in is cancelled, behind the step at hand and a checkpoint of it.
    public func run(onProgress: @escaping (Progress) -> Void = { _ in }) throws -> String {
        try SilentTraining.run(try settings(), environment: ProcessEnvironment.variables, onNotice: onNotice) {
            onProgress(Progress(step: $0, totalSteps: $1, metrics: $2))
        }
    }

    private func settings() throws -> SFTSettings {
        var settings = SFTSettings(model: model, dataset: data)
        settings.data.valDataset = validation
        settings.optimization.numTrainEpochs = epochs
        if let maximumSteps { settings.optimization.maxSteps = maximumSteps }
        settings.optimization.perDeviceTrainBatchSize = batchSize
        settings.optimization.gradientAccumulationSteps = accumulation
        if let learningRate { settings.optimization.learningRate = learningRate }
        settings.output.outputDirectory = outputFolder
        settings.model.seed = seed
        settings.output.loggingSteps = 1
        switch method {
        case .lora(let rank, let alpha):
            settings.tuner.loraRank = rank
            settings.tuner.loraAlpha = alpha
        case .adapter(let name, let options): try settings.chooseTuner(name, options)
        case .own(let own): settings.tuner.own = own.method
        case .allWeights: settings.model.tunerType = .full
        }
        switch task {
        case .answering: break
        case .regression(let outputs):
            settings.model.taskType = .sequenceClassification
            settings.model.numLabels = outputs
            settings.model.problemType = .regression
            settings.encoding.useChatTemplate = false
        case .classification(let classes):
            guard classes > 1 else {
                throw SettingsError(
                    "classification(classes: \(classes)): wanted two or more; a number is learned by regression.")
            }
            settings.model.taskType = .sequenceClassification
            settings.model.numLabels = classes
            settings.encoding.useChatTemplate = false
        case .embedding: settings.model.taskType = .embedding
        case .preferring: settings.learnPreferences()
        case .rewarded(let rewards, let names, let answers, let tokens):
            settings.learnFromRewards(rewards.map(OwnReward.init), names, groupSize: answers, longest: tokens)
            settings.optimization.perDeviceTrainBatchSize = max(batchSize, answers)
        }
        return settings
    }
}
