public import ApusTorch

/// The root of every method of parameter-efficient training: something small that is trained and hangs on a part of a
/// frozen model.
open class Adapter: Module {
    /// Which of a model's adapters this is a part of; PEFT calls the first one `default`.
    package var name: String

    public init(name: String = "default") {
        self.name = name
        super.init()
    }

    /// What it is, in a tree of the model's parts.
    open var summary: String { "\(type(of: self))" }

    /// What a file holds of it: all that is trained, unless only what that amounts to is kept.
    open func stored() throws -> [(name: String, tensor: Tensor)] {
        (parameters() + (storesConstants ? constants() : [])).compactMap { name, slot in slot.tensor.map { (name, $0) }
        }
    }

    /// Whether a file holds what is not trained.
    ///
    /// Elsewhere it follows from the configuration.
    open var storesConstants: Bool { false }

    /// What is wrong with constants that a file gave, or nil.
    open func faultOfConstants() throws -> String? { nil }

    /// Tensors of files that repeat what another part holds.
    open var repeatedNames: [String] { [] }

    /// What belongs to it and is not trained, under its names in files.
    package final func constants() -> [(name: String, slot: ParameterSlot)] {
        var found: [(name: String, slot: ParameterSlot)] = []
        var mirror: Mirror? = Mirror(reflecting: self)
        while let level = mirror {
            found += level.children.compactMap { ($0.value as? any ConstantWrapper)?.slot }.filter(\.isDeclared)
                .map { ($0.name, $0) }
            mirror = level.superclassMirror
        }
        return found
    }

    /// Whether a file holds all that is trained, so that training can go on from it.
    open var isStoredAsTrained: Bool { true }

    fileprivate var cannotBeMerged: TorchError {
        TorchError(kind: .invalidOperation, message: "\(type(of: self)) cannot be merged into its layer")
    }
}

/// What can hang on a `Linear`: LoRA and its relatives.
open class LinearAdapter: Adapter {
    /// The output of the layer with this adapter — x [T, in], y [T, out].
    ///
    /// - Parameter below: What the layer gives of an input with the adapters below this one; nil where it is the plain
    ///   layer, which a fused operation can compute together with the adapter.
    open func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    /// Numbers of matrices that a pass makes of the layer's sizes, whatever its tokens, and keeps for the backward pass.
    open func keptCount(on base: Linear) -> Int { 0 }

    /// Numbers, of the hidden states' type, that it keeps of each token beside what a low-rank term does.
    open func keptCountOfToken(on base: Linear) -> Int { 0 }

    /// Whether the layer's matrix is a table whose adapter changes it as this one does, so that merging there is enough.
    open var followsTable: Bool { false }

    /// The matrix [out, in] of a plain layer that computes the same.
    ///
    /// - Throws: `TorchError` for a method that no plain layer can stand for.
    open func merged(into matrix: Tensor) throws -> Tensor { throw cannotBeMerged }

    /// Whether a layer without a bias would need one to stand for it.
    open var changesBias: Bool { false }

    /// The bias [out] of that plain layer.
    open func merged(intoBias bias: Tensor) throws -> Tensor { bias }
}

/// What can hang on an `Embedding`.
open class EmbeddingAdapter: Adapter {
    /// The vectors of ids T with this adapter, [T, D]; `below` are those without it.
    open func callAsFunction(
        _ ids: Tensor, on base: Embedding, below: Tensor, _ context: ForwardContext
    ) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    /// The table [V, D] of a plain embedding that gives the same.
    ///
    /// - Throws: `TorchError` for a method that no plain table can stand for.
    open func merged(into table: Tensor) throws -> Tensor { throw cannotBeMerged }
}

/// What can hang on a `Norm`.
open class NormAdapter: Adapter {
    /// The norm of x with this adapter, [T, D].
    open func callAsFunction(_ x: Tensor, on base: Norm, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    /// The parameters, by their names, of a plain norm that computes the same.
    ///
    /// - Throws: `TorchError` for a method that no plain norm can stand for.
    open func merged(into parameters: [String: Tensor]) throws -> [String: Tensor] { throw cannotBeMerged }
}

/// Which of a model's adapters take part in a pass.
package enum AdapterSelection: Sendable, Equatable {
    case all
    /// The base model: what a reference in preference training is.
    case base
    case only(Set<String>)

    package func contains(_ name: String) -> Bool {
        switch self {
        case .all: true
        case .base: false
        case .only(let names): names.contains(name)
        }
    }
}
