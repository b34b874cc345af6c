import Foundation
import Testing

@testable import ApusTorch

/// The kernel of each fused operation against its composed form: every type, every device that is there, values and
/// gradients.
struct FormTests {
    struct Operation: Sendable, CustomTestStringConvertible {
        let name: String
        let shapes: [[Int]]
        let body: @Sendable ([Tensor], Device) throws -> Tensor

        var testDescription: String { name }
    }

    static let bounds: [Int32] = [0, 7, 8, 20]

    static let operations: [Operation] = [
        Operation(name: "linear", shapes: [[9, 12], [10, 12], [10]]) { x, _ in try linear(x[0], x[1], x[2]) },
        Operation(name: "linear without bias", shapes: [[9, 12], [10, 12]]) { x, _ in try linear(x[0], x[1]) },
        Operation(name: "loraLinear", shapes: [[9, 12], [10, 12], [10], [4, 12], [10, 4]]) { x, _ in
            try loraLinear(x[0], x[1], x[2], a: x[3], b: x[4], scale: 0.5, dropout: 0, key: 1)
        },
        Operation(name: "loraLinear with dropout", shapes: [[9, 12], [10, 12], [4, 12], [10, 4]]) { x, _ in
            try loraLinear(x[0], x[1], nil, a: x[2], b: x[3], scale: 0.5, dropout: 0.3, key: 1)
        },
        attention("causal attention", isCausal: true), attention("attention", isCausal: false),
        attention("attention in a window", isCausal: true, window: 3),
        attention("causal attention with dropout", isCausal: true, dropout: 0.2),
        attention("attention with dropout", isCausal: false, dropout: 0.2),
        attention("attention with dropout in a window", isCausal: true, window: 3, dropout: 0.2),
        Operation(name: "attention over a cache", shapes: [[4, 4, 8], [20, 2, 8], [20, 2, 8]]) { x, _ in
            try ApusTorch.attention(
                x[0], x[1], x[2], queryBounds: [0, 2, 3, 4], keyBounds: bounds, isCausal: true, scale: 0.3)
        },
        Operation(name: "rmsNorm", shapes: [[9, 37], [37]]) { x, _ in try rmsNorm(x[0], x[1], epsilon: 1e-5) },
        Operation(name: "layerNorm", shapes: [[70, 37], [37], [37]]) { x, _ in
            try layerNorm(x[0], x[1], x[2], epsilon: 1e-5)
        },
        Operation(name: "swiglu", shapes: [[9, 21], [9, 21]]) { x, _ in try swiglu(gate: x[0], up: x[1]) },
        Operation(name: "gelu", shapes: [[9, 21]]) { x, _ in try gelu(x[0]) },
        Operation(name: "gelu by tanh", shapes: [[9, 21]]) { x, _ in try gelu(x[0], approximatesByTanh: true) },
        Operation(name: "rotated", shapes: [[9, 3, 8]]) { x, device in
            let angles = try Tensor((0..<36).map { Float($0) * 0.37 }, shape: [9, 4], device: device)
            return try rotated(x[0], cosines: cos(angles), sines: sin(angles))
        },
        Operation(name: "dropout", shapes: [[9, 21]]) { x, _ in try dropout(x[0], probability: 0.3, key: 77) },
        Operation(name: "linearCrossEntropy", shapes: [[9, 12], [31, 12]]) { x, device in
            let labels = try Tensor([3, 0, 30, 12, 12, 7, 1, 29, 8] as [Int64], device: device)
            let weights = try Tensor([1, 0.5, 1, 2, 1, 0, 1, 0.25, 1] as [Float], device: device)
            return try linearCrossEntropy(x[0], x[1], labels: labels, rowWeights: weights, chunk: 4).loss
        },
        Operation(name: "checkpointed", shapes: [[9, 12], [12, 12]]) { x, _ in
            try checkpointed(x) { try tanh(linear($0[0], $0[1])) }
        },
    ]

    static func attention(_ name: String, isCausal: Bool, window: Int? = nil, dropout: Double = 0) -> Operation {
        Operation(name: name, shapes: [[20, 4, 8], [20, 2, 8], [20, 2, 8]]) { x, _ in
            try ApusTorch.attention(
                x[0], x[1], x[2], queryBounds: bounds, keyBounds: bounds, isCausal: isCausal, window: window,
                scale: 0.3, dropout: dropout, key: 5)
        }
    }

    /// What rounding alone may do, relative to the largest value.
    static let tolerances: [(DType, Double)] = [
        (.float64, 1e-12), (.float32, 5e-6), (.bfloat16, 3e-2), (.float16, 4e-3),
    ]

    static var devices: [Device] { Device.fastest == .cpu ? [.cpu] : [.cpu, .fastest] }

    /// The value and the gradients of all inputs.
    func results(_ operation: Operation, _ dtype: DType, _ device: Device) throws -> [Tensor] {
        let inputs = try operation.shapes.enumerated().map { index, shape in
            let x = try Tensor.empty(shape, dtype: .float32)
            try x.fillNormal(generator: Generator(seed: UInt64(index + 1)))
            let input = try x.to(dtype).to(device)
            try input.setRequiresGradient(true)
            return input
        }
        let y = try operation.body(inputs, device)
        let direction = try Tensor.empty(y.shape, dtype: .float32)
        try direction.fillNormal(generator: Generator(seed: 99))
        try y.backward(direction.to(y.dtype).to(device))
        return try [y] + inputs.map { try #require($0.gradient, "no gradient") }
    }

    @Test(arguments: operations, tolerances) func kernelAndComposedFormAgree(
        operation: Operation, tolerance: (dtype: DType, bound: Double)
    ) throws {
        let composed = try withComposedForms { try results(operation, tolerance.dtype, .cpu) }
        for device in Self.devices {
            for (ours, theirs) in zip(try results(operation, tolerance.dtype, device), composed) {
                #expect(ours.shape == theirs.shape && ours.dtype == theirs.dtype)
                let distance = try withoutGradients {
                    let plain = try theirs.to(.float64)
                    let scale = try Swift.max(1, abs(plain).max().item())
                    return try abs(ours.to(.cpu).to(.float64) - plain).max().item() / scale
                }
                #expect(distance <= tolerance.bound, "\(operation.name) on \(device)")
            }
        }
    }

    @Test(arguments: DType.allCases.filter(\.isFloatingPoint)) func everyFormDropsTheSameElements(dtype: DType) throws {
        for (count, chance, key) in [(1, 0.5, 0), (1000, 0.1, 42), (40_000, 0.999, .max), (5, 0, 7)] as [
            (Int, Double, UInt64)
        ] {
            let x = try Tensor.empty([count], dtype: .float32)
            try x.fillNormal(generator: Generator(seed: 3))
            let short = try x.to(dtype)
            let kernel = try dropout(short, probability: chance, key: key)
            #expect(try withComposedForms { try dropout(short, probability: chance, key: key) }.equals(kernel))
        }
    }

    @Test func aLabelThatIsNoIdIsNeverPassedOver() throws {
        let (x, weight) = (try Tensor.ones([2, 3]), try Tensor.ones([5, 3]))
        for label in [-1, 5] as [Int64] {
            #expect(throws: TorchError.self) {
                try linearCrossEntropy(x, weight, labels: Tensor([0, label]))
            }
        }
    }
}
