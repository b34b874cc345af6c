import Foundation
import Testing

@testable import ApusWeights

struct SafetensorsFileTests {
    private static func file(_ header: String, data: Int = 0) -> [UInt8] {
        littleEndian(UInt64(header.utf8.count)) + Array(header.utf8) + [UInt8](repeating: 0, count: data)
    }

    private static func parse(_ bytes: [UInt8]) throws -> SafetensorsHeader {
        try bytes.withUnsafeBytes { try SafetensorsHeader(parsing: $0, path: "test.safetensors") }
    }

    @Test func readsEveryType() throws {
        let file = try SafetensorsFile(path: fixture("safetensors/all.safetensors"))
        #expect(file.metadata == ["format": "pt"])
        #expect(file.entries.count == 17)
        #expect(try file.entry(named: "truth").dtype == .bool)
        #expect(try file.entry(named: "empty").shape == [0, 4])
        #expect(try file.entry(named: "scalar").shape == [])
        #expect(file["空 \"quoted\"\n"]?.byteRange.count == 4)
        let brain = try file.entry(named: "brain")
        #expect(try file.bytes(of: brain).count == 18)
        #expect(file.entries.allSatisfy { $0.isAligned })
        #expect(throws: WeightsError.self) { try file.entry(named: "absent") }
    }

    @Test func refusesAnUnsupportedTypeOnlyWhenItIsUsed() throws {
        // The same file with eight numbers of four bits in the place of four of eight.
        var data = try Data(contentsOf: URL(fileURLWithPath: fixture("safetensors/float8.safetensors")))
        let place = try #require(data.range(of: Data(#""F8_E4M3","shape":[4]"#.utf8)))
        data.replaceSubrange(place, with: Data(#""F4"     ,"shape":[8]"#.utf8))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try data.write(to: URL(fileURLWithPath: path))
        let file = try SafetensorsFile(path: path)
        #expect(try file.bytes(of: file.entry(named: "w")).count == 8)
        let error = #expect(throws: WeightsError.self) { try file.bytes(of: file.entry(named: "f8")) }
        #expect(error?.description.contains("F4") == true)
    }

    @Test(arguments: [
        "peft/gpt2-causal-r8-cattn-cproj/adapter_model.safetensors",
        "peft/distilgpt2-causal-r8/outputs/adapter_model.safetensors",
        "peft/qwen2.5-0.5b-causal-r8/lora_adapter/adapter_model.safetensors",
    ])
    func readsAdaptersMadeByOthers(_ path: String) throws {
        // Skipped where the shared fixtures are absent.
        guard let url = sharedFixtures(path) else { return }
        let file = try SafetensorsFile(path: url.path)
        #expect(!file.entries.isEmpty)
        #expect(file.entries.allSatisfy { $0.name.contains("lora_") && $0.shape.contains(8) })
        #expect(file.metadata["format"] == "pt")
    }

    @Test(arguments: [
        (
            "overlap",
            #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
            3
        ),
        (
            "hole",
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#,
            3
        ),
        ("hole at the start", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2),
        ("rest", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 2),
        ("short data", #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 3),
        ("reversed", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}"#, 1),
        ("negative offset", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}"#, 1),
        ("negative dimension", #"{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}"#, 1),
        ("size", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,2]}}"#, 2),
        ("overflow", #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
        ("overflow by bits", #"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}"#, 0),
        ("2^63", #"{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,9223372036854775808]}}"#, 0),
        ("fraction", #"{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}"#, 1),
        ("part of a byte", #"{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}}"#, 0),
        ("dtype", #"{"a":{"dtype":"F33","shape":[],"data_offsets":[0,4]}}"#, 4),
        (
            "duplicate tensor",
            #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
            0
        ),
        ("duplicate field", #"{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0),
        ("foreign field", #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}}"#, 0),
        ("missing field", #"{"a":{"dtype":"U8","shape":[0]}}"#, 0),
        ("three offsets", #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}"#, 0),
        ("metadata number", #"{"__metadata__":{"a":1}}"#, 0),
        ("metadata list", #"{"__metadata__":[]}"#, 0),
        ("space first", #" {}"#, 0),
        ("list", #"[]"#, 0),
        ("no JSON", #"{"#, 0),
        ("two values", #"{}{}"#, 0),
        ("depth", "{\"a\":" + String(repeating: "[", count: 100_000), 0),
    ])
    func refuses(_ what: String, _ header: String, _ data: Int) {
        #expect(throws: WeightsError.self, "\(what)") { try Self.parse(Self.file(header, data: data)) }
    }

    @Test func acceptsAnEmptyFileAndPaddingAfterTheHeader() throws {
        #expect(try Self.parse(Self.file("{}")).entries.isEmpty)
        #expect(try Self.parse(Self.file("{}      ")).entries.isEmpty)
    }

    @Test func refusesLyingLengths() {
        let good = Self.file("{}")
        for length: UInt64 in [3, 100_000_001, 1 << 62, 1 << 63, .max] {
            #expect(throws: WeightsError.self) { try Self.parse(littleEndian(length) + good.dropFirst(8)) }
        }
    }

    @Test func refusesEveryTruncation() throws {
        let bytes = try contents(fixture("safetensors/all.safetensors"))
        for count in 0..<bytes.count {
            #expect(throws: WeightsError.self) { try Self.parse(Array(bytes.prefix(count))) }
        }
    }

    @Test func survivesEveryFlippedBit() throws {
        var bytes = try contents(fixture("safetensors/plain.safetensors"))
        var accepted = 0
        for position in bytes.indices {
            for bit: UInt8 in 0..<8 {
                bytes[position] ^= 1 << bit
                if try accepts({ try Self.parse(bytes) }) { accepted += 1 }
                bytes[position] ^= 1 << bit
            }
        }
        // The data and the tensor's name may change; little else may.
        #expect(accepted < 100)
    }

    @Test func survivesRandomMutations() throws {
        let original = try contents(fixture("safetensors/all.safetensors"))
        var generator = SeededGenerator(state: 1)
        var accepted = 0
        for _ in 0..<20_000 {
            let bytes = generator.mutate(original, within: 1100)
            let isSound = try accepts {
                for entry in try Self.parse(bytes).entries {
                    #expect(entry.byteRange.upperBound <= bytes.count)
                }
            }
            if isSound { accepted += 1 }
        }
        #expect(accepted < 10_000)
    }
}
