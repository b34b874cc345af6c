public import ApusNN
package import ApusTorch

/// A trunk with what answers on it: what a run, a checkpoint and an adapter need of a model, whatever it predicts.
package protocol TextModel: Module {
    /// The name of the class in `transformers`, such as `Qwen2ForCausalLM`.
    var architecture: String { get }
    var trunk: Trunk { get }
    /// Whether its head predicts tokens of a text that goes on, so that none of it belongs to a task alone.
    var continuesText: Bool { get }
    /// Paths of the modules between the trunk and the answer: adapters leave them out of `all-linear`.
    var headNames: [String] { get }
    /// Paths of the modules that a run with an adapter trains whole, PEFT's `modules_to_save`.
    var modulesToSave: [String] { get }
}

extension TextModel {
    package var modulesToSave: [String] { [] }
    package var continuesText: Bool { false }

    package var sizes: TransformerSizes { trunk.sizes }
    /// The longest text, beside what lies in front of it.
    package var maximumLength: Int { max(1, trunk.maximumLength - promptPlaces) }

    /// What the prompts on it take of each sequence.
    package var promptPlaces: Int { trunk.prompts.reduce(0) { $0 + $1.count } }
    package var embedding: Embedding { trunk.embedding }

    /// Whether what a state remembers of a sequence no longer holds when it grows to this many tokens.
    package func mustReadAnew(at length: Int) -> Bool {
        trunk.rotary.contains { $0.turnsAnew(at: length + promptPlaces) }
    }

    package var vocabularySize: Int { sizes.vocabulary }
    package var device: Device { embedding.weight.device }
    package var dtype: DType { embedding.weight.dtype }

    /// The last hidden states of the tokens of a flat batch, [T, D].
    ///
    /// - Parameter words: Vectors [T, D] that stand in place of the tokens', such as those of a soft prompt.
    package func hiddenStates(
        _ batch: TokenBatch, _ context: ForwardContext, words: Tensor? = nil
    ) throws -> Tensor {
        let (hidden, whole) = try allHiddenStates(batch, context, words: words)
        guard let rows = whole.tokenRows else { return hidden }
        return try hidden.indexed(0, Tensor(rows, device: hidden.device))
    }

    /// The same of all rows, and the batch of those: with what prompts put in front of each sequence.
    ///
    /// Whoever looks at sequences as wholes, at their first row or their mean, looks at these, as PEFT does.
    package func allHiddenStates(
        _ batch: TokenBatch, _ context: ForwardContext, words: Tensor? = nil
    ) throws -> (hidden: Tensor, batch: TokenBatch) {
        let whole = batch.behind(context.prompts)
        for adapter in trunk.passAdapters where context.adapters.contains(adapter.name) {
            let base = context.ofBase
            let hidden = try withoutGradients { try trunk(words ?? trunk.words(batch, base), batch, base) }
            base.state?.advance(over: batch.boundaries)
            try adapter.begin(hidden, context)
        }
        var rows = try words ?? trunk.words(batch, context)  // [T, D]
        if words == nil, context.isTraining, let alpha = trunk.noiseStrength {
            rows = try rows.noised(by: alpha, bounds: batch.boundaries, key: context.noiseKey)
        }
        let fronts = try context.prompts.compactMap { prompt -> Tensor? in
            guard let input = prompt as? InputAdapter, input.count > 0 else { return nil }
            return try input.rows(context)
        }
        if !fronts.isEmpty {
            rows = try inFront(
                fronts.count == 1 ? fronts[0] : concatenated(fronts), of: rows, bounds: batch.boundaries,
                where: batch.begins)
        }
        let hidden = try trunk(rows, whole, context)
        context.state?.advance(over: whole.boundaries)
        return (hidden, whole)
    }

    /// What the layers share in a pass over a batch.
    ///
    /// - Parameters:
    ///   - adapters: Those that take part; nil takes the trunk's choice.
    ///   - groupsAttention: Whether sequences are attended to in groups, where the trunk has some; nil does so while an
    ///     adapter trains.
    package func context(
        for batch: TokenBatch, state: ModelState? = nil, isTraining: Bool = false,
        adapters: AdapterSelection? = nil, checkpointsLayers: Bool = false, randomKey: UInt64 = 0,
        groupsAttention: Bool? = nil
    ) throws -> ForwardContext {
        let adapters = adapters ?? trunk.activeAdapters
        let prompts = trunk.prompts.filter { adapters.contains($0.name) }
        let batch = batch.behind(prompts)
        let lengths = batch.lengthsByToken
        let angles = try trunk.rotary.map {
            try $0.tables(positions: batch.positions, lengths: lengths, device: device)
        }
        return ForwardContext(
            bounds: batch.boundaries, angles: angles, isCausal: trunk.isCausal, state: state, isTraining: isTraining,
            adapters: adapters, prompts: prompts, checkpointsLayers: checkpointsLayers, randomKey: randomKey,
            groupShare: groupsAttention ?? (isTraining && adapters != .base) ? trunk.attentionGroups : nil,
            balance: trunk.routerLossWeight == nil || state != nil ? nil : RouterBalance())
    }
}

/// What a model is to be used for; the same trunk takes one head or another.
package enum ModelTask: Sendable, Equatable {
    case causalLanguageModel
    /// A text is read whole, and another is written.
    case sequenceToSequence
    case sequenceClassification(labels: Int)
    case maskedLanguageModel
    /// No head: hidden states, as sentence encoders have them.
    case hiddenStates
}

/// A model that predicts the next token of each position of a flat batch.
///
/// Its trunk may have an encoder before it: then each sequence of the batch comes with a text that is read whole, and
/// is the answer to it.
public final class CausalLanguageModel: Module, TextModel {
    @Child("") package var trunk: Trunk
    @Child("lm_head") package var head: VocabularyHead

    public let architecture: String

    package init(_ architecture: String, _ trunk: Trunk, head: VocabularyHead, headName: String = "lm_head") {
        self.architecture = architecture
        super.init()
        _trunk = Child(wrappedValue: trunk, trunk.name)
        _head = Child(wrappedValue: head, headName)
        headNames = [headName]
    }

    package private(set) var headNames: [String] = []
    package var continuesText: Bool { true }

    /// The scores of every next token, [rows, V], for some rows of hidden states.
    package func logits(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        try head.logits(hidden, context)
    }
}

/// A model that gives each sequence one or several scores: logits of classes, or numbers.
package final class SequenceClassifier: Module, TextModel {
    @Child("") package var trunk: Trunk
    @Child("score") private var head: ScoreHead

    package let architecture: String
    package let headNames: [String]
    package var modulesToSave: [String] { headNames }
    package var labelCount: Int { head.labelCount }

    package init(_ architecture: String, _ trunk: Trunk, head: ScoreHead, headName: String) {
        self.architecture = architecture
        headNames = [headName]
        super.init()
        _trunk = Child(wrappedValue: trunk, trunk.name)
        _head = Child(wrappedValue: head, headName)
    }

    /// - Parameter headNames: The parts of the head, which lie beside each other on disk.
    package init(_ architecture: String, _ trunk: Trunk, head: ScoreHead, headNames: [String]) {
        self.architecture = architecture
        self.headNames = headNames
        super.init()
        _trunk = Child(wrappedValue: trunk, trunk.name)
        _head = Child(wrappedValue: head, "")
    }

    /// [S, L] in float32.
    ///
    /// - Throws: `ModelError` for a sequence without tokens.
    package func scores(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try batch.checkTokens()
        let (hidden, whole) = try allHiddenStates(batch, context)
        return try head(hidden, whole, context)
    }
}

/// A model that fills in masked tokens.
package final class MaskedLanguageModel: Module, TextModel {
    @Child("") package var trunk: Trunk
    @Child("") package var head: MaskedHead

    package let architecture: String
    package let headNames: [String]

    package init(_ architecture: String, _ trunk: Trunk, head: MaskedHead, headName: String) {
        self.architecture = architecture
        headNames = [headName]
        super.init()
        _trunk = Child(wrappedValue: trunk, trunk.name)
        _head = Child(wrappedValue: head, headName)
    }

    /// - Parameter headNames: The parts of the head, which lie beside each other on disk.
    package init(_ architecture: String, _ trunk: Trunk, head: MaskedHead, headNames: [String]) {
        self.architecture = architecture
        self.headNames = headNames
        super.init()
        _trunk = Child(wrappedValue: trunk, trunk.name)
        _head = Child(wrappedValue: head, "")
    }

    /// The scores of every token, [N, V], for some rows of hidden states [N, D].
    package func logits(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor { try head(hidden, context) }
}

/// A trunk without a head.
package final class BareModel: Module, TextModel {
    @Child("") package var trunk: Trunk

    package let architecture: String
    package var headNames: [String] { [] }

    package init(_ architecture: String, _ trunk: Trunk) {
        self.architecture = architecture
        super.init()
        self.trunk = trunk
    }
}
