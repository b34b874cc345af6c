import ApusGeneration
import ApusJSON
public import ApusLanguageModel
import ApusModels
import ApusNN
public import ApusText
public import ApusTorch
import ApusWeights
import Foundation

/// A model with everything that came with it: tokenizer, chat template, settings for generation.
public final class LanguageModel {
    public let model: CausalLanguageModel
    public var tokenizer: Tokenizer { text.tokenizer }
    public var template: ChatTemplate { text.template }

    let source: ModelSource
    let config: JSONValue
    /// The tokenizer, and what writes conversations.
    private(set) var text: TextParts
    /// What a user should know of how the tokenizer was read, and of the template.
    var notices: [String] { text.notices }

    /// Loads a Hugging Face folder, a GGUF file, or a model of the local hub caches by its id.
    ///
    /// - Parameters:
    ///   - dtype: The type to compute in; nil takes what `config.json` says, else float32.
    /// - Throws: `ModelError`, `WeightsError`, `TokenizerError` naming the file and what to try.
    public convenience init(_ name: String, dtype: DType? = nil, device: Device = .cpu) throws {
        try self.init(ModelSource(name, surroundings: Surroundings()), dtype: dtype, device: device)
    }

    /// - Parameter task: Whether the model continues text, or reads it whole and writes another.
    init(
        _ source: ModelSource, for task: ModelTask = .causalLanguageModel, dtype: DType?, device: Device,
        quantization: QuantizationOptions = QuantizationOptions(), wholeModules: [String] = []
    ) throws {
        self.source = source
        config = try source.config()
        model =
            try task == .sequenceToSequence
            ? Models.registry.sequenceToSequence(config) : Models.registry.model(config)
        text = try TextParts(source, of: model)
        try device.open()
        let dtype = dtype ?? Self.storedDType(config) ?? .float32
        let weights = try WeightLoading(
            source, config: config, options: quantization, dtype: dtype, device: device, wholeModules: wholeModules)
        try model.loadWeights(weights.store, dtype: dtype, device: device, matrices: weights.matrices)
    }

    /// The type that `config.json` names.
    static func storedDType(_ config: JSONValue) -> DType? {
        (config["dtype"] ?? config["torch_dtype"])?.stringValue.flatMap {
            DType(rawValue: $0.replacingOccurrences(of: "torch.", with: ""))
        }
    }

    /// What the model says about its answers.
    ///
    /// - Throws: `ModelError` for a `generation_config.json` that makes no sense; only who wants answers needs one.
    func generation() throws -> GenerationDefaults {
        try GenerationDefaults(source, config: config, tokenizer: tokenizer, vocabularySize: model.vocabularySize)
    }

    /// Writes conversations with the template that the settings name.
    func choose(_ settings: EncodingSettings) throws { try text.choose(settings) }

    var encoder: ChatEncoder { text.encoder }
}

// MARK: - For programs

extension LanguageModel {
    /// A conversation as token ids, with what a model is to learn of it.
    public struct Example: Sendable {
        /// The token ids, T.
        public let ids: [Int32]
        /// The same ids where the assistant speaks, -100 elsewhere, T.
        public let labels: [Int32]
    }

    /// Renders a conversation with the chat template; only the assistant's answers get labels.
    public func example(_ messages: [Message]) throws -> Example {
        let encoded = try encoder.encoded(messages)
        return Example(ids: encoded.ids, labels: zip(encoded.ids, encoded.isTrained).map { $1 ? $0 : -100 })
    }

    /// The scores of every next token after each token: ids T → logits [T, V].
    public func logits(_ ids: [Int32]) throws -> Tensor {
        let batch = TokenBatch(continuing: [(ids, 0)])
        let context = try model.context(for: batch)
        return try model.logits(model.hiddenStates(batch, context), context)
    }

    /// The vectors of tokens, as they enter the model: ids T → [T, D].
    public func vectors(_ ids: [Int32]) throws -> Tensor {
        let batch = TokenBatch(continuing: [(ids, 0)])
        return try model.trunk.words(batch, model.context(for: batch))
    }

    /// The scores of every next token behind vectors that need not be those of tokens: [T, D] → logits [T, V].
    ///
    /// Vectors that ask for a gradient get one.
    public func logits(of vectors: Tensor) throws -> Tensor {
        let batch = TokenBatch(continuing: [(Array(repeating: 0, count: vectors.shape[0]), 0)])
        let context = try model.context(for: batch)
        return try model.logits(model.hiddenStates(batch, context, words: vectors), context)
    }

    /// Every weight, ready to be trained.
    ///
    /// - Throws: `ModelError` for a model whose weights are quantised.
    public func trainableParameters() throws -> [Tensor] {
        guard QuantizedLayers.all(of: model).isEmpty else {
            throw ModelError(
                "\(source.name): the weights are quantised, and indices cannot be trained. Train an adapter over them, or give "
                    + "the model in its original precision.")
        }
        try model.setTrainable(true)
        return model.parameters().compactMap(\.slot.tensor)
    }

    /// The model's answer to a conversation, always taking the most probable token.
    public func answer(_ messages: [Message], maximumTokens: Int = 64) throws -> String {
        var sampling = Sampling()
        sampling.temperature = 0
        let ends = try answerEnds(generation())
        let generator = TokenGenerator(model, sampling: sampling, endTokens: ends.tokens)
        var text = AnswerText(tokenizer, ends: ends, skipsSpecialTokens: readsTexts)
        _ = try generator.answers(to: [encoder.generationPrompt(messages)], limit: maximumTokens) { _, token in
            text.append(token)
            return !text.isStopped
        }
        _ = text.finish()
        return text.text
    }
}
