package import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size.

/// Causal self-attention with shared key/value heads.
///
/// Ainslie et al. 2023, <https://arxiv.org/abs/2305.13245>.
package final class GroupedQueryAttention: Sublayer {
    @Child("q_proj") package var query: Linear
    @Child("k_proj") package var key: Linear
    @Child("v_proj") package var value: Linear
    @Child("o_proj") package var output: Linear
    @Child("q_norm") var queryNorm: Norm?
    @Child("k_norm") var keyNorm: Norm?

    private let headSize: Int
    private let layer: Int
    private let table: Int?
    private let options: AttentionOptions

    /// - Parameters:
    ///   - layer: Counts from 0; names this layer's state and random stream.
    ///   - headNorm: Makes the norm of each head of q, and that of k, before they are rotated; nil leaves them as they
    ///     are.
    ///   - table: The trunk's rotary table that q and k turn by; nil leaves them unturned.
    package init(
        _ sizes: TransformerSizes, layer: Int, inputBias: Bool = false, outputBias: Bool = false,
        headNorm: (() -> Norm)? = nil, table: Int? = 0, options: AttentionOptions? = nil, initializer: Initializer
    ) {
        headSize = sizes.headSize
        self.layer = layer
        self.table = table
        self.options = options ?? AttentionOptions(headSize: sizes.headSize)
        super.init()
        let (queries, keys) = (sizes.heads * sizes.headSize, sizes.keyValueHeads * sizes.headSize)
        query = Linear(sizes.width, queries, bias: inputBias, initializer: initializer)
        key = Linear(sizes.width, keys, bias: inputBias, initializer: initializer)
        value = Linear(sizes.width, keys, bias: inputBias, initializer: initializer)
        output = Linear(queries, sizes.width, bias: outputBias, initializer: initializer)
        queryNorm = headNorm?()
        keyNorm = headNorm?()
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor, _ norm: Norm? = nil) throws -> Tensor {
            let split = try y.reshaped([-1, y.shape[1] / headSize, headSize])
            return try norm.map { try $0(split, context) } ?? split
        }
        func turned(_ y: Tensor) throws -> Tensor { try table.map { try context.rotary(y, table: $0) } ?? y }

        let q = try turned(heads(query(x, context), queryNorm))  // [T, H, E]
        let k = try turned(heads(key(x, context), keyNorm))  // [T, K, E]
        let v = try heads(value(x, context))  // [T, K, E]
        let mixed = try context.attend(q, k, v, layer: layer, options)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

/// How the rows of one matrix for queries, keys and values are ordered.
package enum QueryKeyValueOrder: Sendable {
    /// All queries, all keys, all values.
    case kinds
    /// For each key/value head its queries, its key and its value.
    case groups

    /// [T, (H + 2K) · E] → q [T, H, E], k and v [T, K, E].
    func split(_ all: Tensor, _ sizes: TransformerSizes) throws -> (q: Tensor, k: Tensor, v: Tensor) {
        let (heads, groups, size) = (sizes.heads, sizes.keyValueHeads, sizes.headSize)
        switch self {
        case .kinds:
            let rows = try all.reshaped([-1, heads + 2 * groups, size])
            return (
                try rows.narrowed(1, start: 0, length: heads), try rows.narrowed(1, start: heads, length: groups),
                try rows.narrowed(1, start: heads + groups, length: groups)
            )
        case .groups:
            let own = heads / groups
            let rows = try all.reshaped([-1, groups, own + 2, size])
            return (
                try rows.narrowed(2, start: 0, length: own).reshaped([-1, heads, size]),
                try rows.selected(2, own), try rows.selected(2, own + 1)
            )
        }
    }
}

/// The same attention with one product for queries, keys and values.
package final class FusedGroupedQueryAttention: Sublayer {
    @Child("qkv_proj") var queryKeyValue: Linear
    @Child("o_proj") var output: Linear

    private let sizes: TransformerSizes
    private let layer: Int
    private let order: QueryKeyValueOrder
    private let table: Int?
    private let options: AttentionOptions

    /// - Parameters:
    ///   - names: What the two matrices are called on disk.
    ///   - table: The trunk's rotary table that q and k turn by; nil leaves them unturned.
    package init(
        _ sizes: TransformerSizes, layer: Int, order: QueryKeyValueOrder = .kinds, inputBias: Bool = false,
        outputBias: Bool = false, names: (input: String, output: String) = ("qkv_proj", "o_proj"), table: Int? = 0,
        options: AttentionOptions, initializer: Initializer
    ) {
        self.sizes = sizes
        self.layer = layer
        self.order = order
        self.table = table
        self.options = options
        super.init()
        let (queries, all) = (sizes.heads * sizes.headSize, (sizes.heads + 2 * sizes.keyValueHeads) * sizes.headSize)
        _queryKeyValue = Child(
            wrappedValue: Linear(sizes.width, all, bias: inputBias, initializer: initializer), names.input)
        _output = Child(
            wrappedValue: Linear(queries, sizes.width, bias: outputBias, initializer: initializer), names.output)
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func turned(_ y: Tensor) throws -> Tensor { try table.map { try context.rotary(y, table: $0) } ?? y }

        let (q, k, v) = try order.split(queryKeyValue(x, context), sizes)
        let mixed = try context.attend(turned(q), turned(k), v, layer: layer, options)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}
