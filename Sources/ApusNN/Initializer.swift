package import ApusTorch

/// How a parameter gets its first values.
public enum Initializer: Sendable, Equatable {
    case zeros
    case ones
    case constant(Double)
    /// N(0, deviation²).
    case normal(deviation: Double)
    /// U(-b, b) with b = √(6 / ((1 + a²) · fan_in)), a = √5: PyTorch's default for linear layers, b = 1/√fan_in.
    case kaimingUniform
    /// U(-bound, bound).
    case uniform(bound: Double)
    /// ln U(low, high), for a parameter that is the logarithm of a rate.
    case logarithm(low: Double, high: Double)

    /// A new tensor in float32 on the CPU.
    package func made(_ shape: [Int], generator: Generator) throws -> Tensor {
        switch self {
        case .zeros: return try Tensor.zeros(shape)
        case .ones: return try Tensor.ones(shape)
        case .constant(let value): return try Tensor.full(shape, value)
        case .normal(let deviation):
            let tensor = try Tensor.zeros(shape)
            try tensor.fillNormal(deviation: deviation, generator: generator)
            return tensor
        case .kaimingUniform:
            return try Self.uniform(bound: 1 / Double(max(shape.last ?? 1, 1)).squareRoot())
                .made(shape, generator: generator)
        case .uniform(let bound):
            let tensor = try Tensor.zeros(shape)
            try tensor.fillUniform(-bound, bound, generator: generator)
            return tensor
        case .logarithm(let low, let high):
            let tensor = try Tensor.zeros(shape)
            try tensor.fillUniform(low, high, generator: generator)
            return try log(tensor)
        }
    }
}
