import ApusJSON

/// A model family as GGUF files and as Hugging Face folders name it.
///
/// One description serves reading and writing; a family that is like another says only what differs.
package struct GGUFArchitecture: Sendable {
    /// `general.architecture`, which also stands before each of its hyperparameters.
    package let name: String
    /// The `model_type`s that are written as this architecture; a file that is read gets the first.
    package let modelTypes: [String]
    /// The class that `config.json` names.
    let modelClass: String
    /// What lies beside the layers.
    var tops = [
        Part("token_embd", "model.embed_tokens"), Part("output_norm", "model.norm"), Part("output", "lm_head"),
    ]
    /// What the layers lie below in the model.
    var layers = "model.layers"
    /// What each layer has.
    var parts = [
        Part("attn_norm", "input_layernorm"),
        Part("attn_q", "self_attn.q_proj"),
        Part("attn_k", "self_attn.k_proj"),
        Part("attn_v", "self_attn.v_proj"),
        Part("attn_output", "self_attn.o_proj"),
        Part("ffn_norm", "post_attention_layernorm"),
        Part("ffn_gate", "mlp.gate_proj"),
        Part("ffn_up", "mlp.up_proj"),
        Part("ffn_down", "mlp.down_proj"),
    ]
    var hyperparameters = Hyperparameters()
    /// Keys of `config.json` that say whether a tensor of the first layer is there.
    var biases: [(key: String, tensor: String)] = []
    /// Values of `config.json` other than these cannot be said in the file; a missing key means the first.
    var fixed: [(key: String, values: [JSONValue])] = []
    /// Reads what only this family says; nil where it is like the others.
    var readsMore: (@Sendable (_ config: inout GGUFConfiguration, _ headDim: Int) throws -> Void)?
    /// Whether positions may turn a part of each head.
    var rotation = Rotation.ofWholeHeads
    /// Whether feed-forward parts are made of experts.
    var feedForward = FeedForward.dense

    enum Rotation: Sendable {
        case ofWholeHeads, ofParts
    }

    enum FeedForward: Sendable {
        case dense, experts
    }

    /// A module by its names in the file and in the model.
    struct Part: Sendable {
        let file: String
        let model: String
        let form: Form

        init(_ file: String, _ model: String, _ form: Form = .plain) {
            (self.file, self.model, self.form) = (file, model, form)
        }
    }

    /// How a part's matrix lies in the file.
    enum Form: Sendable {
        case plain
        /// Its rows are reordered so that RoPE turns neighbouring elements, where Hugging Face turns element i with
        /// element i + half.
        case queries, keys
        /// The model has it as [in, out], the file as [out, in].
        case transposed
        /// The file's values are those of the model and one: weights of norms that multiply with one more.
        case raised
    }

    /// What `config.json` calls the sizes.
    struct Hyperparameters: Sendable {
        var width = "hidden_size"
        var feedForward = "intermediate_size"
        var layers = "num_hidden_layers"
        var heads = "num_attention_heads"
        var context = "max_position_embeddings"
        /// The key in the file, the one in `config.json`, and what a missing one means.
        var normEpsilon = (file: "attention.layer_norm_rms_epsilon", config: "rms_norm_eps", standard: 1e-6)
        var activation = (config: "hidden_act", value: "silu")
        /// Whether keys and values may have fewer heads, heads a width of their own, and positions turn them.
        var isRotary = true
        /// Whether sizes are written that follow from others: of heads, of what is rotated, of the vocabulary.
        var saysAllSizes = false
    }
}

extension GGUFArchitecture {
    /// Tensors that hold nothing which the model stores: frequencies that follow from the configuration.
    static let derived: Set<String> = ["rope_freqs", "attn_rot_embd", "rope_factors_long", "rope_factors_short"]

    /// Where a tensor goes in the Hugging Face model.
    enum Place: Equatable {
        case tensor(String, Form)
        case derived
    }

    /// The place of the tensor that a GGUF file calls `name`, or `nil` for a tensor the architecture does not have.
    func place(of name: String) -> Place? {
        guard let (stem, kind) = Self.parts(of: name) else { return nil }
        if let top = tops.first(where: { $0.file == stem }) { return .tensor("\(top.model).\(kind)", top.form) }
        if Self.derived.contains(stem) { return .derived }
        let fields = stem.split(separator: ".", omittingEmptySubsequences: false)
        guard fields.count == 3, fields[0] == "blk", let layer = Int(fields[1]), layer >= 0,
            String(layer) == fields[1]
        else { return nil }
        if Self.derived.contains(String(fields[2])) { return .derived }
        return parts.first { $0.file == fields[2] }.map { .tensor("\(layers).\(layer).\($0.model).\(kind)", $0.form) }
    }

    /// What the file calls the tensor that the Hugging Face model calls `name`, and how it lies there; `nil` for a
    /// tensor the architecture does not have.
    func fileName(of name: String) -> (name: String, form: Form)? {
        guard let (stem, kind) = Self.parts(of: name) else { return nil }
        if let top = tops.first(where: { $0.model == stem }) { return ("\(top.file).\(kind)", top.form) }
        guard stem.hasPrefix(layers + ".") else { return nil }
        let fields = stem.dropFirst(layers.count + 1).split(separator: ".", maxSplits: 1)
        guard fields.count == 2, let layer = Int(fields[0]), let part = parts.first(where: { $0.model == fields[1] })
        else { return nil }
        return ("blk.\(layer).\(part.file).\(kind)", part.form)
    }

    /// A tensor's module and whether it is its weight or its bias.
    private static func parts(of name: String) -> (stem: String, kind: String)? {
        for kind in ["weight", "bias"] where name.hasSuffix("." + kind) {
            return (String(name.dropLast(kind.count + 1)), kind)
        }
        return nil
    }
}
