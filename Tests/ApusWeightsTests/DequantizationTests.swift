import Testing

@testable import ApusWeights

struct DequantizationTests {
    private static let names = [
        "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
        "IQ4_XS", "MXFP4", "NVFP4", "TQ1_0", "TQ2_0",
    ]

    /// The bit patterns that `gguf` and PyTorch give for a tensor of the fixture.
    private static func expected<T: BitwiseCopyable>(_ name: String, as type: T.Type) throws -> [T] {
        let file = try SafetensorsFile(path: fixture("gguf/types.safetensors"))
        return try file.withUnsafeBytes(of: file.entry(named: name)) { Array($0.bindMemory(to: T.self)) }
    }

    @Test(arguments: names)
    func isTheReferenceBitForBit(_ name: String) throws {
        let file = try GGUFFile(path: fixture("gguf/types.gguf"))
        let expected = try Self.expected(name, as: UInt32.self)
        #expect(try file.dequantized(name).map(\.bitPattern) == expected)

        let expected16 = try Self.expected(name + ".bf16", as: UInt16.self)
        var actual = [UInt16](repeating: 0, count: expected16.count)
        try actual.withUnsafeMutableBufferPointer { try file.dequantizeBFloat16(name, into: $0) }
        #expect(actual == expected16)
    }

    @Test func refusesOtherTypesAndWrongBuffers() throws {
        let file = try GGUFFile(path: fixture("gguf/types.gguf"))
        let error = #expect(throws: WeightsError.self) { try file.dequantized("IQ2_XXS") }
        #expect(error?.description.contains("IQ2_XXS") == true)
        #expect(throws: WeightsError.self) { try file.dequantized("absent") }
        var short = [Float](repeating: 0, count: 10)
        #expect(throws: WeightsError.self) {
            try short.withUnsafeMutableBufferPointer { try file.dequantize("F32", into: $0) }
        }
    }

    @Test func manyThreadsGiveEveryElementOnce() throws {
        let folder = try TemporaryFolder()
        let count = 400_000
        let numbers = (0..<count).map { Float($0) }
        var builder = GGUFBuilder()
        builder.add(tensor: "w", shape: [1000, 400], floats: numbers)
        let file = try GGUFFile(path: folder.file("a.gguf", builder.bytes()))
        let forward = try file.dequantized("w")
        #expect(forward == numbers)

        var reversed = [Float](repeating: 0, count: count)
        let tensor = try file.tensor(named: "w")
        try reversed.withUnsafeMutableBufferPointer {
            try file.dequantize(tensor, into: $0.baseAddress, count: $0.count) { 999 - $0 }
        }
        let expected = (0..<1000).reversed().flatMap { row in numbers[row * 400..<(row + 1) * 400] }
        #expect(reversed == expected)
    }

    @Test func everyHalfPrecisionNumberIsExact() {
        for bits in UInt16.min...UInt16.max where bits & 0x7C00 != 0x7C00 {
            let (exponent, fraction) = (Int(bits >> 10 & 31), Float(bits & 1023))
            let magnitude =
                exponent == 0
                ? fraction * 0x1p-24 : Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
            let expected = bits & 0x8000 == 0 ? magnitude : -magnitude
            #expect(float(halfBits: bits).bitPattern == expected.bitPattern)
        }
        #expect(float(halfBits: 0x7C00) == .infinity)
        #expect(float(halfBits: 0xFC00) == -.infinity)
        #expect(float(halfBits: 0x7C01).isNaN)
    }

    @Test func bfloat16RoundsToNearestEven() {
        func bits(_ pattern: UInt32) -> UInt16 { BFloat16Bits.rounding(Float(bitPattern: pattern)).bits }
        #expect(bits(0x3F80_8000) == 0x3F80)
        #expect(bits(0x3F81_8000) == 0x3F82)
        #expect(bits(0x3F80_8001) == 0x3F81)
        #expect(bits(0xBF80_7FFF) == 0xBF80)
        #expect(bits(0x7F7F_FFFF) == 0x7F80)
        #expect(bits(0xFF80_0000) == 0xFF80)
        #expect(bits(0x7F80_0001) == 0x7FC0)
        #expect(bits(0x0000_8001) == 0x0001)
    }
}
