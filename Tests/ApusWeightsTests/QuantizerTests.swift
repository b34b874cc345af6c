import Testing

@testable import ApusWeights

struct QuantizerTests {
    private static func tensor<T: BitwiseCopyable>(_ name: String, in path: String, as: T.Type) throws -> [T] {
        let file = try SafetensorsFile(path: fixture("gguf/\(path).safetensors"))
        return try file.withUnsafeBytes(of: file.entry(named: name)) { Array($0.bindMemory(to: T.self)) }
    }

    private static func encoded(_ rows: [Float], as type: GGUFTensorType) throws -> [UInt8] {
        let (elements, bytes) = type.block
        var blocks = [UInt8](repeating: 0xAA, count: rows.count / elements * bytes)
        let quantizer = try #require(Quantizer(type))
        let wrong = rows.withUnsafeBufferPointer { rows in
            blocks.withUnsafeMutableBytes { quantizer.encode(rows, into: $0) }
        }
        #expect(wrong == nil)
        return blocks
    }

    /// What PyPI `gguf` makes of the rows.
    @Test(arguments: [GGUFTensorType.f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1])
    func isTheReferenceBitForBit(_ type: GGUFTensorType) throws {
        let rows = try Self.tensor("rows", in: "quantized", as: Float.self)
        #expect(try Self.encoded(rows, as: type) == Self.tensor(type.name, in: "quantized", as: UInt8.self))
    }

    /// What ggml makes of them.
    @Test(arguments: [GGUFTensorType.q4_K, .q5_K, .q6_K])
    func superBlocksAreThoseOfGGML(_ type: GGUFTensorType) throws {
        let rows = try Self.tensor("rows", in: "quantized", as: Float.self)
        let (ours, theirs) = (
            try Self.encoded(rows, as: type), try Self.tensor(type.name, in: "k-quantized", as: UInt8.self)
        )
        let size = type.block.bytes
        let differing = (0..<ours.count / size).filter { block in
            ours[block * size..<(block + 1) * size] != theirs[block * size..<(block + 1) * size]
        }
        #expect(differing.isEmpty)
    }

    @Test func keepsEveryFloat() throws {
        let rows = try Self.tensor("rows", in: "quantized", as: Float.self)
        #expect(
            try Self.encoded(rows, as: .f32) == rows.flatMap { littleEndian($0.bitPattern) })
    }

    @Test func manyThreadsWriteEveryBlockOnce() throws {
        let rows = (0..<300_000).map { Float($0 % 32_000) }
        let blocks = try Self.encoded(rows, as: .f16)
        #expect(blocks == rows.flatMap { littleEndian(halfBits($0)) })
    }

    @Test func everyHalfPrecisionNumberIsItself() {
        for bits in UInt16.min...UInt16.max where bits & 0x7FFF <= 0x7C00 {
            #expect(halfBits(float(halfBits: bits)) == bits)
        }
        #expect(halfBits(65_519.996) == 0x7BFF)
        #expect(halfBits(65_520) == 0x7C00)
        #expect(halfBits(-1e30) == 0xFC00)
        #expect(halfBits(0x1p-25) == 0)
        #expect(halfBits(0x1.8p-24) == 2)
        #expect(halfBits(1 + 0x1p-11) == 0x3C00)
        #expect(halfBits(1 + 0x1.8p-10) == 0x3C02)
        #expect(halfBits(.nan) & 0x7FFF == 0x7E00)
    }

    @Test func refusesWhatNoScaleHolds() throws {
        for (value, types) in [
            (Float.nan, Quantizer.types), (.infinity, Quantizer.types), (70_000, [.f16, .q8_0, .q4_1, .q6_K]),
        ] {
            for type in types {
                var rows = [Float](repeating: 1, count: 256)
                rows[77] = value
                var blocks = [UInt8](repeating: 0, count: 1024)
                let size = 256 / type.block.elements * type.block.bytes
                let wrong = rows.withUnsafeBufferPointer { rows in
                    blocks.withUnsafeMutableBytes {
                        Quantizer(type)?.encode(rows, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<size]))
                    }
                }
                #expect(wrong == 77, "\(type.name)")
            }
        }
        #expect(Quantizer(.q2_K) == nil)
        #expect(Quantizer(.iq4_NL) == nil)
    }

    @Test func survivesAnyFloats() throws {
        var generator = SeededGenerator(state: 5)
        for type in Quantizer.types {
            let rows = (0..<8 * 256).map { _ -> Float in
                let number = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
                return abs(number) < 65_000 ? number : 1e-38
            }
            #expect(try Self.encoded(rows, as: type).count == rows.count / type.block.elements * type.block.bytes)
        }
    }
}
