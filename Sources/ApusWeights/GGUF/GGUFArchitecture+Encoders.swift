import ApusJSON

extension GGUFArchitecture {
    /// BERT, RoBERTa and XLM-R, as files of sentence encoders hold them without a head, and with one that scores texts.
    ///
    /// The name of all is that of BERT, which is what they compute, and files are read as. Positions of RoBERTa begin in the
    /// model behind that of padding, and in the file at the first row of a table that is cut there. Its head is BERT's pooler
    /// and classifier by other names.
    static let encoders = [
        bert(scores: true), bert(scores: false), roberta(scores: true), roberta(scores: false),
    ]

    private static func bert(scores: Bool) -> GGUFArchitecture {
        var bert = GGUFArchitecture(
            name: "bert", modelTypes: ["bert"], modelClass: scores ? "BertForSequenceClassification" : "BertModel")
        bert.isMeant = { config in
            let modelClass = config["architectures"]?.arrayValue?.first?.stringValue ?? ""
            return modelClass.hasSuffix("ForSequenceClassification") == scores
        }
        bert.tops = encoderTops(of: "bert")
        bert.layers = "bert.encoder.layer"
        bert.parts = [
            Part("attn_q", "attention.self.query"), Part("attn_k", "attention.self.key"),
            Part("attn_v", "attention.self.value"), Part("attn_output", "attention.output.dense"),
            Part("attn_output_norm", "attention.output.LayerNorm"), Part("ffn_up", "intermediate.dense"),
            Part("ffn_down", "output.dense"), Part("layer_output_norm", "output.LayerNorm"),
        ]
        bert.hyperparameters.normEpsilon = ("attention.layer_norm_epsilon", "layer_norm_eps", 1e-12)
        bert.hyperparameters.activation = ("hidden_act", "gelu")
        bert.hyperparameters.isRotary = false
        bert.hyperparameters.keyValueHeads = nil
        bert.values = [
            Value(
                config: "type_vocab_size", file: "tokenizer.ggml.token_type_count",
                kind: .rows(of: "token_types.weight"),
                missing: (2, nil), isWholeKey: true)
        ]
        bert.fixed = [("hidden_act", ["gelu"])]
        bert.words = [("attention.causal", .bool(false))]
        bert.foreign = [("attention.causal", .bool(false))]
        guard scores else { return bert }
        // Files that llama.cpp's converter makes of a BERT lack the pooler, without which its scores are others.
        bert.sign = "cls.weight"
        bert.scores = ("classifier.output_labels", "cls.output.weight")
        bert.tops += [Part("cls", "bert.pooler.dense"), Part("cls.output", "classifier", .row)]
        return bert
    }

    private static func roberta(scores: Bool) -> GGUFArchitecture {
        var roberta = bert(scores: scores)
        roberta.modelTypes = ["roberta", "xlm-roberta"]
        roberta.tops = encoderTops(of: "roberta", positions: .lastRows)
        roberta.layers = "roberta.encoder.layer"
        if scores {
            roberta.tops += [Part("cls", "classifier.dense"), Part("cls.output", "classifier.out_proj", .row)]
        }
        return roberta
    }

    private static func encoderTops(of trunk: String, positions: Form = .plain) -> [Part] {
        [
            Part("token_embd", "\(trunk).embeddings.word_embeddings"),
            Part("position_embd", "\(trunk).embeddings.position_embeddings", positions),
            Part("token_types", "\(trunk).embeddings.token_type_embeddings", .row),
            Part("token_embd_norm", "\(trunk).embeddings.LayerNorm"),
        ]
    }

    /// T5 and what has its shape, whole and the encoder alone, each with a plain and with a gated feed-forward part.
    static let t5 = [
        t5(isWhole: true, isGated: true), t5(isWhole: true, isGated: false), t5(isWhole: false, isGated: true),
        t5(isWhole: false, isGated: false),
    ]

    private static func t5(isWhole: Bool, isGated: Bool) -> GGUFArchitecture {
        var t5 = GGUFArchitecture(
            name: isWhole ? "t5" : "t5encoder", modelTypes: ["t5", "mt5"],
            modelClass: isWhole ? "T5ForConditionalGeneration" : "T5EncoderModel")
        t5.isMeant = { config in
            let isEncoder = config["architectures"]?.arrayValue?.first?.stringValue?.hasSuffix("EncoderModel") ?? false
            let form = config["feed_forward_proj"]?.stringValue ?? "relu"
            return isEncoder != isWhole && form.hasPrefix("gated") == isGated
        }
        t5.sign = isGated ? ".ffn_gate.weight" : nil
        t5.tops = [Part("token_embd", "shared"), Part("enc.output_norm", "encoder.final_layer_norm")]
        t5.parts = []
        t5.halves = [t5Stack("enc.blk", "encoder.block", isGated: isGated, looksAcross: false)]
        t5.hyperparameters = Hyperparameters(
            width: "d_model", feedForward: "d_ff", layers: "num_layers", heads: "num_heads", keyValueHeads: nil,
            context: "n_positions", normEpsilon: ("attention.layer_norm_rms_epsilon", "layer_norm_epsilon", 1e-6),
            secondEpsilon: "attention.layer_norm_epsilon",
            activation: ("feed_forward_proj", isGated ? "gated-gelu" : "relu"), isRotary: false)
        t5.values = [
            Value(config: "d_kv", file: "attention.key_length", kind: .count),
            Value(config: "d_kv", file: "attention.value_length", kind: .count),
            Value(
                config: "relative_attention_num_buckets", file: "attention.relative_buckets_count", kind: .count,
                missing: (32, 32)),
        ]
        // No file says how far distances reach.
        t5.fixed = [
            ("relative_attention_max_distance", [128]), ("feed_forward_proj", [isGated ? "gated-gelu" : "relu"]),
            ("dense_act_fn", [isGated ? "gelu_new" : "relu"]), ("is_gated_act", [.bool(isGated)]),
        ]
        t5.stated = [("relative_attention_max_distance", 128)]
        guard isWhole else { return t5 }
        t5.stated.append(("is_encoder_decoder", true))
        t5.tops += [Part("dec.output_norm", "decoder.final_layer_norm"), Part("output", "lm_head")]
        t5.halves.append(t5Stack("dec.blk", "decoder.block", isGated: isGated, looksAcross: true))
        t5.values += [
            // Without it there are as many as in the encoder.
            Value(config: "num_decoder_layers", file: "decoder_block_count", kind: .count, missing: (.null, .null)),
            Value(
                config: "decoder_start_token_id", file: "decoder_start_token_id", kind: .token, missing: (nil, .null)),
        ]
        return t5
    }

    /// - Parameter looksAcross: Whether layers look at what the encoder read.
    private static func t5Stack(_ file: String, _ model: String, isGated: Bool, looksAcross: Bool) -> Stack {
        func attention(_ file: String, _ model: String) -> [Part] {
            ["q", "k", "v", "o"].map { Part("\(file)_\($0)", "\(model).\($0)") } + [
                // Old files have one where there are no distances, which nothing computes with.
                Part("\(file)_rel_b", "\(model).relative_attention_bias", .first)
            ]
        }
        let last = looksAcross ? "layer.2" : "layer.1"
        var parts = attention("attn", "layer.0.SelfAttention") + [Part("attn_norm", "layer.0.layer_norm")]
        if looksAcross {
            parts += attention("cross_attn", "layer.1.EncDecAttention")
            parts.append(Part("cross_attn_norm", "layer.1.layer_norm"))
        }
        parts += [
            Part("ffn_norm", "\(last).layer_norm"), Part("ffn_down", "\(last).DenseReluDense.wo"),
            Part("ffn_up", "\(last).DenseReluDense.\(isGated ? "wi_1" : "wi")"),
        ]
        if isGated { parts.append(Part("ffn_gate", "\(last).DenseReluDense.wi_0")) }
        return Stack(file: file, model: model, parts: parts)
    }
}
