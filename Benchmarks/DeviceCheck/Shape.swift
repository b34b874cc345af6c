import ApusAdapters
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusOptimizers
import ApusTorch

/// The sizes of a decoder in the manner of Qwen2, whose weights are drawn on the spot.
struct Shape {
    let name: String
    let width: Int
    let hidden: Int
    let layers: Int
    let heads: Int
    let groups: Int
    let vocabulary: Int
    var isTied = true

    static let all = [
        Shape(name: "tiny", width: 64, hidden: 160, layers: 2, heads: 4, groups: 2, vocabulary: 515),
        Shape(name: "0.5b", width: 896, hidden: 4864, layers: 24, heads: 14, groups: 2, vocabulary: 151_936),
        Shape(name: "1.5b", width: 1536, hidden: 8960, layers: 28, heads: 12, groups: 2, vocabulary: 151_936),
        Shape(
            name: "7b", width: 3584, hidden: 18_944, layers: 28, heads: 28, groups: 4, vocabulary: 152_064,
            isTied: false),
    ]

    var config: JSONValue {
        [
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": .int(vocabulary),
            "hidden_size": .int(width), "intermediate_size": .int(hidden), "num_hidden_layers": .int(layers),
            "num_attention_heads": .int(heads), "num_key_value_heads": .int(groups),
            "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
            "use_sliding_window": false, "hidden_act": "silu", "tie_word_embeddings": .bool(isTied),
            "initializer_range": 0.02, "torch_dtype": "bfloat16",
        ]
    }

    /// The floating-point operations that a LoRA step of sequences needs: forward, and backward with respect to the inputs
    /// alone, since the matrices are frozen; attention of the lower triangle in both, which has no weights to be frozen.
    func work(lengths: [Int], targets: Int) -> Double {
        let head = width / heads
        let matrices = layers * (2 * width * heads * head + 2 * width * groups * head + 3 * width * hidden)
        let tokens = lengths.reduce(0, +)
        let pairs = lengths.reduce(0.0) { $0 + Double($1) * Double($1) }
        return 4 * Double(matrices) * Double(tokens) + 4 * Double(width * vocabulary) * Double(targets)
            + 6 * pairs * Double(heads * head) * Double(layers)
    }
}

/// A model with LoRA on all of its linear layers.
struct TrainedModel {
    let model: CausalLanguageModel
    let trained: [TrainedParameter]

    /// - Parameter isQuick: Whether the weights are one short stretch of noise again and again, made where they lie; else
    ///   they are those of the seed on any device.
    init(_ config: JSONValue, dtype: DType, device: Device, isQuick: Bool) throws {
        model = try Models.registry.model(config)
        var lora = LoRAConfiguration()
        lora.alpha = 32
        lora.dropout = 0.05
        let attached = try lora.attach(to: model)
        if isQuick {
            try Self.fill(model, dtype, device)
        } else {
            try model.materialize(dtype: dtype, device: device, seed: 42)
        }
        try attached.materialize(dtype: .float32, device: device, seed: 42)
        try attached.setTrainable(true)
        trained = attached.parameters.compactMap { name, slot in
            slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
        }
    }

    /// Norms are ones, matrices N(0, 0.02²).
    static func fill(_ model: Module, _ dtype: DType, _ device: Device) throws {
        let noise = try Tensor.empty([4_194_301], dtype: .float32)
        try noise.fillNormal(deviation: 0.02, generator: Generator(seed: 42))
        let there = try noise.to(dtype).to(device)
        for (_, slot) in model.parameters() {
            guard let shape = slot.shape else { continue }
            if slot.initializer == .ones {
                try slot.fill(Tensor.ones(shape, dtype: dtype, device: device))
                continue
            }
            let flat = try Tensor.empty([slot.count], dtype: dtype, device: device)
            for start in stride(from: 0, to: slot.count, by: there.count) {
                let length = min(there.count, slot.count - start)
                try flat.narrowed(0, start: start, length: length).copy(
                    from: there.narrowed(0, start: 0, length: length))
            }
            try slot.fill(flat.reshaped(shape))
        }
    }
}
