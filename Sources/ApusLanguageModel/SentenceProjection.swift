import ApusNN
package import ApusTorch

// S sequences, P width before, Q width after.

/// A layer over pooled vectors, `y = f(x Wᵀ + b)`, to which a residual may be added: the `Dense` of
/// sentence-transformers.
///
/// It is used as it was stored; training changes the model below it.
package final class SentenceProjection {
    /// The functions, by the names of PyTorch's classes.
    package enum Function: String, CaseIterable, Sendable {
        case identity = "Identity"
        case tanh = "Tanh"
        case relu = "ReLU"
        case gelu = "GELU"
        case silu = "SiLU"
        case sigmoid = "Sigmoid"

        fileprivate func callAsFunction(_ x: Tensor) throws -> Tensor {
            switch self {
            case .identity: x
            case .tanh: try ApusTorch.tanh(x)
            case .relu: try ApusTorch.relu(x)
            case .gelu: try ApusTorch.gelu(x)
            case .silu: try ApusTorch.silu(x)
            case .sigmoid: try ApusTorch.sigmoid(x)
            }
        }
    }

    /// What is added to the result.
    package enum Residual {
        case none
        /// The vectors themselves.
        case input
        /// The vectors times a matrix [Q, P].
        case projected(Tensor)
    }

    private var weight: Tensor
    private var bias: Tensor?
    private let function: Function
    private var residual: Residual
    private let normalizes: Bool

    /// - Parameters:
    ///   - weight: [Q, P] in float32.
    ///   - bias: [Q].
    ///   - normalizes: Whether the result is brought to length 1.
    package init(weight: Tensor, bias: Tensor?, function: Function, residual: Residual = .none, normalizes: Bool) {
        self.weight = weight
        self.bias = bias
        self.function = function
        self.residual = residual
        self.normalizes = normalizes
    }

    /// The width of its vectors, Q.
    package var width: Int { weight.shape[0] }

    /// [S, P] to [S, Q].
    package func callAsFunction(_ vectors: Tensor) throws -> Tensor {
        try move(to: vectors.device)
        var result = try matmul(vectors, weight.transposed(0, 1))  // [S, Q]
        if let bias { result = try result + bias }
        result = try function(result)
        switch residual {
        case .none: break
        case .input: result = try result + vectors
        case .projected(let matrix): result = try result + matmul(vectors, matrix.transposed(0, 1))
        }
        return try normalizes ? result.rowsNormalized() : result
    }

    /// The device is known only when vectors come.
    private func move(to device: Device) throws {
        guard weight.device != device else { return }
        weight = try weight.to(device)
        bias = try bias?.to(device)
        if case .projected(let matrix) = residual { residual = .projected(try matrix.to(device)) }
    }
}
