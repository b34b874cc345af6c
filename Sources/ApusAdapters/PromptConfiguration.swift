import ApusJSON
package import ApusNN
package import ApusTorch

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
    /// Twice the places are stored for models that read a text with an encoder and write another.
    private var stacks: Int?

    init(_ settings: AdapterSettings) throws { count = try settings.integer(Self.countOption) }

    init(_ reader: ConfigurationReader) throws {
        count = try reader.count("num_virtual_tokens")
        let count: (String) throws -> Int? = { key in
            try reader.optional(key, "a positive whole number") { $0.intValue.flatMap { $0 > 0 ? $0 : nil } }
        }
        width = try count("token_dim")
        heads = try count("num_attention_heads")
        layers = try count("num_layers")
        stacks = try count("num_transformer_submodules")
    }

    /// The file's part of it, for a model whose keys and values are what the prompt consists of, or whose inputs are.
    func json(_ parts: [AdapterPart], ofAttention: Bool) -> JSONObject {
        let host = parts.first?.host as? any PromptHost
        let sizes = host?.sizes
        let own = ofAttention ? sizes?.keyValueHeads : sizes?.heads
        let width = ofAttention ? sizes.map { $0.keyValueHeads * $0.headSize } : host?.embedding.width
        func number(_ value: Int?) -> JSONValue { value.map(JSONValue.int) ?? .null }
        return [
            "num_attention_heads": number(own ?? heads), "num_layers": number(host?.configuredLayers ?? layers),
            "num_transformer_submodules": .int(host?.hasEncoder == true ? 2 : 1), "num_virtual_tokens": .int(count),
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
            guard !host.hasEncoder || task == "SEQ_2_SEQ_LM" else {
                throw AdapterError(
                    "prompts lie in front of what the encoder of this model reads, and its classifier takes no vectors in "
                        + "place of words in transformers; take --tuner_type lora or ia3")
            }
            let wanted = host.hasEncoder ? 2 : 1
            guard stacks ?? wanted == wanted else {
                throw AdapterError(
                    "the prompt was made for \(stacks ?? 0) stacks of layers (\"num_transformer_submodules\"), and this model "
                        + "has \(wanted): it reads a text with an encoder or does not. Is it a prompt of another model?"
                )
            }
            let sizes = host.sizes
            if let layers, layers != host.configuredLayers {
                throw AdapterError(
                    "the prompt was made for a model of \(layers) layers, this one has \(host.configuredLayers). Is it a "
                        + "prompt of another model?")
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

/// Vectors of one table in front of each sequence.
///
/// Of a model that reads a text with an encoder the table has two halves, as in PEFT: the first lies in front of that
/// text, the second is for the answer, where it is used at all.
package class TablePrompt: InputAdapter {
    /// The rows of the table.
    let rowCount: Int

    private let places: Int

    /// - Parameters:
    ///   - places: How many the prompt takes in front of a text.
    ///   - hasEncoder: Whether an encoder reads a text first.
    ///   - precedesAnswers: Whether the second half lies in front of answers then.
    init(name: String, places: Int, hasEncoder: Bool, precedesAnswers: Bool = false) {
        self.places = places
        rowCount = hasEncoder ? 2 * places : places
        super.init(
            name: name, count: !hasEncoder || precedesAnswers ? places : 0, sourceCount: hasEncoder ? places : 0)
    }

    /// [rowCount, D].
    func vectors(_ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it puts in front")
    }

    package override func rows(_ context: ForwardContext) throws -> Tensor {
        let all = try vectors(context)
        return try sourceCount == 0 ? all : all.narrowed(0, start: places, length: places)
    }

    package override func sourceRows(_ context: ForwardContext) throws -> Tensor {
        try vectors(context).narrowed(0, start: 0, length: places)
    }
}

/// Methods whose file is one flat table.
extension AdapterMethod {
    static var promptPrefix: String { "base_model." }
}
