package import ApusJSON
package import ApusNN

/// What the class that reads a `config.json` gives keys that the file lacks.
package struct ClassDefaults: Sendable {
    /// Of keys that are not here the family says it where it reads them.
    let values: JSONObject
    /// Another spelling of a key, such as `hidden_size` of `n_embd`.
    let spellings: [String: String]

    package init(_ values: JSONObject = [:], spellings: [String: String] = [:]) {
        (self.values, self.spellings) = (values, spellings)
    }
}

/// A `config.json` while a model is described from it.
///
/// Every key that is asked for is noted, so that keys which nobody understood can be named instead of being passed over.
package final class ModelConfig {
    package let json: JSONValue
    /// What stands before the keys in messages: nothing, or where a nested object lies (`rope_scaling.`).
    private let path: String
    private var read: Set<String> = []
    private var parts: [String: ModelConfig] = [:]
    private let defaults: ClassDefaults
    /// Keys that could list a kind for each layer and do not, so that a rule of numbers tells the kinds.
    package var unlistedKinds: [String] = []

    /// - Parameter defaults: What keys mean that the file lacks.
    package convenience init(_ json: JSONValue, defaults: ClassDefaults = ClassDefaults()) {
        self.init(json, path: "", defaults: defaults)
    }

    private init(_ json: JSONValue, path: String, defaults: ClassDefaults = ClassDefaults()) {
        (self.json, self.path, self.defaults) = (json, path, defaults)
    }

    /// The value of a key, by any of its spellings, or what the key means where the file lacks it; null is nil.
    package subscript(key: String) -> JSONValue? {
        let spellings = [key, defaults.spellings[key]].compactMap(\.self)
        read.formUnion(spellings)
        guard let value = spellings.lazy.compactMap({ self.json[$0] }).first ?? defaults.values[key], !value.isNull
        else { return nil }
        return value
    }

    /// The first of several keys that the file has, or the last.
    package func key(_ spellings: String...) -> String {
        read.formUnion(spellings)
        let found = spellings.first { self.json[$0].map { !$0.isNull } ?? false }
        return found ?? spellings[spellings.count - 1]
    }

    /// Whether the key is there, even as null.
    package func has(_ key: String) -> Bool {
        read.insert(key)
        return json[key] != nil
    }

    /// A nested object, read as strictly; nil where there is none.
    ///
    /// What nobody asks it for, `notice` names too.
    package func part(_ key: String) throws -> ModelConfig? {
        if let known = parts[key] { return known }
        guard let value = self[key] else { return nil }
        guard value.objectValue != nil else { throw mistyped(key, value, "an object") }
        let part = ModelConfig(value, path: "\(path)\(key).")
        parts[key] = part
        return part
    }

    /// What two nested objects say together of a kind of layers; `notice` names it by the first one's key.
    func part(_ key: String, of kind: String, _ merged: JSONObject) -> ModelConfig {
        let name = "\(key) of \(kind)"
        if let known = parts[name] { return known }
        for part in [parts[key], parts["rope_parameters"]?.parts[kind]].compactMap(\.self) {
            part.read.formUnion(part.json.objectValue?.keys ?? [])
        }
        let part = ModelConfig(.object(merged), path: "\(path)\(key).")
        parts[name] = part
        return part
    }

    /// A whole number of at most 2³¹ in size, far from overflow when sums and products are taken.
    package func integer(_ key: String) throws -> Int? {
        let number = try wholeNumber(key)
        if let number, number.magnitude > 1 << 31 {
            throw ModelError("config.json: \"\(path)\(key)\" is \(number); it must be between -2^31 and 2^31")
        }
        return number
    }

    private func wholeNumber(_ key: String) throws -> Int? {
        try self[key].map { value in
            guard let number = value.intValue else { throw mistyped(key, value, "a whole number") }
            return number
        }
    }

    /// Counts of what is an object each, made before a file can show that it does not hold as many.
    private static let objectCounts: Set<String> = [
        "num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers",
        "n_shared_experts", "num_hidden_groups", "inner_group_num",
    ]
    /// Counts that other sizes are multiplied with; the bound keeps the products far from overflow.
    private static let headCounts: Set<String> = [
        "num_attention_heads", "num_key_value_heads", "n_head", "n_heads", "num_heads", "num_kv_heads", "n_head_kv",
        "multi_query_group_num",
    ]

    /// A size between 1 and 2³¹.
    package func size(_ key: String) throws -> Int {
        guard let size = try optionalSize(key) else { throw ModelError("config.json has no \"\(path)\(key)\"") }
        return size
    }

    package func optionalSize(_ key: String) throws -> Int? {
        guard let size = try wholeNumber(key) else { return nil }
        let power = Self.objectCounts.contains(key) ? 10 : Self.headCounts.contains(key) ? 16 : 31
        guard (1...1 << power).contains(size) else {
            throw ModelError("config.json: \"\(path)\(key)\" is \(size); it must be between 1 and 2^\(power)")
        }
        return size
    }

    package func number(_ key: String) throws -> Double? {
        try self[key].map { value in
            guard let number = value.doubleValue, number.isFinite else { throw mistyped(key, value, "a number") }
            return number
        }
    }

    /// A probability with which something is dropped, in [0, 1).
    package func probability(_ key: String) throws -> Double? {
        guard let value = try number(key) else { return nil }
        guard (0..<1).contains(value) else {
            throw ModelError("config.json: \"\(path)\(key)\" is \(value); it must be in [0, 1)")
        }
        return value
    }

    package func flag(_ key: String) throws -> Bool? {
        try self[key].map { value in
            guard let flag = value.boolValue else { throw mistyped(key, value, "true or false") }
            return flag
        }
    }

    package func text(_ key: String) throws -> String? {
        try self[key].map { value in
            guard let text = value.stringValue else { throw mistyped(key, value, "a text") }
            return text
        }
    }

    /// The function between two linear layers.
    package func activation(_ key: String, default name: String) throws -> Activation {
        let name = try text(key) ?? name
        guard let activation = Activation(rawValue: name) else {
            let known = Activation.allCases.map(\.rawValue).joined(separator: ", ")
            throw ModelError("config.json: \(path)\(key) \"\(name)\" is not there yet; there are \(known)")
        }
        return activation
    }

    /// Refuses a value under which another thing is computed than what there is.
    package func require(_ key: String, _ wanted: JSONValue, otherwise advice: String) throws {
        guard let value = self[key], value != wanted else { return }
        throw ModelError("config.json: \"\(path)\(key)\" is \(value.serialized()), \(advice)")
    }

    private func mistyped(_ key: String, _ value: JSONValue, _ wanted: String) -> ModelError {
        ModelError("config.json: \"\(path)\(key)\" is \(value.serialized()); it must be \(wanted)")
    }

    /// Names the keys that nobody asked for and that may change what is computed.
    package var notice: String? {
        let unknown = unread.sorted { $0.key < $1.key }
        guard !unknown.isEmpty else { return nil }
        let list = unknown.map { "\"\($0.key)\": \($0.value.serialized().prefix(60))" }
        return "config.json: not understood, and left out of what is computed: \(list.joined(separator: ", "))"
    }

    private var unread: [(key: String, value: JSONValue)] {
        let own = (json.objectValue?.keys ?? []).compactMap { key -> (key: String, value: JSONValue)? in
            let value = json[key] ?? .null
            guard !read.contains(key), !value.isNull, !Self.withoutEffect.contains(key) else { return nil }
            return value.isEmpty && Self.absentWhenEmpty.contains(key) ? nil : (path + key, value)
        }
        return own + parts.values.flatMap(\.unread)
    }

    /// Keys that say how a model came about, is written, is trained from scratch or is asked, but not what it computes.
    private static let withoutEffect: Set<String> = [
        "architectures", "auto_map", "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "cache_implementation",
        "chunk_size_feed_forward",
        "cls_token_id", "custom_pipelines", "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype",
        "early_stopping", "encoder_no_repeat_ngram_size", "eos_token_id", "exponential_decay_length_penalty",
        "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "gradient_checkpointing", "id2label",
        "initializer_factor", "is_encoder_decoder", "label2id", "language", "length_penalty", "license", "max_length",
        "min_length", "model_type", "name_or_path", "no_repeat_ngram_size", "num_beam_groups", "num_beams",
        "num_labels", "num_return_sequences", "output_attentions", "output_hidden_states", "output_past",
        "output_scores", "pad_token_id", "prefix", "pretraining_tp", "problem_type",
        "quantization", "quantization_config", "remove_invalid_values", "repetition_penalty", "return_dict",
        "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params", "temperature",
        "tf_legacy_loss", "tie_encoder_decoder", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript",
        "transformers.js_config", "transformers_version", "typical_p", "unk_token_id", "unsloth_fixed",
        "unsloth_version", "use_bfloat16", "use_cache", "vocabulary_size",
        // What programs write of themselves.
        "_attn_implementation", "_attn_implementation_autoset", "_attn_implementation_internal", "_commit_hash",
        "_experts_implementation", "_flash_attn_2_enabled", "_from_model_config", "_name_or_path",
        "_sliding_window_pattern", "is_llama_config",
    ]

    /// Keys of what no architecture here has unless it is asked for: false, [] or {} says what is so anyway.
    ///
    /// What one of them has by itself may not stand here: there it says something.
    private static let absentWhenEmpty: Set<String> = [
        "add_cross_attention", "bf16", "fp16", "fp32", "interleaved_qkv", "is_decoder", "output_router_logits",
        "pruned_heads", "rope_interleaved", "use_cache_kernel", "use_cache_quantization", "use_dynamic_ntk",
        "use_flash_attention", "use_flash_attention_2", "use_flash_attn", "use_logn_attn", "use_mrope",
        "use_sliding_window",
    ]
}

extension JSONValue {
    /// False, or a list or object without entries: what may say that something is absent.
    fileprivate var isEmpty: Bool {
        switch self {
        case .bool(false): true
        case .array(let values): values.isEmpty
        case .object(let object): object.isEmpty
        default: false
        }
    }
}
