import Foundation
import Testing

@testable import ApusQuantization
@testable import ApusTorch
@testable import ApusWeights

/// Folders of bitsandbytes: what is read of them, and what is said of damaged ones.
struct StoreTests {
    /// A tensor in the place of another.
    struct Change: Sendable {
        let name: String
        let dtype: WeightDType
        let shape: [Int]
        let bytes: [UInt8]

        var source: WeightSource { WeightSource(name: name, dtype: dtype, shape: shape, bytes: bytes) }
    }

    private static let matrix = "model.layers.0.mlp.up_proj.weight"
    private static let row = "model.layers.0.mlp.up_proj"

    /// The tensors of a checkpoint, written again with some changed or left out.
    private func store(
        _ name: String, without: Set<String> = [], with changed: [Change] = []
    ) throws -> BitsAndBytesStore {
        let path = QuantizedFixture.folder.appendingPathComponent("\(name)/model.safetensors").path
        let file = try SafetensorsFile(path: path)
        let absent = without.union(changed.map(\.name))
        let kept = file.entries.filter { !absent.contains($0.name) }.map { WeightSource(copying: $0, from: file) }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-bnb-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try SafetensorsWriter.write(kept + changed.map(\.source), to: "\(folder)/model.safetensors")
        return try BitsAndBytesStore(ModelWeights(folder: folder), computeType: .float32, path: "config.json")
    }

    @Test func companionsAreNoTensorsOfTheModel() throws {
        for name in ["nf4-double", "int8", "nf4-storage"] {
            let store = try store(name)
            #expect(
                !store.tensorNames.contains { $0.contains("absmax") || $0.contains("SCB") || $0.contains("_format") })
            #expect(store.tensorNames.contains(Self.matrix) && store.tensorNames.contains("model.norm.weight"))
            #expect(try store.quantizedShape(of: "model.norm.weight") == nil)
            #expect(try store.matrix("model.norm.weight", dtype: .float32, device: .cpu) == nil)
            let matrix = try #require(try store.matrix(Self.matrix, dtype: .bfloat16, device: .cpu))
            let shape = try #require(try store.quantizedShape(of: Self.matrix))
            #expect(try matrix.matrix().shape == shape && matrix.matrix().dtype == .bfloat16)
            #expect(try store.shape(of: Self.matrix) == shape && store.dtype(of: Self.matrix) == .float32)
            let (full, isBorrowed) = try store.tensor(Self.matrix, dtype: .float32, device: .cpu)
            #expect(try full.equals(matrix.numbers.dequantized(.float32)) && !isBorrowed)
        }
    }

    private static func state(_ text: String, of type: String = "nf4") -> Change {
        let bytes = Array(text.utf8)
        return Change(
            name: "\(matrix).quant_state.bitsandbytes__\(type)", dtype: .uint8, shape: [bytes.count], bytes: bytes)
    }

    /// A matrix whose scales are rounded too, with what is said of them.
    private static func nested(_ scales: String) -> Change {
        state(#"{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [88, 48], "# + scales + "}")
    }

    @Test(
        arguments: [
            (without: ["\(matrix).absmax"], with: [], "is missing"),
            (["\(matrix).quant_map"], [], "is missing"), (["\(matrix).nested_absmax"], [], "is missing"),
            ([], [Change(name: matrix, dtype: .uint8, shape: [3, 1], bytes: [1, 2, 3])], "does not hold"),
            (
                [],
                [
                    Change(
                        name: "\(matrix).quant_map", dtype: .float32, shape: [16], bytes: Array(repeating: 0, count: 64)
                    )
                ], "is not the code of nf4"
            ),
            ([], [state("{")], "does not hold a JSON object"), ([], [state("{}")], "does not say \"blocksize\""),
            (
                [], [state(#"{"quant_type": "nf4", "blocksize": 0, "dtype": "float32", "shape": [88, 48]}"#)],
                "does not say \"blocksize\""
            ),
            (
                [], [state(#"{"quant_type": "fp4", "blocksize": 64, "dtype": "float32", "shape": [88, 48]}"#)],
                "says quant_type \"fp4\""
            ),
            ([], [nested(#""nested_blocksize": 9223372036854775807, "nested_offset": 0.5"#)], "no size of a block"),
            ([], [nested(#""nested_blocksize": 0, "nested_offset": 0.5"#)], "no size of a block"),
            ([], [nested(#""nested_blocksize": "256", "nested_offset": 0.5"#)], "no size of a block"),
            ([], [nested(#""nested_blocksize": 256"#)], "without a \"nested_offset\""),
            ([], [nested(#""nested_blocksize": 256, "nested_offset": 1e300"#)], "without a \"nested_offset\""),
            (
                [], [state(#"{"quant_type": "nf4", "blocksize": 64, "dtype": "float7", "shape": [88, 48]}"#)],
                "does not say a \"dtype\""
            ),
            (
                [], [state(#"{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [88, 4800]}"#)],
                "half a byte"
            ),
        ] as [(without: Set<String>, with: [Change], String)])
    func damagedFourBitsAreNamed(without: Set<String>, with changed: [Change], problem: String) throws {
        let error = #expect(throws: WeightsError.self) {
            _ = try store("nf4-double", without: without, with: changed)
                .matrix(Self.matrix, dtype: .float32, device: .cpu)
        }
        let text = "\(try #require(error))"
        #expect(text.contains(problem) && text.contains(Self.matrix) && text.contains("; "), "\(text)")
    }

    @Test(
        arguments: [
            (Change(name: "\(row).SCB", dtype: .float32, shape: [1], bytes: [0, 0, 0, 0]), "no matrix of int8"),
            (Change(name: "\(row).weight_format", dtype: .uint8, shape: [], bytes: [2]), "graphics card"),
        ])
    func damagedEightBitsAreNamed(changed: Change, problem: String) throws {
        let error = #expect(throws: WeightsError.self) {
            _ = try store("int8", with: [changed]).matrix(Self.matrix, dtype: .float32, device: .cpu)
        }
        #expect("\(try #require(error))".contains(problem))
    }

    /// A configuration that says so of weights that are in full.
    @Test func weightsThatAreInFullAreNamed() throws {
        let folder = QuantizedFixture.folder.deletingLastPathComponent()
            .appendingPathComponent("models/qwen2-tied-gqa").path
        let error = #expect(throws: WeightsError.self) {
            _ = try BitsAndBytesStore(ModelWeights(folder: folder), computeType: .float32, path: "config.json")
        }
        #expect("\(try #require(error))".contains("none of the"))
    }
}
