import Testing

@testable import ApusNN
@testable import ApusQuantization
@testable import ApusTorch

/// Layers over quantised matrices: bitsandbytes' outputs and gradients, and those of a layer with the matrix in full.
struct ProductTests {
    private let fixture: QuantizedFixture

    init() throws { fixture = try QuantizedFixture("products") }

    private func weight(_ format: QuantizationSettings.Format, _ computeType: DType?) throws -> QuantizedWeight {
        try QuantizedWeight(
            fixture("weight"), as: QuantizationSettings(format, computeType: computeType), name: "weight")
    }

    private static func four(_ type: FourBitType) -> QuantizationSettings.Format {
        .fourBits(type, block: 64, isDouble: true)
    }

    @Test(
        arguments: [
            ("nf4.float32", four(.nf4), .float32, 1e-6), ("fp4.float32", four(.fp4), .float32, 1e-6),
            // A product in bfloat16 is rounded to 8 bits, on every machine otherwise.
            ("nf4.bfloat16", four(.nf4), .bfloat16, 1e-2), ("fp4.bfloat16", four(.fp4), .bfloat16, 1e-2),
            ("int8", .eightBits, nil, 1e-6),
        ] as [(String, QuantizationSettings.Format, DType?, Double)])
    func outputsAndGradientsAreThoseOfBitsandbytes(
        key: String, format: QuantizationSettings.Format, computeType: DType?, bound: Double
    ) throws {
        let weight = try weight(format, computeType)
        let x = try fixture("x").cloned()
        try x.setRequiresGradient(true)
        let y = try weight.product(x, fixture("bias"))
        try y.backward(fixture("dy"))
        #expect(y.dtype == .float32)
        for (ours, name) in [(y, "\(key).y"), (try #require(x.gradient), "\(key).dx")] {
            let wanted = try fixture(name)
            #expect(try difference(ours, wanted) <= bound * max(1, abs(wanted).max().item()), "\(name)")
        }
    }

    /// The numbers of the product with the matrix in full, to the bit: it is the same product.
    @Test func aLayerComputesAsOneWithTheMatrixInFull() throws {
        for (format, dtype) in [(Self.four(.nf4), DType.float32), (.eightBits, .float32), (Self.four(.fp4), .bfloat16)]
        {
            let weight = try QuantizedWeight(
                fixture("weight").to(dtype), as: QuantizationSettings(format, computeType: dtype), name: "weight")
            let (plain, quantized) = (Linear(66, 17), Linear(66, 17))
            for layer in [plain, quantized] { try layer.$bias.fill(fixture("bias").to(dtype)) }
            try plain.$weight.fill(weight.matrix())
            quantized.quantize(weight)
            #expect(quantized.isQuantized && !plain.isQuantized)
            #expect(quantized.parameterCount == plain.parameterCount)
            let results = try [plain, quantized].map { layer in
                let x = try fixture("x").to(dtype).cloned()
                try x.setRequiresGradient(true)
                let y = try layer.plain(x)
                try y.backward(fixture("dy").to(dtype))
                return (y, try #require(x.gradient))
            }
            #expect(try results[0].0.equals(results[1].0), "\(dtype)")
            #expect(try results[0].1.equals(results[1].1), "\(dtype)")
        }
    }

    @Test func aQuantisedMatrixIsNotChanged() throws {
        let layer = Linear(66, 17, bias: false)
        layer.quantize(try weight(.eightBits, nil))
        #expect(throws: TorchError.self) { try layer.setMatrix(fixture("weight")) }
        #expect(try layer.matrix.shape == [17, 66])
    }
}
