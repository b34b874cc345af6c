import ApusJSON
import ApusLanguageModel
import ApusNN
import Foundation

// A distances on each side.

/// The fields of a `config.json`, as DeBERTa names them.
struct DeBERTaConfig {
    var shape: EncoderShape
    let wordWidth: Int
    let hasPositions: Bool
    /// Distances on each side that have a vector, A.
    let span: Int
    /// The buckets that distances fall into; nil where each has one.
    let buckets: DeBERTaBuckets?
    let contentToPosition: Bool
    let positionToContent: Bool
    let sharesProjections: Bool
    let normsDistances: Bool
    /// The tokens that the convolution sees; nil where there is none.
    let convolutionWidth: Int?
    let convolutionActivation: Activation
    let poolerDropout: Double
    let poolerActivation: Activation
    let headDropout: Double

    init(_ config: ModelConfig) throws {
        let (width, heads) = (try config.size("hidden_size"), try config.size("num_attention_heads"))
        let headSize = try config.optionalSize("attention_head_size") ?? width / heads
        guard width % heads == 0, headSize > 0 else {
            throw ModelError("config.json: hidden_size (\(width)) is not a multiple of num_attention_heads (\(heads))")
        }
        let sizes = TransformerSizes(
            vocabulary: try config.size("vocab_size"), width: width, hidden: try config.size("intermediate_size"),
            layers: try config.size("num_hidden_layers"), heads: heads, keyValueHeads: heads, headSize: headSize)
        let positions = try config.optionalSize("max_position_embeddings") ?? 512
        shape = EncoderShape(
            sizes: sizes, positions: positions,
            segments: config["type_vocab_size"] == 0 ? 0 : try config.optionalSize("type_vocab_size") ?? 0,
            normEpsilon: try config.number("layer_norm_eps") ?? 1e-7)
        shape.activation = try config.activation("hidden_act", default: "gelu")
        shape.hiddenDropout = try config.probability("hidden_dropout_prob") ?? 0.1
        shape.attentionDropout = try config.probability("attention_probs_dropout_prob") ?? 0.1
        shape.initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        shape.padding = try config.padding(orElse: 0)
        wordWidth = try config.optionalSize("embedding_size") ?? width
        hasPositions = try config.flag("position_biased_input") ?? true
        try config.require(
            "relative_attention", true, otherwise: "and a DeBERTa without distances is not there yet")
        let given = try config.integer("max_relative_positions") ?? -1
        let farthest = given < 1 ? positions : given
        let bucketCount = try config.integer("position_buckets") ?? -1
        // Every distance has a bucket, and the last of them one of its own.
        guard farthest <= 1 << 31, bucketCount < 1 || bucketCount > 3 && farthest - 1 > bucketCount / 2,
            bucketCount <= 1 << 31
        else {
            throw ModelError(
                "config.json: position_buckets (\(bucketCount)) and max_relative_positions (\(farthest)) do not go together"
            )
        }
        buckets = bucketCount > 0 ? DeBERTaBuckets(count: bucketCount, farthest: farthest) : nil
        span = bucketCount > 0 ? bucketCount : farthest
        let terms = try Self.words(config, "pos_att_type")
        contentToPosition = terms.contains("c2p")
        positionToContent = terms.contains("p2c")
        if let other = terms.first(where: { !["c2p", "p2c"].contains($0) }) {
            throw ModelError("config.json: pos_att_type \"\(other)\" is not there; there are c2p, p2c")
        }
        sharesProjections = try config.flag("share_att_key") ?? false
        normsDistances = try Self.words(config, "norm_rel_ebd").contains("layer_norm")
        convolutionWidth = try config.integer("conv_kernel_size").flatMap { $0 > 0 ? $0 : nil }
        if let convolutionWidth, convolutionWidth % 2 == 0 || convolutionWidth > 1023 {
            throw ModelError("config.json: conv_kernel_size is \(convolutionWidth); it must be odd and below 1024")
        }
        try config.require("conv_groups", 1, otherwise: "which is not there yet; there is 1")
        convolutionActivation = try config.activation("conv_act", default: "tanh")
        poolerDropout = try config.probability("pooler_dropout") ?? 0
        poolerActivation = try config.activation("pooler_hidden_act", default: "gelu")
        headDropout = try config.probability("cls_dropout") ?? shape.hiddenDropout
        if let size = try config.optionalSize("pooler_hidden_size"), size != width {
            throw ModelError("config.json: pooler_hidden_size is \(size), hidden_size \(width); they must be the same")
        }
    }

    /// Words between bars, or a list of them.
    private static func words(_ config: ModelConfig, _ key: String) throws -> [String] {
        guard let value = config[key] else { return [] }
        let list = value.arrayValue?.compactMap(\.stringValue) ?? value.stringValue?.components(separatedBy: "|") ?? []
        return list.map { $0.trimmingCharacters(in: .whitespaces).lowercased() }.filter { $0 != "none" && !$0.isEmpty }
    }

    func linear(_ inputs: Int, _ outputs: Int, bias: Bool = true) -> Linear {
        Linear(inputs, outputs, bias: bias, initializer: shape.initializer)
    }

    /// The distances from row to column of a sequence, as numbers of vectors from 0 to 2A − 1.
    ///
    /// - Parameter isReversed: Whether the other direction is meant.
    func distances(_ length: Int, isReversed: Bool) -> [Int64] {
        let near = (0..<length).map { buckets?($0) ?? $0 }
        var numbers = [Int64](repeating: 0, count: length * length)
        for row in 0..<length {
            for column in 0..<length {
                let distance = row >= column ? near[row - column] : -near[column - row]
                numbers[row * length + column] = Int64(
                    min(max((isReversed ? -distance : distance) + span, 0), 2 * span - 1))
            }
        }
        return numbers
    }
}

/// Distances up to half of the buckets stand for themselves, others share buckets by their logarithm.
struct DeBERTaBuckets: Equatable {
    let count: Int
    let farthest: Int

    /// The bucket of a distance from 0 on, computed in float as the published code does.
    func callAsFunction(_ distance: Int) -> Int {
        let middle = count / 2
        guard distance > middle else { return distance }
        let share = Foundation.log(Float(distance) / Float(middle))
        let whole = Foundation.log(Float(Double(farthest - 1) / Double(middle)))
        return Int((share / whole * Float(middle - 1)).rounded(.up)) + middle
    }
}
