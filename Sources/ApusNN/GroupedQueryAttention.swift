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

    private let headSize: Int
    private let layer: Int

    package init(
        width: Int, heads: Int, keyValueHeads: Int, headSize: Int, layer: Int, inputBias: Bool, outputBias: Bool,
        initializer: Initializer
    ) {
        self.headSize = headSize
        self.layer = layer
        super.init()
        query = Linear(width, heads * headSize, bias: inputBias, initializer: initializer)
        key = Linear(width, keyValueHeads * headSize, bias: inputBias, initializer: initializer)
        value = Linear(width, keyValueHeads * headSize, bias: inputBias, initializer: initializer)
        output = Linear(heads * headSize, width, bias: outputBias, initializer: initializer)
    }

    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, y.shape[1] / headSize, headSize]) }

        let q = try context.rotary(heads(query(x, context)))  // [T, H, E]
        let k = try context.rotary(heads(key(x, context)))  // [T, K, E]
        let v = try heads(value(x, context))  // [T, K, E]
        let mixed = try context.attend(q, k, v, layer: layer, scale: 1 / Double(headSize).squareRoot())  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}
