package import ApusNN
package import ApusTorch

/// What a run, a checkpoint and an adapter need of a model, whatever it predicts.
package protocol TextModel: Module {
    /// The name of the class in `transformers`, such as `Qwen2ForCausalLM`.
    var architecture: String { get }
    var sizes: TransformerSizes { get }
    /// The longest text the model was made for.
    var maximumLength: Int { get }
    /// The table of word vectors; its device and type are the model's.
    var embedding: Embedding { get }
    /// The name on disk of the part that all tasks share, such as `model` or `bert`.
    var trunkName: String { get }
    /// Paths of the modules between the trunk and the answer: adapters leave them out of `all-linear`.
    var headNames: [String] { get }
    /// Paths of the modules that a run with an adapter trains whole, PEFT's `modules_to_save`.
    var modulesToSave: [String] { get }

    /// The last hidden states of a flat batch, [T, D].
    func hiddenStates(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor

    /// What the layers share in a pass over a batch.
    func context(for batch: TokenBatch, _ options: PassOptions) throws -> ForwardContext
}

extension TextModel {
    package var vocabularySize: Int { sizes.vocabulary }
    package var device: Device { embedding.weight.device }
    package var dtype: DType { embedding.weight.dtype }
}

/// How a pass over a batch is made.
package struct PassOptions {
    package var cache: KVCache?
    package var isTraining = false
    package var usesAdapters = true
    package var checkpointsLayers = false
    package var randomKey: UInt64 = 0

    package init(
        cache: KVCache? = nil, isTraining: Bool = false, usesAdapters: Bool = true, checkpointsLayers: Bool = false,
        randomKey: UInt64 = 0
    ) {
        self.cache = cache
        self.isTraining = isTraining
        self.usesAdapters = usesAdapters
        self.checkpointsLayers = checkpointsLayers
        self.randomKey = randomKey
    }
}

extension TextModel {
    /// What the layers share in a pass over this batch.
    package func context(
        for batch: TokenBatch, cache: KVCache? = nil, isTraining: Bool = false, usesAdapters: Bool = true,
        checkpointsLayers: Bool = false, randomKey: UInt64 = 0
    ) throws -> ForwardContext {
        try context(
            for: batch,
            PassOptions(
                cache: cache, isTraining: isTraining, usesAdapters: usesAdapters,
                checkpointsLayers: checkpointsLayers, randomKey: randomKey))
    }
}

/// A model that gives each sequence one or several scores: logits of classes, or numbers.
package protocol SequenceClassifier: TextModel {
    /// Scores of a sequence, L.
    var labelCount: Int { get }

    /// [S, L] in float32.
    func scores(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor
}

/// A model that fills in masked tokens.
package protocol MaskedLanguageModel: TextModel {
    /// What the vocabulary's table is multiplied with, for some rows of hidden states: [N, D] → [N, D].
    func transformed(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor
    /// The weight of the head, [V, D].
    var headWeight: Tensor { get }
    /// The bias of the head, [V].
    var headBias: Tensor { get }
}

/// What a model is to be used for; the same trunk takes one head or another.
package enum ModelTask: Sendable, Equatable {
    case causalLanguageModel
    case sequenceClassification(labels: Int)
    case maskedLanguageModel
    /// No head: hidden states, as sentence encoders have them.
    case hiddenStates
}
