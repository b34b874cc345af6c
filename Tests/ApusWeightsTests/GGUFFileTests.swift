import Testing

@testable import ApusWeights

struct GGUFFileTests {
    private static func parse(_ bytes: [UInt8]) throws -> GGUFHeader {
        try bytes.withUnsafeBytes { try GGUFHeader(parsing: $0, path: "test.gguf") }
    }

    private static func parse(_ change: (inout GGUFBuilder) -> Void) throws -> GGUFHeader {
        var builder = GGUFBuilder()
        change(&builder)
        return try parse(builder.bytes())
    }

    @Test func readsEveryMetadataType() throws {
        let file = try GGUFFile(path: fixture("gguf/types.gguf"))
        #expect(file.version == 3)
        #expect(file.alignment == 32)
        let expected: [String: GGUFValue] = [
            "general.architecture": .string("types"),
            "test.uint8": .integer(200), "test.uint16": .integer(60_000), "test.uint32": .integer(4_000_000_000),
            "test.uint64": .large(.max), "test.int8": .integer(-100), "test.int16": .integer(-30_000),
            "test.int32": .integer(-2_000_000_000), "test.int64": .integer(-1 << 62),
            "test.float32": .float(Double(Float(0.1))), "test.float64": .float(0.1), "test.bool": .bool(true),
            "test.string": .string("Apus apus – 雨燕"), "test.integers": .integers([1, -2, 3]),
            "test.floats": .floats([0.5, -1.25]), "test.bools": .bools([true, false]),
            "test.strings": .strings(["", "a", "雨燕"]),
            "test.nested": .values([.integers([1, 2]), .integers([3])]),
        ]
        #expect(file.metadata == expected)
        #expect(try file.value("test.int8", \.intValue) == -100)
        #expect(try file.value("test.int8", \.doubleValue) == -100)
        #expect(try file.value("test.absent", \.intValue) == nil)
        #expect(throws: WeightsError.self) { try file.value("test.int8", \.stringValue) }
        #expect(throws: WeightsError.self) { try file.requiredValue("test.absent", \.stringValue) }
    }

    @Test func readsEveryArrayType() throws {
        let header = try Self.parse { builder in
            for (type, size) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (10, 8), (11, 8)] as [(UInt32, Int)] {
                let elements = littleEndian(UInt64(7)).prefix(size) + [UInt8](repeating: 255, count: size)
                builder.add(key: "a\(type)", type: 9, littleEndian(type) + littleEndian(UInt64(2)) + elements)
            }
            builder.add(
                key: "f", type: 9, littleEndian(UInt32(12)) + littleEndian(UInt64(1)) + littleEndian((0.1).bitPattern))
            builder.add(key: "none", type: 9, littleEndian(UInt32(8)) + littleEndian(UInt64(0)))
        }
        let maxima: [(Int, Int)] = [(0, 255), (1, -1), (2, 65535), (3, -1), (4, 4_294_967_295), (5, -1), (11, -1)]
        for (type, last) in maxima { #expect(header.metadata["a\(type)"] == .integers([7, last])) }
        #expect(header.metadata["a10"] == .values([.integer(7), .large(.max)]))
        #expect(header.metadata["f"] == .floats([0.1]))
        #expect(header.metadata["none"] == .strings([]))
    }

    @Test func readsTheTableOfTensors() throws {
        let file = try GGUFFile(path: fixture("gguf/types.gguf"))
        let tensor = try file.tensor(named: "Q4_K")
        #expect(tensor.type == .q4_K)
        #expect(tensor.shape == [6, 256])
        #expect(tensor.elementCount == 6 * 256)
        #expect(tensor.byteRange.count == 6 * 144)
        #expect(tensor.byteRange.lowerBound % 32 == 0)
        #expect(throws: WeightsError.self) { try file.tensor(named: "absent") }
    }

    @Test func acceptsWhatTheFormatAllows() throws {
        #expect(try Self.parse { $0.version = 2 }.version == 2)
        let header = try Self.parse { builder in
            builder.add("general.alignment", 64)
            builder.alignment = 64
            builder.add(tensor: "scalar", shape: [], floats: [1])
            builder.add(tensor: "empty", shape: [0, 4], floats: [])
            builder.add(tensor: "cube", shape: [2, 1, 1, 3], floats: [1, 2, 3, 4, 5, 6])
        }
        #expect(header.alignment == 64)
        #expect(header.tensors.map(\.elementCount) == [1, 0, 6])
        #expect(header.tensors.map(\.byteRange.lowerBound).allSatisfy { $0 % 64 == 0 })
    }

    private static let malformations: [(String, @Sendable (inout GGUFBuilder) -> Void)] = [
        ("version 0", { $0.version = 0 }),
        ("version 1", { $0.version = 1 }),
        ("version 4", { $0.version = 4 }),
        ("big endian", { $0.version = UInt32(3).byteSwapped }),
        ("too many pairs", { $0.pairCount = 1 << 60 }),
        ("too many tensors", { $0.tensorCount = 1 << 60 }),
        ("pair count", { $0.pairCount = 1 }),
        ("string length", { $0.add(key: "a", type: 8, littleEndian(UInt64(1) << 60)) }),
        ("string not UTF-8", { $0.add(key: "a", type: 8, littleEndian(UInt64(1)) + [0xFF]) }),
        ("unknown value type", { $0.add(key: "a", type: 13, []) }),
        ("bool 2", { $0.add(key: "a", type: 7, [2]) }),
        (
            "same key twice",
            {
                $0.add("a", 1)
                $0.add("a", 1)
            }
        ),
        ("array count", { $0.add(key: "a", type: 9, littleEndian(UInt32(0)) + littleEndian(UInt64(1) << 60)) }),
        ("array of strings", { $0.add(key: "a", type: 9, littleEndian(UInt32(8)) + littleEndian(UInt64(1) << 61)) }),
        ("array type", { $0.add(key: "a", type: 9, littleEndian(UInt32(99)) + littleEndian(UInt64(0))) }),
        (
            "deep array",
            {
                let level = littleEndian(UInt32(9)) + littleEndian(UInt64(1))
                $0.add(key: "a", type: 9, (0..<50_000).flatMap { _ in level })
            }
        ),
        ("alignment 0", { $0.add("general.alignment", 0) }),
        ("alignment 3", { $0.add("general.alignment", 3) }),
        ("alignment 2^31", { $0.add("general.alignment", 1 << 31) }),
        ("alignment text", { $0.add("general.alignment", "32") }),
        ("long key", { $0.add(String(repeating: "k", count: 70_000), 1) }),
        (
            "same tensor twice",
            {
                $0.add(tensor: "a", shape: [1], floats: [1])
                $0.add(tensor: "a", shape: [1], floats: [1])
            }
        ),
        ("five dimensions", { $0.add(tensor: "a", shape: [1, 1, 1, 1, 1], floats: [1]) }),
        ("many dimensions", { $0.addInfo(name: "a", type: 0, dimensions: Array(repeating: 1, count: 100), offset: 0) }),
        ("dimension 2^63", { $0.addInfo(name: "a", type: 0, dimensions: [1 << 63], offset: 0) }),
        ("product 2^64", { $0.addInfo(name: "a", type: 0, dimensions: [1 << 32, 1 << 32], offset: 0) }),
        ("bytes 2^64", { $0.addInfo(name: "a", type: 0, dimensions: [1 << 62], offset: 0) }),
        ("tensor type", { $0.addInfo(name: "a", type: 4, dimensions: [1], offset: 0) }),
        ("tensor type 99", { $0.addInfo(name: "a", type: 99, dimensions: [1], offset: 0) }),
        ("part of a block", { $0.add(tensor: "a", type: 8, shape: [33], [UInt8](repeating: 0, count: 68)) }),
        (
            "offset",
            {
                $0.add(tensor: "b", shape: [9], floats: Array(repeating: 0, count: 9))
                $0.addInfo(name: "a", type: 0, dimensions: [1], offset: 4)
            }
        ),
        (
            "offset past the end",
            {
                $0.add(tensor: "b", shape: [1], floats: [0])
                $0.addInfo(name: "a", type: 0, dimensions: [1], offset: 32)
            }
        ),
        (
            "offset 2^64",
            {
                $0.add(tensor: "b", shape: [1], floats: [0])
                $0.addInfo(name: "a", type: 0, dimensions: [1], offset: .max - 31)
            }
        ),
        (
            "overlap",
            {
                $0.add(tensor: "b", shape: [16], floats: Array(repeating: 0, count: 16))
                $0.addInfo(name: "a", type: 0, dimensions: [8], offset: 32)
            }
        ),
        ("no data", { $0.addInfo(name: "a", type: 0, dimensions: [1], offset: 0) }),
    ]

    @Test(arguments: malformations.indices)
    func refuses(_ index: Int) {
        let (what, change) = Self.malformations[index]
        #expect(throws: WeightsError.self, "\(what)") { try Self.parse(change) }
    }

    @Test func refusesAnotherMagic() {
        for bytes in [Array("GGML".utf8), Array("GGU".utf8), Array("FUGG".utf8) + littleEndian(UInt64(3)), [0]] {
            #expect(throws: WeightsError.self) { try Self.parse(bytes) }
        }
    }

    @Test func refusesEveryTruncation() throws {
        var builder = GGUFBuilder()
        builder.add("general.architecture", "llama")
        builder.add(
            key: "tokens", type: 9,
            littleEndian(UInt32(8)) + littleEndian(UInt64(2)) + GGUFBuilder.string("a") + GGUFBuilder.string("b"))
        builder.add(tensor: "a", shape: [2, 4], floats: Array(repeating: 1, count: 8))
        let bytes = builder.bytes()
        #expect(try Self.parse(bytes).tensors.count == 1)
        for count in bytes.indices {
            #expect(throws: WeightsError.self) { try Self.parse(Array(bytes.prefix(count))) }
        }
    }

    @Test func survivesEveryFlippedBit() throws {
        var bytes = try contents(fixture("gguf/types.gguf"))
        let header = try #require(try Self.parse(bytes).tensors.map(\.byteRange.lowerBound).min())
        var refused = 0
        for position in 0..<header {
            for bit: UInt8 in 0..<8 {
                bytes[position] ^= 1 << bit
                if try !accepts({ try Self.parse(bytes) }) { refused += 1 }
                bytes[position] ^= 1 << bit
            }
        }
        #expect(refused > header)
    }

    @Test func survivesRandomMutations() throws {
        let original = try contents(fixture("gguf/tiny-llama.gguf"))
        let header = try #require(try Self.parse(original).tensors.map(\.byteRange.lowerBound).min())
        var generator = SeededGenerator(state: 2)
        var accepted = 0
        for _ in 0..<20_000 {
            let bytes = generator.mutate(original, within: header)
            let isSound = try accepts {
                for tensor in try Self.parse(bytes).tensors {
                    #expect(tensor.byteRange.upperBound <= bytes.count)
                }
            }
            if isSound { accepted += 1 }
        }
        #expect((1..<19_000).contains(accepted))
    }
}
