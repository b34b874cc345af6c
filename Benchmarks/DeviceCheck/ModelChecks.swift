import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusOptimizers
import ApusTorch
import ApusTraining

/// Small models of several kinds with the same weights on both sides.
enum ModelChecks {
    static let configs: [(name: String, config: JSONValue)] = [
        ("qwen2", config("Qwen2ForCausalLM", "qwen2", ["tie_word_embeddings": true, "use_sliding_window": false])),
        ("llama", config("LlamaForCausalLM", "llama", ["tie_word_embeddings": false])),
        (
            "qwen3_moe",
            config(
                "Qwen3MoeForCausalLM", "qwen3_moe",
                [
                    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 16,
                    "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": [],
                    "tie_word_embeddings": false,
                ])
        ),
        (
            "gemma2",
            config(
                "Gemma2ForCausalLM", "gemma2",
                [
                    "hidden_activation": "gelu_pytorch_tanh", "head_dim": 16, "query_pre_attn_scalar": 16,
                    "sliding_window": 8, "attn_logit_softcapping": 30.0, "final_logit_softcapping": 20.0,
                ])
        ),
    ]

    private static func config(_ architecture: String, _ type: String, _ own: JSONObject) -> JSONValue {
        var fields: JSONObject = [
            "architectures": [.string(architecture)], "model_type": .string(type), "vocab_size": 515,
            "hidden_size": 64, "intermediate_size": 168, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "hidden_act": "silu",
            "initializer_range": 0.05, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        ]
        for (key, value) in own { fields[key] = value }
        return .object(fields)
    }

    /// Sequences of a token, of few and of many.
    static let batch = TokenBatch([1, 7, 33, 64].map { (ids($0, step: 7919, from: $0 * 31), isTarget($0)) })

    private static func isTarget(_ length: Int) -> [Bool] { (0..<length).map { $0 > 2 } }

    /// Ids below 515 that do not follow each other.
    static func ids(_ length: Int, step: Int, from start: Int) -> [Int32] {
        (0..<length).map { place -> Int32 in
            let number: Int = place * step + start
            return Int32(number % 512 + 3)
        }
    }

    static func run(_ settings: Settings, _ report: inout Report) throws {
        for (name, config) in configs {
            for (dtype, bar) in [(DType.float32, 1e-4), (.bfloat16, 6e-2)] {
                report.attempt("\(name), \(dtype)") { report in
                    try check("\(name), \(dtype)", config, dtype, bar: bar, settings.device, &report)
                }
            }
        }
    }

    private static func check(
        _ item: String, _ config: JSONValue, _ dtype: DType, bar: Double, _ device: Device, _ report: inout Report
    ) throws {
        // On the processor float64 is the other side.
        let wanted = try results(config, dtype, .cpu, widened: device == .cpu)
        let ours = try results(config, dtype, device, widened: false)
        report.check("\(item): hidden states", error: try distance(ours.hidden, wanted.hidden), bar: bar)
        report.check("\(item): loss", error: abs(ours.loss - wanted.loss) / abs(wanted.loss), bar: bar / 4)
        let errors = try zip(ours.gradients, wanted.gradients).map { try distance($0, $1) }
        report.check("\(item): gradients", error: errors.max() ?? .infinity, bar: bar * 2)
    }

    /// - Parameter widened: Whether the weights of `dtype` are computed with in float64.
    private static func results(
        _ config: JSONValue, _ dtype: DType, _ device: Device, widened: Bool
    ) throws -> (hidden: Tensor, loss: Double, gradients: [Tensor]) {
        let model: CausalLanguageModel = try Models.registry.model(config)
        try model.materialize(dtype: dtype, device: device, seed: 7)
        if widened {
            for (_, slot) in model.parameters() {
                if let tensor = slot.tensor { try slot.fill(tensor.to(.float64)) }
            }
        }
        try model.setTrainable(true)
        let context = try model.context(for: batch, isTraining: true)
        let part = try NextToken(model).loss(batch, context)
        try (part.sum / Double(part.targets)).backward()
        let hidden = try withoutGradients { try model.hiddenStates(batch, model.context(for: batch)) }
        // All of a kind together: the gradients of some vectors are near zero.
        let gradients = model.parameters().compactMap { $0.slot.tensor?.gradient }
        let flat = try gradients.map { try $0.to(.float64).reshaped([-1]) }
        return (hidden, try part.sum.item() / Double(part.targets), [try concatenated(flat)])
    }
}

/// Fifty LoRA steps of a small model beside the same on the processor, dropout included.
enum CurveCheck {
    static func run(_ settings: Settings, _ report: inout Report) throws {
        let count = settings.isTiny ? 12 : 50
        let ours = try losses(count, settings.device)
        report.check("the loss falls", (ours.last ?? .infinity) < (ours.first ?? 0) - 0.1)
        report.attempt("the same steps again have the same bits") { report in
            report.check("the same steps again have the same bits", try losses(count, settings.device) == ours)
        }
        report.attempt("\(count) losses beside the processor's") { report in
            let wanted =
                try settings.device == .cpu ? withComposedForms { try losses(count, .cpu) } : losses(count, .cpu)
            let largest = zip(ours, wanted).map { abs($0 - $1) }.max() ?? .infinity
            report.check("\(count) losses beside the processor's", error: largest, bar: 1e-4)
        }
    }

    private static func losses(_ count: Int, _ device: Device) throws -> [Double] {
        let tiny = try TrainedModel(ModelChecks.configs[0].config, dtype: .float32, device: device, isQuick: false)
        let update = try UpdateStep(
            tiny.trained, optimizer: AdamW(ParameterGroup.decaying(tiny.trained, 0.1)), maximumNorm: 1)
        let objective = NextToken(tiny.model)
        return try (0..<count).map { step in
            let context = try tiny.model.context(
                for: ModelChecks.batch, isTraining: true, randomKey: streamKey(42, UInt64(step)))
            let part = try objective.loss(ModelChecks.batch, context)
            try update.accumulate(part.sum, targets: part.targets)
            return try update(rate: 2e-2, step: step + 1).loss
        }
    }
}
