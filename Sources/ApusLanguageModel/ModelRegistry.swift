package import ApusJSON

/// The architectures that can be made from a `config.json`.
package struct ModelRegistry: Sendable {
    /// Describes a model from its configuration; no weights, no memory.
    package typealias Maker = @Sendable (_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel

    private let makers: [String: Maker]

    /// - Parameter makers: By `model_type`.
    package init(_ makers: [String: Maker]) { self.makers = makers }

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
        guard let type = config["model_type"]?.stringValue else {
            throw ModelError("config.json has no \"model_type\"; is this the folder of a language model?")
        }
        guard let make = makers[type] else {
            throw ModelError(
                "models of type \"\(type)\" are not there yet; there are \(makers.keys.sorted().joined(separator: ", "))"
            )
        }
        let read = ModelConfig(config)
        let model = try make(read, task)
        model.trunk.notices += [read.notice].compactMap(\.self)
        return model
    }

    package var types: [String] { makers.keys.sorted() }
}
