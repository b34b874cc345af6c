// ChatGLM2, ChatGLM3 and GLM-4 in the files of their makers. GLM Team 2024, https://arxiv.org/abs/2406.12793.
// Unusual: GLM's design with names and keys of its own: half of each head turns, in neighbouring pairs; q, k and v are one
// product with a bias, gate and up another without.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, L labels.

/// The fields of a `config.json`, as ChatGLM names them.
struct ChatGLMConfig {
    let sizes: TransformerSizes
    let normEpsilon: Double
    let attentionDropout: Double
    let classifierDropout: Double
    let inputBias: Bool
    let rotary: RotaryEmbedding
    let maximumLength: Int
    let tiesEmbeddings: Bool
    let initializer = Initializer.normal(deviation: 0.02)

    init(_ config: ModelConfig) throws {
        let heads = try config.size("num_attention_heads")
        let width = try config.size("hidden_size")
        let isShared = try config.flag("multi_query_attention") ?? false
        let groups = try config.optionalSize("multi_query_group_num") ?? 1
        let headSize = try config.optionalSize("kv_channels") ?? 128
        guard !isShared || heads % groups == 0 else {
            throw ModelError(
                "config.json: num_attention_heads (\(heads)) is not a multiple of multi_query_group_num (\(groups))")
        }
        sizes = TransformerSizes(
            vocabulary: try config.optionalSize("padded_vocab_size") ?? config.size("vocab_size"), width: width,
            hidden: try config.size("ffn_hidden_size"),
            layers: try config.optionalSize("num_layers") ?? config.size("num_hidden_layers"), heads: heads,
            keyValueHeads: isShared ? groups : heads, headSize: headSize)
        normEpsilon = try config.number("layernorm_epsilon") ?? 1e-5
        attentionDropout = try config.probability("attention_dropout") ?? 0
        classifierDropout = try config.probability("classifier_dropout") ?? 0
        inputBias = try config.flag("add_qkv_bias") ?? false
        tiesEmbeddings = try config.flag("tie_word_embeddings") ?? false
        maximumLength = try config.optionalSize("seq_length") ?? 2048
        let base = 10_000 * (try config.number("rope_ratio") ?? 1)
        guard base > 1, headSize % 4 == 0 else {
            throw ModelError(
                "config.json: rope_ratio makes the base \(base), and half of kv_channels (\(headSize)) turns in pairs; the "
                    + "base must exceed 1 and kv_channels be a multiple of 4")
        }
        rotary = RotaryEmbedding(size: headSize / 2, base: base, pairing: .interleaved)
        let fixed: [(String, JSONValue)] = [
            ("rmsnorm", true), ("add_bias_linear", false), ("apply_residual_connection_post_layernorm", false),
            ("post_layer_norm", true), ("fp32_residual_connection", false), ("original_rope", true),
            ("prefix_projection", false),
        ]
        for (key, value) in fixed { try config.require(key, value, otherwise: "which is not there for ChatGLM") }
        guard try config.probability("hidden_dropout") ?? 0 == 0 else {
            throw ModelError("config.json: hidden_dropout is not there yet for this architecture; set it to 0")
        }
        guard config["pre_seq_len"] == nil else {
            throw ModelError(
                "config.json: pre_seq_len, a prefix inside the model, is not there; give --tuner_type prefix_tuning")
        }
        // Without effect: where softmax is computed, how products are ordered, and names of the same numbers.
        for key in [
            "apply_query_key_layer_scaling", "attention_softmax_in_fp32", "bias_dropout_fusion", "num_hidden_layers",
            "vocab_size", "quantization_bit",
        ] { _ = config[key] }
    }
}

/// Dropout and a linear layer with a bias on each sequence's last token.
final class ChatGLMScoreHead: ScoreHead {
    @Child("") private var classifier: Linear

    private let probability: Double

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(width: Int, labelCount: Int, dropout: Double, initializer: Initializer) {
        probability = dropout
        super.init()
        classifier = Linear(width, labelCount, initializer: initializer)
    }

    override var labelCount: Int { classifier.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let last = try hidden.indexed(0, Tensor(batch.lastRows, device: hidden.device))  // [S, D]
        return try classifier(context.dropped(last, probability, .head).widened(), context)  // [S, L]
    }
}

package enum ChatGLM {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try ChatGLMConfig(config)
        let sizes = fields.sizes
        var names = PreNormLayer.Names()
        names.attention = "self_attention"
        names.registersNormsLast = false
        var trunkNames = Decoder.Names()
        trunkNames.embedding = "embedding.word_embeddings"
        trunkNames.layers = "encoder.layers"
        trunkNames.norm = "encoder.final_layernorm"
        func norm() -> Norm { WideRMSNorm(sizes.width, epsilon: fields.normEpsilon) }
        let options = AttentionOptions(headSize: sizes.headSize, dropout: fields.attentionDropout)
        let trunk = Decoder(
            TrunkFacts(name: "transformer", sizes: sizes, maximumLength: fields.maximumLength), names: trunkNames,
            rotary: [fields.rotary],
            embedding: Embedding(sizes.vocabulary, sizes.width, initializer: fields.initializer),
            layers: (0..<sizes.layers).map { layer in
                PreNormLayer(
                    norm,
                    attention: FusedGroupedQueryAttention(
                        sizes, layer: layer, inputBias: fields.inputBias, names: ("query_key_value", "dense"),
                        options: options, initializer: fields.initializer),
                    feedForward: FusedSwiGLU(
                        width: sizes.width, hidden: sizes.hidden, initializer: fields.initializer,
                        name: "dense_h_to_4h", down: "dense_4h_to_h"),
                    names: names)
            }, norm: norm())
        if case .sequenceClassification(let labels) = task {
            let head = ChatGLMScoreHead(
                width: sizes.width, labelCount: labels, dropout: fields.classifierDropout,
                initializer: fields.initializer)
            return SequenceClassifier(
                "ChatGLMForSequenceClassification", trunk, head: head, headName: "classifier_head")
        }
        var heads = DecoderHeads(
            family: "ChatGLM", causalSuffix: "ForConditionalGeneration", tiesEmbeddings: fields.tiesEmbeddings,
            padding: nil, initializer: fields.initializer)
        heads.name = "transformer.output_layer"
        return try heads.model(trunk, task)
    }
}
