package import ApusTorch

/// A fused operation with its formula in ordinary operations, for the tests of all of them on every device.
package struct FusedOperation: Sendable {
    package let name: String
    /// Of the inputs, which are drawn at random and given gradients.
    package let shapes: [[Int]]
    package let fused: @Sendable ([Tensor]) throws -> Tensor
    /// Nil where ordinary operations have none: the error function of GELU.
    package let formula: (@Sendable ([Tensor]) throws -> Tensor)?

    package init(
        _ name: String, _ shapes: [[Int]], _ fused: @escaping @Sendable ([Tensor]) throws -> Tensor,
        formula: (@Sendable ([Tensor]) throws -> Tensor)?
    ) {
        self.name = name
        self.shapes = shapes
        self.fused = fused
        self.formula = formula
    }

    /// The value and the gradients of all inputs, which are drawn from the numbers of their places and then rounded.
    ///
    /// - Parameters:
    ///   - rounding: What the inputs are rounded to before they are given in `dtype`; nil for that type itself.
    ///   - body: `fused` or `formula`.
    package func results(
        _ dtype: DType, _ device: Device, rounding: DType? = nil, _ body: ([Tensor]) throws -> Tensor
    ) throws -> [Tensor] {
        let inputs = try inputs(dtype, device, rounding: rounding)
        let y = try body(inputs)
        let direction = try Self.drawn(y.shape, seed: 99).to(rounding ?? dtype)
        try y.backward(direction.to(y.dtype).to(device))
        return try [y]
            + inputs.map {
                guard let gradient = $0.gradient else {
                    throw TorchError(kind: .invalidOperation, message: "\(name): an input has no gradient")
                }
                return gradient
            }
    }

    /// The inputs, with gradients to be asked for.
    package func inputs(_ dtype: DType, _ device: Device, rounding: DType? = nil) throws -> [Tensor] {
        try shapes.enumerated().map { index, shape in
            let input = try Self.drawn(shape, seed: UInt64(index + 1)).to(rounding ?? dtype).to(dtype).to(device)
            try input.setRequiresGradient(true)
            return input
        }
    }

    package static func drawn(_ shape: [Int], seed: UInt64) throws -> Tensor {
        let x = try Tensor.empty(shape, dtype: .float32)
        try x.fillNormal(generator: Generator(seed: seed))
        return x
    }

    /// More elements than libtorch computes on one thread.
    private static let large = [130, 300]

    package static let all: [FusedOperation] =
        linears + attentions + norms + elementwise + losses + [
            FusedOperation("rotated", [[9, 3, 8]]) {
                let device = $0[0].device
                return try rotated($0[0], cosines: cos(angles()).to(device), sines: sin(angles()).to(device))
            } formula: {
                let (device, angles) = ($0[0].device, try angles().unsqueezed(1))
                let c = try cos(angles).to(device).to($0[0].dtype)
                let s = try sin(angles).to(device).to($0[0].dtype)
                let a = try $0[0].narrowed(2, start: 0, length: 4)
                let b = try $0[0].narrowed(2, start: 4, length: 4)
                return try concatenated([a * c - b * s, b * c + a * s], axis: 2)
            },
            FusedOperation("dropout", [[9, 21]]) {
                try dropout($0[0], probability: 0.3, key: 77)
            } formula: {
                try $0[0]
                    * dropout(Tensor.ones([9, 21], device: $0[0].device), probability: 0.3, key: 77)
                    .to($0[0].dtype)
            },
            FusedOperation("checkpointed", [[9, 12], [12, 12], [9, 12]]) {
                try checkpointed($0) { try tanh(linear($0[0], $0[1])) * $0[2] }
            } formula: {
                try tanh(matmul($0[0], $0[1].transposed(0, 1))) * $0[2]
            },
        ]

    /// On the processor: a device's sines and cosines in float32 round otherwise, which float64 would not forgive.
    private static func angles() throws -> Tensor { try Tensor((0..<36).map { Float($0) * 0.37 }, shape: [9, 4]) }

    private static let linears = [
        FusedOperation("linear", [[9, 12], [10, 12], [10]]) {
            try linear($0[0], $0[1], $0[2])
        } formula: {
            try matmul($0[0], $0[1].transposed(0, 1)) + $0[2]
        },
        FusedOperation("linear without bias", [[9, 12], [10, 12]]) {
            try linear($0[0], $0[1])
        } formula: {
            try matmul($0[0], $0[1].transposed(0, 1))
        },
        lora("loraLinear", bias: true, dropout: 0), lora("loraLinear with dropout", bias: false, dropout: 0.3),
        quantized("four bits", bits: 4), quantized("eight bits", bits: 8),
        quantizedLoRA("loraLinear in four bits", dropout: 0),
        quantizedLoRA("loraLinear in four bits with dropout", dropout: 0.3),
    ]

    private static func quantizedLoRA(_ name: String, dropout probability: Double) -> FusedOperation {
        FusedOperation(name, [[9, 13], [4, 13], [11, 4], [11]]) {
            try loraLinear(
                $0[0], matrix(bits: 4, on: $0[0].device), $0[3], dtype: $0[0].dtype, a: $0[1], b: $0[2], scale: 0.5,
                dropout: probability, key: 1)
        } formula: {
            let matrix = try matrix(bits: 4, on: $0[0].device).dequantized($0[0].dtype)
            let kept = try dropout($0[0], probability: probability, key: 1)
            let low = try matmul(matmul(kept, $0[1].transposed(0, 1)), $0[2].transposed(0, 1)) * 0.5
            return try matmul($0[0], matrix.transposed(0, 1)) + low + $0[3]
        }
    }

    private static func quantized(_ name: String, bits: Int) -> FusedOperation {
        FusedOperation("linear in \(name)", [[9, 13], [11]]) {
            try linear($0[0], matrix(bits: bits, on: $0[0].device), $0[1], dtype: $0[0].dtype)
        } formula: {
            let matrix = try matrix(bits: bits, on: $0[0].device).dequantized($0[0].dtype)
            return try matmul($0[0], matrix.transposed(0, 1)) + $0[1]
        }
    }

    /// [11, 13]: an odd count of numbers, in blocks that end inside rows.
    package static func matrix(bits: Int, on device: Device, shape: [Int] = [11, 13]) throws -> QuantizedMatrix {
        let numbers = try Tensor.empty(shape, dtype: .float32)
        try numbers.fillNormal(generator: Generator(seed: 5))
        let there = try numbers.to(device)
        guard bits == 4 else { return try QuantizedMatrix(eightBits: there) }
        let code = (0..<16).map { Float($0) / 7.5 - 1 }
        return try QuantizedMatrix(fourBits: there, code: code, block: 32).compressed()
    }

    private static func lora(_ name: String, bias: Bool, dropout probability: Double) -> FusedOperation {
        FusedOperation(name, [[9, 12], [10, 12], [4, 12], [10, 4]] + (bias ? [[10]] : [])) {
            try loraLinear(
                $0[0], $0[1], bias ? $0[4] : nil, a: $0[2], b: $0[3], scale: 0.5, dropout: probability, key: 1)
        } formula: {
            let kept = try dropout($0[0], probability: probability, key: 1)
            let base = try matmul($0[0], $0[1].transposed(0, 1))
            let low = try matmul(matmul(kept, $0[2].transposed(0, 1)), $0[3].transposed(0, 1)) * 0.5
            return try bias ? base + low + $0[4] : base + low
        }
    }

    private static let norms = [
        FusedOperation("rmsNorm", [[9, 37], [37]]) {
            try rmsNorm($0[0], $0[1], epsilon: 1e-5)
        } formula: {
            let variance = try $0[0].power(2).mean(-1, keepAxis: true) + 1e-5
            return try $0[0] * variance.power(-0.5) * $0[1]
        },
        FusedOperation("layerNorm", [[70, 37], [37], [37]]) {
            try layerNorm($0[0], $0[1], $0[2], epsilon: 1e-5)
        } formula: {
            let centered = try $0[0] - $0[0].mean(-1, keepAxis: true)
            let variance = try centered.power(2).mean(-1, keepAxis: true) + 1e-5
            return try centered * variance.power(-0.5) * $0[1] + $0[2]
        },
    ]

    private static let elementwise = [
        FusedOperation("swiglu", [[9, 21], [9, 21]]) {
            try swiglu(gate: $0[0], up: $0[1])
        } formula: {
            try $0[0] * sigmoid($0[0]) * $0[1]
        },
        FusedOperation("gelu", [large], { try gelu($0[0]) }, formula: nil),
        FusedOperation("gelu by tanh", [large]) {
            try gelu($0[0], approximatesByTanh: true)
        } formula: {
            let inner = try ($0[0] + $0[0].power(3) * 0.044715) * (2 / Double.pi).squareRoot()
            return try $0[0] * (tanh(inner) + 1) * 0.5
        },
        FusedOperation("silu", [large]) {
            try silu($0[0])
        } formula: {
            try $0[0] / (exp(-$0[0]) + 1)
        },
        FusedOperation("sigmoid", [large]) {
            try sigmoid($0[0])
        } formula: {
            try (exp(-$0[0]) + 1).power(-1)
        },
        FusedOperation("tanh", [large]) {
            try tanh($0[0])
        } formula: {
            let e = try exp($0[0] * 2)
            return try (e - 1) / (e + 1)
        },
        FusedOperation("softmax", [large]) {
            try softmax($0[0])
        } formula: {
            let e = try exp($0[0])
            return try e / e.sum(-1, keepAxis: true)
        },
        FusedOperation("sum", [large]) {
            try $0[0].sum() * 0.01
        } formula: {
            try $0[0].sum(1).sum(0) * 0.01
        },
    ]

    private static let losses = [
        FusedOperation("linearCrossEntropy", [[9, 12], [31, 12]]) {
            let weights = try Tensor(rowWeights, device: $0[0].device)
            return try linearCrossEntropy(
                $0[0], $0[1], labels: labels(on: $0[0].device), rowWeights: weights, chunk: 4
            ).sum
        } formula: {
            let all = try logSoftmax(matmul($0[0], $0[1].transposed(0, 1)))
            let weights = try Tensor(rowWeights, device: $0[0].device).to($0[0].dtype)
            return try -(all.gathered(1, labels(on: $0[0].device).unsqueezed(1)).squeezed(1) * weights).sum()
        },
        FusedOperation("linearCrossEntropy, smoothed", [[9, 12], [31, 12]]) {
            try linearCrossEntropy(
                $0[0], $0[1], labels: labels(on: $0[0].device), rowWeights: Tensor(rowWeights, device: $0[0].device),
                chunk: 4, form: .smoothed(0.2)
            ).sum
        } formula: {
            let all = try logSoftmax(matmul($0[0], $0[1].transposed(0, 1)))
            let weights = try Tensor(rowWeights, device: $0[0].device).to($0[0].dtype)
            let own = try all.gathered(1, labels(on: $0[0].device).unsqueezed(1)).squeezed(1)
            return try -((own * 0.8 + all.mean(1) * 0.2) * weights).sum()
        },
        FusedOperation("linearTokenLosses", [[9, 12], [31, 12]]) {
            let weights = try Tensor(rowWeights, device: $0[0].device)
            let losses = try linearTokenLosses($0[0], $0[1], labels: labels(on: $0[0].device), chunk: 4).losses
            return try (losses * weights.to(losses.dtype)).sum()
        } formula: {
            let all = try logSoftmax(matmul($0[0], $0[1].transposed(0, 1)))
            let weights = try Tensor(rowWeights, device: $0[0].device).to($0[0].dtype)
            return try -(all.gathered(1, labels(on: $0[0].device).unsqueezed(1)).squeezed(1) * weights).sum()
        },
        divergence(beta: 0, temperature: 1), divergence(beta: 1, temperature: 0.9),
        divergence(beta: 0.5, temperature: 1), divergence(beta: 0.1, temperature: 2),
        FusedOperation("crossEntropySum", [[9, 31]]) {
            try crossEntropySum($0[0], labels(on: $0[0].device))
        } formula: {
            try -logSoftmax($0[0]).gathered(1, labels(on: $0[0].device).unsqueezed(1)).sum()
        },
        FusedOperation("binaryCrossEntropySum", [large]) {
            try binaryCrossEntropySum($0[0], targets($0[0])) * 0.01
        } formula: {
            try (log(exp($0[0]) + 1) - $0[0] * targets($0[0])).sum() * 0.01
        },
    ]

    private static func divergence(beta: Double, temperature: Double) -> FusedOperation {
        @Sendable func teacher(_ x: Tensor) throws -> Tensor {
            let made = try Tensor.empty(x.shape, dtype: .float32)
            try made.fillNormal(generator: Generator(seed: 7))
            return try made.to(x.dtype).to(x.device)
        }
        return FusedOperation("divergence, β \(beta)", [[9, 37]]) {
            try ApusTorch.divergence($0[0], from: teacher($0[0]), beta: beta, temperature: temperature)
        } formula: {
            let s = try logSoftmax($0[0] / temperature)
            let t = try logSoftmax(teacher($0[0]) / temperature)
            let (student, teacher) = (try exp(s), try exp(t))
            let m = try log(student * (1 - beta) + teacher * beta)
            if beta == 0 { return try (teacher * (t - s)).sum(1) }
            if beta == 1 { return try (student * (s - t)).sum(1) }
            return try (teacher * (t - m)).sum(1) * beta + (student * (s - m)).sum(1) * (1 - beta)
        }
    }

    private static let rowWeights: [Float] = [1, 0.5, 1, 2, 1, 0, 1, 0.25, 1]

    private static func labels(on device: Device) throws -> Tensor {
        try Tensor([3, 0, 30, 12, 12, 7, 1, 29, 8] as [Int64], device: device)
    }

    private static func targets(_ x: Tensor) throws -> Tensor {
        try Tensor((0..<x.count).map { Float($0 % 3) * 0.5 }, shape: x.shape, device: x.device).to(x.dtype)
    }
}
