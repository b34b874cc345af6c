package import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size.

/// Causal self-attention with rotary positions and shared key/value heads.
///
/// Ainslie et al. 2023, <https://arxiv.org/abs/2305.13245>.
package final class GroupedQueryAttention: Module {
    @Child("q_proj") package var query: Linear
    @Child("k_proj") package var key: Linear
    @Child("v_proj") package var value: Linear
    @Child("o_proj") package var output: Linear
    @Child("q_norm") var queryNorm: RMSNorm?
    @Child("k_norm") var keyNorm: RMSNorm?

    private let headSize: Int
    private let window: Int?
    private let layer: Int

    package init(_ shape: DecoderShape, layer: Int) {
        headSize = shape.headSize
        window = layer >= shape.firstWindowLayer ? shape.window : nil
        self.layer = layer
        super.init()
        let (queries, keys) = (shape.heads * shape.headSize, shape.keyValueHeads * shape.headSize)
        query = Linear(shape.width, queries, bias: shape.hasAttentionInputBias, initializer: shape.initializer)
        key = Linear(shape.width, keys, bias: shape.hasAttentionInputBias, initializer: shape.initializer)
        value = Linear(shape.width, keys, bias: shape.hasAttentionInputBias, initializer: shape.initializer)
        output = Linear(queries, shape.width, bias: shape.hasAttentionOutputBias, initializer: shape.initializer)
        queryNorm = shape.normsHeads ? RMSNorm(headSize, epsilon: shape.normEpsilon) : nil
        keyNorm = shape.normsHeads ? RMSNorm(headSize, epsilon: shape.normEpsilon) : nil
    }

    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor, _ norm: RMSNorm? = nil) throws -> Tensor {
            let split = try y.reshaped([-1, y.shape[1] / headSize, headSize])
            return try norm.map { try $0(split) } ?? split
        }

        let q = try context.rotary(heads(query(x, context), queryNorm))  // [T, H, E]
        let k = try context.rotary(heads(key(x, context), keyNorm))  // [T, K, E]
        let v = try heads(value(x, context))  // [T, K, E]
        let mixed = try context.attend(
            q, k, v, layer: layer, scale: 1 / Double(headSize).squareRoot(), window: window)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}
