package import ApusTorch

// T tokens, D width, H heads, N and R elements of a head without and with rotary positions, V elements of a value,
// C elements of a latent row.

/// The sizes of latent attention.
package struct LatentShape: Sendable, Equatable {
    /// What queries are made from; nil makes them from the input itself.
    package var queryRank: Int?
    /// What keys and values are made from, C.
    package var rank: Int
    /// The part of a head without positions, N.
    package var plainSize: Int
    /// The part of a head that turns, R; that of keys is one for all heads.
    package var rotarySize: Int
    /// V.
    package var valueSize: Int

    package init(queryRank: Int?, rank: Int, plainSize: Int, rotarySize: Int, valueSize: Int) {
        self.queryRank = queryRank
        self.rank = rank
        self.plainSize = plainSize
        self.rotarySize = rotarySize
        self.valueSize = valueSize
    }

    package var headSize: Int { plainSize + rotarySize }
}

/// Attention whose keys and values are made from one short row per token, of which alone something is kept.
///
/// DeepSeek-AI 2024, <https://arxiv.org/abs/2405.04434>.
package final class MultiHeadLatentAttention: Sublayer {
    @Child("q_proj") var query: Linear?
    @Child("q_a_proj") var queryDown: Linear?
    @Child("q_a_layernorm") var queryNorm: RMSNorm?
    @Child("q_b_proj") var queryUp: Linear?
    @Child("kv_a_proj_with_mqa") var keyValueDown: Linear
    @Child("kv_a_layernorm") var keyValueNorm: RMSNorm
    @Child("kv_b_proj") var keyValueUp: Linear
    @Child("o_proj") var output: Linear

    private let shape: LatentShape
    private let heads: Int
    private let layer: Int
    private let options: AttentionOptions

    /// - Parameters:
    ///   - bias: Of what brings down to ranks, and of the output.
    ///   - normEpsilon: Of the two inner norms.
    package init(
        _ shape: LatentShape, width: Int, heads: Int, layer: Int, bias: Bool, normEpsilon: Double,
        options: AttentionOptions, initializer: Initializer
    ) {
        self.shape = shape
        self.heads = heads
        self.layer = layer
        self.options = options
        super.init()
        func linear(_ inputs: Int, _ outputs: Int, bias: Bool = false) -> Linear {
            Linear(inputs, outputs, bias: bias, initializer: initializer)
        }
        let queries = heads * shape.headSize
        query = shape.queryRank == nil ? linear(width, queries) : nil
        queryDown = shape.queryRank.map { linear(width, $0, bias: bias) }
        queryNorm = shape.queryRank.map { RMSNorm($0, epsilon: normEpsilon) }
        queryUp = shape.queryRank.map { linear($0, queries) }
        keyValueDown = linear(width, shape.rank + shape.rotarySize, bias: bias)
        keyValueNorm = RMSNorm(shape.rank, epsilon: normEpsilon)
        keyValueUp = linear(shape.rank, heads * (shape.plainSize + shape.valueSize))
        output = linear(heads * shape.valueSize, width, bias: bias)
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let (plain, turning) = (shape.plainSize, shape.rotarySize)
        let q = try queries(x, context).reshaped([-1, heads, shape.headSize])  // [T, H, N + R]
        let turned = try context.rotary(q.narrowed(2, start: plain, length: turning))
        let whole = try concatenated([q.narrowed(2, start: 0, length: plain), turned], axis: 2)

        let down = try keyValueDown(x, context)  // [T, C + R]
        let latent = try keyValueNorm(down.narrowed(1, start: 0, length: shape.rank), context)  // [T, C]
        let key = try context.rotary(down.narrowed(1, start: shape.rank, length: turning).unsqueezed(1))  // [T, 1, R]
        let row = try concatenated([latent, key.squeezed(1)], axis: 1)  // [T, C + R]

        let mixed = try context.attend(padded(whole), latent: row, layer: layer, options) {
            try self.expanded($0, context)
        }
        let own = try mixed.narrowed(2, start: 0, length: shape.valueSize)  // [T, H, V]
        return try output(own.reshaped([x.shape[0], -1]), context)  // [T, D]
    }

    private func queries(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        if let query { return try query(x, context) }
        guard let queryDown, let queryNorm, let queryUp else { preconditionFailure("a rank without its matrices") }
        return try queryUp(queryNorm(queryDown(x, context), context), context)
    }

    /// The keys and values of rows [T', C + R].
    private func expanded(_ rows: Tensor, _ context: ForwardContext) throws -> (keys: Tensor, values: Tensor) {
        let count = rows.shape[0]
        let up = try keyValueUp(rows.narrowed(1, start: 0, length: shape.rank), context)
            .reshaped([count, heads, shape.plainSize + shape.valueSize])  // [T', H, N + V]
        let shared = try rows.narrowed(1, start: shape.rank, length: shape.rotarySize).unsqueezed(1)
            .expanded([count, heads, shape.rotarySize])  // [T', H, R]
        let keys = try concatenated([up.narrowed(2, start: 0, length: shape.plainSize), shared], axis: 2)
        return (
            try padded(keys), try padded(up.narrowed(2, start: shape.plainSize, length: shape.valueSize))
        )
    }

    /// Zeros behind the elements of heads, so that those of keys and values are as many.
    private func padded(_ x: Tensor) throws -> Tensor {
        let missing = max(shape.headSize, shape.valueSize) - x.shape[2]
        guard missing > 0 else { return x }
        let zeros = try Tensor.zeros([x.shape[0], x.shape[1], missing], dtype: x.dtype, device: x.device)
        return try concatenated([x, zeros], axis: 2)
    }
}
