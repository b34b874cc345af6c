package import ApusJSON

/// The architectures that can be made from a `config.json`.
package struct ModelRegistry: Sendable {
    /// Describes a model from its configuration; no weights, no memory.
    package typealias Maker = @Sendable (_ config: JSONValue) throws -> CausalLanguageModel

    private let makers: [String: Maker]

    /// - Parameter makers: By `model_type`.
    package init(_ makers: [String: Maker]) { self.makers = makers }

    /// The model that a configuration describes, without weights.
    package func model(_ config: JSONValue) throws -> CausalLanguageModel {
        guard let type = config["model_type"]?.stringValue else {
            throw ModelError("config.json has no \"model_type\"; is this the folder of a language model?")
        }
        guard let make = makers[type] else {
            throw ModelError(
                "models of type \"\(type)\" are not there yet; there are \(makers.keys.sorted().joined(separator: ", "))"
            )
        }
        return try make(config)
    }

    package var types: [String] { makers.keys.sorted() }
}
