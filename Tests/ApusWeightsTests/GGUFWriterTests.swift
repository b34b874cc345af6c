import Testing

@testable import ApusWeights

struct GGUFWriterTests {
    private static let values: [(key: String, value: GGUFTypedValue)] = [
        ("general.architecture", .string("types")), ("test.uint8", .uint8(200)), ("test.uint16", .uint16(60_000)),
        ("test.uint32", .uint32(4_000_000_000)), ("test.uint64", .uint64(.max)), ("test.int8", .int8(-100)),
        ("test.int16", .int16(-30_000)), ("test.int32", .int32(-2_000_000_000)), ("test.int64", .int64(-(1 << 62))),
        ("test.float32", .float32(0.1)), ("test.float64", .float64(0.1)), ("test.bool", .bool(true)),
        ("test.string", .string("Apus apus – 雨燕")), ("test.integers", .int32s([1, -2, 3])),
        ("test.floats", .float32s([0.5, -1.25])), ("test.bools", .array([.bool(true), .bool(false)])),
        ("test.strings", .strings(["", "a", "雨燕"])), ("test.nested", .array([.int32s([1, 2]), .int32s([3])])),
    ]

    /// The tensors of a file as they lie there.
    private static func copies(of file: GGUFFile) -> [GGUFTensorSource] {
        file.tensors.map { tensor in
            GGUFTensorSource(name: tensor.name, type: tensor.type, shape: tensor.shape) { sink in
                let mapping = file.mappings[tensor.part]
                try mapping.withUnsafeBytes { try sink(UnsafeRawBufferPointer(rebasing: $0[tensor.byteRange])) }
            }
        }
    }

    @Test func writesTheBytesOfPyPIGGUF() throws {
        let folder = try TemporaryFolder()
        let original = fixture("gguf/types.gguf")
        let path = folder.path + "/copy.gguf"
        try GGUFWriter.write(metadata: Self.values, tensors: Self.copies(of: GGUFFile(path: original)), to: path)
        #expect(try contents(path) == contents(original))
        #expect(try folder.names() == ["copy.gguf"])
    }

    @Test func aFailureLeavesWhatWasThere() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("a.gguf", [1, 2, 3])
        func source(_ name: String = "w", _ shape: [Int] = [2], bytes: Int = 8) -> GGUFTensorSource {
            GGUFTensorSource(name: name, type: .f32, shape: shape) { sink in
                try [UInt8](repeating: 7, count: bytes).withUnsafeBytes(sink)
            }
        }
        for tensors in [
            [source(), source()], [source(bytes: 4)], [source(bytes: 12)], [source("w", [1, 1, 1, 1, 2])],
            [source("w", [-2])], [source(String(repeating: "w", count: 64))],
        ] {
            #expect(throws: WeightsError.self) { try GGUFWriter.write(metadata: [], tensors: tensors, to: path) }
        }
        let twice: [(key: String, value: GGUFTypedValue)] = [("a", .bool(true)), ("a", .bool(true))]
        #expect(throws: WeightsError.self) { try GGUFWriter.write(metadata: twice, tensors: [], to: path) }
        #expect(try contents(path) == [1, 2, 3])
        #expect(try folder.names() == ["a.gguf"])
    }

    @Test func anEmptyFileOpens() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.gguf"
        try GGUFWriter.write(metadata: [("a", .array([]))], tensors: [], to: path)
        #expect(try GGUFFile(path: path).metadata == ["a": .strings([])])
    }
}
