package import ApusJSON

/// The architectures that can be made from a `config.json`.
package struct ModelRegistry: Sendable {
    /// Describes a model from its configuration; no weights, no memory.
    package typealias Maker = @Sendable (_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel

    private let makers: [String: Maker]
    private let textParts: [String: String]
    private let defaults: [String: ClassDefaults]

    /// - Parameters:
    ///   - makers: By `model_type`.
    ///   - defaults: By `model_type`, what keys mean that a configuration lacks.
    ///   - textParts: For types of models of several parts, of which a text model is one, what that is called by itself in
    ///     `architectures`.
    package init(
        _ makers: [String: Maker], textParts: [String: String] = [:], defaults: [String: ClassDefaults] = [:]
    ) {
        (self.makers, self.textParts, self.defaults) = (makers, textParts, defaults)
    }

    /// Keys of a whole model's configuration that are its text model's too.
    private static let shared = [
        "dtype", "torch_dtype", "transformers_version", "quantization_config", "tie_word_embeddings", "bos_token_id",
        "eos_token_id", "pad_token_id", "id2label", "label2id", "num_labels", "problem_type",
    ]

    /// The configuration of the text model alone, where a model has other parts too (`text_config`); every other
    /// configuration as it is.
    package func textConfiguration(_ config: JSONValue) -> JSONValue {
        guard let type = config["model_type"]?.stringValue, let architecture = textParts[type],
            var text = config["text_config"]?.objectValue
        else { return config }
        for key in Self.shared where text[key]?.isNull ?? true {
            if let value = config[key], !value.isNull { text[key] = value }
        }
        if text["model_type"] == nil { text["model_type"] = .string(type + "_text") }
        let named = config["architectures"]?.arrayValue?.first?.stringValue
        let isWhole = named?.hasSuffix("ForConditionalGeneration") ?? true
        text["architectures"] = [.string(isWhole ? architecture : named ?? architecture)]
        return .object(text)
    }

    /// The language model that a configuration describes, without weights.
    package func model(_ config: JSONValue) throws -> CausalLanguageModel {
        guard let model = try model(config, for: .causalLanguageModel) as? CausalLanguageModel else {
            throw ModelError("config.json does not describe a model that continues text")
        }
        return model
    }

    /// The model that reads texts and writes others, which a configuration describes, without weights.
    package func sequenceToSequence(_ config: JSONValue) throws -> CausalLanguageModel {
        guard let model = try model(config, for: .sequenceToSequence) as? CausalLanguageModel else {
            throw ModelError("config.json does not describe a model that reads a text and writes another")
        }
        return model
    }

    /// The model that a configuration describes with the head of a task, without weights.
    package func model(_ config: JSONValue, for task: ModelTask) throws -> any TextModel {
        let config = textConfiguration(config)
        guard let type = config["model_type"]?.stringValue else {
            throw ModelError("config.json has no \"model_type\"; is this the folder of a language model?")
        }
        guard let make = makers[type] else {
            throw ModelError(
                "models of type \"\(type)\" are not there yet; there are \(makers.keys.sorted().joined(separator: ", "))"
            )
        }
        let read = ModelConfig(config, defaults: defaults[type] ?? ClassDefaults())
        let model = try make(read, task)
        model.trunk.notices += [read.notice].compactMap(\.self)
        model.trunk.unlistedKinds = read.unlistedKinds
        return model
    }

    package var types: [String] { makers.keys.sorted() }
}
