public import ApusTorch

/// `y = x Wᵀ + b`, with whatever adapters hang on it — x [T, in], y [T, out].
open class Linear: Module {
    /// How the matrix lies on disk.
    package enum Layout: Sendable, Equatable {
        /// [out, in], as nearly everywhere.
        case outputsFirst
        /// [in, out]: the `Conv1D` of GPT-2.
        case inputsFirst
    }

    @Parameter("weight") public var weight: Tensor  // as `layout` says
    @Parameter("bias") public var bias: Tensor?  // [out]
    @Child("adapters") package var adapters: [LinearAdapter]

    public let inputs: Int
    public let outputs: Int
    package let layout: Layout
    /// Where the matrix lies when it is not in this layer's own slot.
    package private(set) var storage: (any WeightStorage)?

    /// - Parameter storage: Holds the matrix in place of a slot of this layer.
    package init(
        _ inputs: Int, _ outputs: Int, bias: Bool = true, initializer: Initializer = .kaimingUniform,
        layout: Layout = .outputsFirst, storage: (any WeightStorage)? = nil
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.layout = layout
        self.storage = storage
        super.init()
        if storage == nil {
            $weight.declare(layout == .outputsFirst ? [outputs, inputs] : [inputs, outputs], initializer)
        }
        if bias { $bias.declare([outputs]) }
        adapters = []
    }

    /// W, [out, in].
    package var matrix: Tensor {
        get throws {
            if let storage { return try storage.matrix() }
            return layout == .outputsFirst ? weight : try weight.transposed(0, 1)
        }
    }

    /// Puts another matrix [out, in] in place, into a slot of this layer's own.
    ///
    /// - Throws: `TorchError` where the matrix is kept in fewer bits, which would round the new one.
    package func setMatrix(_ matrix: Tensor) throws {
        guard !isQuantized else {
            throw TorchError(
                kind: .invalidOperation,
                message: "the matrix of a layer is kept in fewer bits and cannot be changed; load the model without "
                    + "quantisation")
        }
        if storage != nil {
            formerTie = storage as? TiedWeight
            storage = nil
            $weight.declare([outputs, inputs])
        }
        try $weight.fill(layout == .outputsFirst ? matrix : matrix.transposed(0, 1).contiguous())
    }

    /// Puts the matrix in fewer bits in place of its slot, which keeps the shape and loses the values.
    package func quantize(_ storage: any QuantizedStorage) {
        self.storage = storage
        $weight.release()
    }

    /// Whether the matrix is kept in fewer bits: made when it is needed, and not to be changed.
    package var isQuantized: Bool { storage is any QuantizedStorage }

    /// Where the matrix came from that was taken out of a tie; first values come from there.
    package private(set) var formerTie: TiedWeight?

    /// Takes a matrix that is a table of vectors into a slot of this layer's own, so that the two can differ.
    package func untie() throws {
        guard let tied = storage as? TiedWeight else { return }
        formerTie = tied
        storage = nil
        $weight.declare([outputs, inputs])
        if let table = tied.embedding.$weight.tensor { try $weight.fill(table.cloned()) }
    }

    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        var output: ((Tensor) throws -> Tensor)?
        for adapter in adapters where context.adapters.contains(adapter.name) {
            let below = output
            output = { try adapter($0, on: self, below: below, context) }
        }
        return try output?(x) ?? plain(x)
    }

    /// The layer without adapters.
    package func plain(_ x: Tensor) throws -> Tensor { try product(x, bias) }

    /// `x Wᵀ + b` with this layer's matrix.
    package func product(_ x: Tensor, _ bias: Tensor? = nil) throws -> Tensor {
        try storage?.product(x, bias) ?? linear(x, matrix, bias)
    }
}

/// Where a layer's matrix lies when it has no slot of its own: in another part of the model, or in fewer bits.
package protocol WeightStorage {
    /// W, [out, in], in the type to compute in.
    func matrix() throws -> Tensor

    /// `x Wᵀ + b` — x [T, in], y [T, out].
    func product(_ x: Tensor, _ bias: Tensor?) throws -> Tensor
}

extension WeightStorage {
    package func product(_ x: Tensor, _ bias: Tensor?) throws -> Tensor { try linear(x, matrix(), bias) }
}

/// `scale · (drop(x) Aᵀ) Bᵀ`, which a product can add while it is made.
package struct LowRankTerm {
    package let a: Tensor  // [rank, in]
    package let b: Tensor  // [out, rank]
    package let scale: Double
    package let dropout: Double
    package let key: UInt64

    package init(a: Tensor, b: Tensor, scale: Double, dropout: Double, key: UInt64) {
        (self.a, self.b, self.scale, self.dropout, self.key) = (a, b, scale, dropout, key)
    }
}

/// A matrix in fewer bits, which is made for each product and never kept.
package protocol QuantizedStorage: WeightStorage {
    /// `x Wᵀ + b` and a low-rank term.
    func product(_ x: Tensor, _ bias: Tensor?, plus term: LowRankTerm) throws -> Tensor
    /// What it is, in a tree of the model's parts: `nf4`.
    var summary: String { get }
    /// Bytes that are kept.
    var byteCount: Int { get }
}

/// The matrix of a head that is the table of word vectors, without the table's adapters.
package struct TiedWeight: WeightStorage {
    package let embedding: Embedding

    package init(_ embedding: Embedding) { self.embedding = embedding }

    package func matrix() throws -> Tensor { embedding.weight }
}
