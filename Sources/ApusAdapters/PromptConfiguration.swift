import ApusJSON
import ApusNN

/// What PEFT's `PromptLearningConfig` holds: how many places a prompt takes, and the sizes of the model it was made for.
struct PromptSizes: Sendable, Equatable {
    static let countOption = AdapterOption(
        "num_virtual_tokens", .integer(AdapterOption.counts), default: 20, "Places that the prompt takes.",
        decidesCount: true)

    var count = 20
    /// Filled in from the model where a prompt is made anew.
    var width: Int?
    var heads: Int?
    var layers: Int?

    init(_ settings: AdapterSettings) throws { count = try settings.integer(Self.countOption) }

    init(_ reader: ConfigurationReader) throws {
        count = try reader.count("num_virtual_tokens")
        let count: (String) throws -> Int? = { key in
            try reader.optional(key, "a positive whole number") { $0.intValue.flatMap { $0 > 0 ? $0 : nil } }
        }
        width = try count("token_dim")
        heads = try count("num_attention_heads")
        layers = try count("num_layers")
        guard try count("num_transformer_submodules") ?? 1 == 1 else {
            throw reader.refusal(
                "\"num_transformer_submodules\" is for models that read a text and write another, whose prompts are not there yet"
            )
        }
    }

    /// The file's part of it, for a model whose keys and values are what the prompt consists of, or whose inputs are.
    func json(_ parts: [AdapterPart], ofAttention: Bool) -> JSONObject {
        let host = parts.first?.host as? any PromptHost
        let sizes = host?.sizes
        let own = ofAttention ? sizes?.keyValueHeads : sizes?.heads
        let width = ofAttention ? sizes.map { $0.keyValueHeads * $0.headSize } : host?.embedding.width
        func number(_ value: Int?) -> JSONValue { value.map(JSONValue.int) ?? .null }
        return [
            "num_attention_heads": number(own ?? heads), "num_layers": number(sizes?.layers ?? layers),
            "num_transformer_submodules": 1, "num_virtual_tokens": .int(count),
            "token_dim": number(width ?? self.width),
        ]
    }

    /// The trunk of a model, if it can have a prompt.
    ///
    /// - Parameter ofAttention: Whether the prompt is keys and values, and not rows of input.
    func host(in model: Module, for task: String?, ofAttention: Bool) throws -> (path: String, host: any PromptHost) {
        for (path, module) in model.modules() {
            guard let host = module as? any PromptHost else { continue }
            guard task != nil else {
                throw AdapterError(
                    "PEFT knows no prompts for models that fill in masked tokens; take --tuner_type lora or ia3")
            }
            guard task != "SEQ_2_SEQ_LM" else {
                throw AdapterError(
                    "prompts for models that read a text and write another are not there yet; take --tuner_type lora or ia3"
                )
            }
            let sizes = host.sizes
            if let layers, layers != sizes.layers {
                throw AdapterError(
                    "the prompt was made for a model of \(layers) layers, this one has \(sizes.layers). Is it a prompt of "
                        + "another model?")
            }
            let own = ofAttention ? sizes.keyValueHeads * sizes.headSize : host.embedding.width
            if let width, width != own {
                throw AdapterError(
                    "the prompt has vectors of \(width) numbers (\"token_dim\"), this model wants \(own). Is it a prompt of "
                        + "another model?")
            }
            guard count < host.maximumLength else {
                throw AdapterError(
                    "a prompt of \(count) places (num_virtual_tokens) leaves no room for text: the model has "
                        + "\(host.maximumLength) positions")
            }
            return (path, host)
        }
        throw AdapterError("the model has no trunk that a prompt could be put in front of")
    }
}

/// Methods whose file is one flat table.
extension AdapterMethod {
    static var promptPrefix: String { "base_model." }
}
