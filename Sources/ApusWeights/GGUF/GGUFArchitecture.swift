import ApusJSON

/// A model family as GGUF files and as Hugging Face folders name it.
///
/// One description serves reading and writing; a family that is like another says only what differs.
package struct GGUFArchitecture: Sendable {
    /// `general.architecture`, which also stands before each of its hyperparameters.
    package internal(set) var name: String
    /// The `model_type`s that are written as this architecture; a file that is read gets the first.
    package internal(set) var modelTypes: [String]
    /// The class that `config.json` names.
    var modelClass: String
    /// What lies beside the layers.
    var tops = [
        Part("token_embd", "model.embed_tokens"), Part("output_norm", "model.norm"), Part("output", "lm_head"),
    ]
    /// What the name of a tensor ends with by which files of this kind are told from others that say the same name.
    var sign: String?
    /// Whether files of this kind are written too.
    var isWritten = true
    /// By which a `config.json` is told from those of others that have the same type; nil takes every one.
    var isMeant: (@Sendable (JSONValue) -> Bool)?
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
    /// The stacks of layers where there are others than one, in the place of `layers` and `parts`.
    var halves: [Stack] = []
    var hyperparameters = Hyperparameters()
    /// Further numbers with keys in the file.
    var values: [Value] = []
    /// The key of what scores of texts are called, and the matrix that makes them; nil without such a head.
    var scores: (names: String, matrix: String)?
    /// Keys that every file of the family has, with a value that says nothing more.
    var words: [(key: String, value: GGUFTypedValue)] = []
    /// The key of how experts are chosen, by the key of how many groups they come in; nil where that is always the same.
    var choice: (config: String, groups: String, ofGroups: String, ofAll: String)?
    /// Layers that differ from the others in turn.
    var pattern: Pattern?
    /// What files of the family mean of `config.json` without saying it, and what a missing key there means.
    var implied: [(key: String, value: JSONValue, missing: JSONValue)] = []
    /// What a configuration says that is made of a file, beside what others are held to.
    var stated: [(key: String, value: JSONValue)] = []
    /// Keys of files that have this architecture's name and compute what its model does not, but for one value.
    var foreign: [(key: String, harmless: GGUFValue?)] = []
    /// Keys of `config.json` that say whether a tensor of the first layer is there.
    var biases: [(key: String, tensor: String)] = []
    /// Values of `config.json` other than these cannot be said in the file; a missing key means the first.
    var fixed: [(key: String, values: [JSONValue])] = []

    /// This description for a family that is like it.
    func named(_ name: String, _ modelType: String, _ modelClass: String) -> GGUFArchitecture {
        var other = self
        (other.name, other.modelTypes, other.modelClass) = (name, [modelType], modelClass)
        return other
    }

    /// Layers that lie one upon the other.
    struct Stack: Sendable {
        /// What they lie below in the file and in the model.
        let file: String
        let model: String
        let parts: [Part]
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
        /// One matrix for queries, keys and values: in the file all of a kind lie together, in the model those of heads
        /// that share a key.
        case groups
        /// The model has it as [in, out], the file as [out, in].
        case transposed
        /// The file has w + 1 where the model has w and multiplies with 1 + w.
        case raised
        /// The file has the matrices of all experts of a layer in one tensor; in the model each has the number of its
        /// expert before the last name.
        case stacked
        /// The first layer has it for all.
        case first
        /// A matrix which some files have as a vector where it has one row.
        case row
        /// Of a table of positions the last rows, one for each token of the longest text.
        case lastRows
        /// A vector that the model calls `<name>_bias`.
        case buffer
        /// Of the one matrix that makes keys and values of a latent: the keys' part, [heads, rank, size] with the rank
        /// first, which the file has apart from the values' part.
        case latentKeys
        /// The values' part, [heads, size, rank].
        case latentValues
    }

    /// What `config.json` calls the sizes.
    struct Hyperparameters: Sendable {
        var width = "hidden_size"
        var feedForward = "intermediate_size"
        var layers = "num_hidden_layers"
        var heads = "num_attention_heads"
        /// Nil where there are as many as of queries.
        var keyValueHeads: String? = "num_key_value_heads"
        /// Whether `config.json` has the width of a head.
        var saysHeadSize = true
        var context = "max_position_embeddings"
        /// The key in the file, the one in `config.json`, and what a missing one means.
        var normEpsilon = (file: "attention.layer_norm_rms_epsilon", config: "rms_norm_eps", standard: 1e-6)
        /// Another key in the file with the same number.
        var secondEpsilon: String?
        var activation = (config: "hidden_act", value: "silu")
        /// Whether keys and values may have fewer heads, heads a width of their own, and positions turn them.
        var isRotary = true
        /// Whether sizes are written that follow from others: of heads, of what is rotated, of the vocabulary.
        var saysAllSizes = false
        /// What a missing `rope_theta` means, and what an older key for it is called.
        var rotaryBase = 10_000.0
        var olderBase: String?
        /// The key of the share of each head that turns, and what a missing one means; nil where that is all.
        var rotatedShare: (config: String, standard: Double)?
        /// The key of the base of RoPE in layers with a window, and what a missing one means.
        var windowBase: (config: String, standard: Double)?
        /// What a missing `original_max_position_embeddings` means, in a family whose positions may turn a part of each
        /// head alone, and by other frequencies in texts beyond that length (LongRoPE).
        var firstLength: Int?
        /// Whether keys and values are made of a latent of low rank, and a part of each head alone turns.
        var isLatent = false
        /// The key of the number by whose root scores of attention are divided, which no file says.
        ///
        /// It is the width of a head, and in the model of so many layers the width of the model over the heads.
        var scoreDivisor: (config: String, layersOfLargest: Int)?
    }

    /// A number by its keys in `config.json` and in the file.
    struct Value: Sendable {
        let config: String
        let file: String
        var kind = Kind.number
        /// What a missing one means in either; nil where it must be there, null where it stands for no number.
        var missing: (config: JSONValue?, file: JSONValue?) = (nil, nil)
        /// Whether the file has 0 for null.
        var isZeroForNull = false
        /// Whether the key in the file is whole, without the name of the architecture before it.
        var isWholeKey = false

        enum Kind: Sendable {
            case number, count, flag
            /// The id of a token.
            case token
            /// A number that the file has divided by the root of how many layers there are.
            case overRootOfLayers
            /// A number by which the file has the width divided.
            case widthOver
            /// A count that older files leave to the rows of a tensor, or to those of each matrix in it.
            case rows(of: String)
        }
    }

    /// What is another in the last of so many layers than in those before.
    struct Pattern: Sendable {
        /// The key of a list with an entry for each layer.
        let list: String
        let last: JSONValue
        let others: JSONValue
        /// The key of the number of layers, where there is one.
        var period: String?
        /// The key of that number in the file; it is written where it is not the usual one.
        var file: String?
        let usual: Int
    }
}
