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
    private let layer: Int
    private let options: AttentionOptions

    /// - Parameters:
    ///   - layer: Counts from 0; names this layer's state and random stream.
    ///   - headNormEpsilon: Each head of q and k is normed before it is rotated, with this ε; nil leaves them as they are.
    package init(
        _ sizes: TransformerSizes, layer: Int, inputBias: Bool = false, outputBias: Bool = false,
        headNormEpsilon: Double? = nil, options: AttentionOptions? = nil, initializer: Initializer
    ) {
        headSize = sizes.headSize
        self.layer = layer
        self.options = options ?? AttentionOptions(headSize: sizes.headSize)
        super.init()
        let (queries, keys) = (sizes.heads * sizes.headSize, sizes.keyValueHeads * sizes.headSize)
        query = Linear(sizes.width, queries, bias: inputBias, initializer: initializer)
        key = Linear(sizes.width, keys, bias: inputBias, initializer: initializer)
        value = Linear(sizes.width, keys, bias: inputBias, initializer: initializer)
        output = Linear(queries, sizes.width, bias: outputBias, initializer: initializer)
        queryNorm = headNormEpsilon.map { RMSNorm(sizes.headSize, epsilon: $0) }
        keyNorm = headNormEpsilon.map { RMSNorm(sizes.headSize, epsilon: $0) }
    }

    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor, _ norm: RMSNorm? = nil) throws -> Tensor {
            let split = try y.reshaped([-1, y.shape[1] / headSize, headSize])
            return try norm.map { try $0(split, context) } ?? split
        }

        let q = try context.rotary(heads(query(x, context), queryNorm))  // [T, H, E]
        let k = try context.rotary(heads(key(x, context), keyNorm))  // [T, K, E]
        let v = try heads(value(x, context))  // [T, K, E]
        let mixed = try context.attend(q, k, v, layer: layer, options)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}
