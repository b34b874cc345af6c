import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Experts in four-bit floats with scales, against transformers (Scripts/fixtures/make_mxfp4.py).
struct FourBitFloatTests {
    private static let folder = Fixture.root.appendingPathComponent("mxfp4")

    private static func store() throws -> any TensorStore {
        try WeightsFolder(folder.appendingPathComponent("model").path).open()
    }

    private static func expected() throws -> SafetensorsFile {
        try SafetensorsFile(path: folder.appendingPathComponent("expected.safetensors").path)
    }

    @Test(arguments: [DType.float32, .bfloat16]) func expertsAreThoseOfTransformersToTheBit(dtype: DType) throws {
        let (store, expected) = (try Self.store(), try Self.expected())
        let packed = store.tensorNames.filter { expected[$0] != nil }
        #expect(packed.count == 4 && !store.tensorNames.contains { $0.hasSuffix("_blocks") || $0.hasSuffix("_scales") })
        for name in packed {
            let ours = try store.tensor(name, dtype: dtype, device: .cpu).tensor
            #expect(try store.shape(of: name) == ours.shape && store.dtype(of: name) == .bfloat16)
            #expect(try ours.equals(expected.tensor(name, dtype: dtype, device: .cpu).tensor), "\(name)")
        }
        #expect(store.notices.count == 1 && store.notices[0].contains("4 tensors of experts"))
    }

    @Test func aModelAnswersAsInFull() throws {
        let model = try Models.registry.model(Fixture.json("mxfp4/model/config.json"))
        let store = try Self.store()
        // Experts with biases are not cut apart.
        #expect(try SplitExperts(store) == nil)
        try model.loadWeights(store, dtype: .float32, device: .cpu)
        #expect(model.trunk.notices.count == 1)
        let rows = try Fixture.json("mxfp4/sequences.json").arrayValue ?? []
        let batch = TokenBatch(rows.map { ($0.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } })
        let expected = try Self.expected()
        try withoutGradients {
            let context = try model.context(for: batch)
            let logits = try model.logits(model.hiddenStates(batch, context), context)
            let wanted = try (0..<3).map { try expected.tensor("logits.\($0)", dtype: .float32, device: .cpu).tensor }
            #expect(try difference(logits, concatenated(wanted)) <= 1e-5)
        }
    }

    /// The sixteen numbers, each twice in its byte, times two powers.
    @Test func theNumbersOfABlock() throws {
        let bytes = (0..<16).map { UInt8($0 | $0 << 4) }
        let blocks = try Tensor(bytes + bytes, shape: [1, 1, 2, 16])
        let scales = try Tensor([128, 126] as [UInt8], shape: [1, 1, 2])
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try SafetensorsWriter.write(
            [WeightSource("x_blocks", blocks), WeightSource("x_scales", scales)], to: path + "/model.safetensors")
        let store = try WeightsFolder(path).open()
        #expect(try store.tensorNames == ["x"] && store.shape(of: "x") == [1, 64, 1])
        let magnitudes: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        let numbers = (magnitudes + magnitudes.map { -$0 }).flatMap { [$0, $0] }
        let values = try store.tensor("x", dtype: .float32, device: .cpu).tensor.values(as: Float.self)
        #expect(values == numbers.map { $0 * 2 } + numbers.map { $0 / 2 })
    }

    @Test func scalesThatFitNoBlockAreRefused() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let blocks = try Tensor([UInt8](repeating: 0, count: 32), shape: [1, 1, 2, 16])
        let scales = try Tensor([UInt8](repeating: 127, count: 3), shape: [1, 1, 3])
        try SafetensorsWriter.write(
            [WeightSource("x_blocks", blocks), WeightSource("x_scales", scales)], to: path + "/model.safetensors")
        let store = try WeightsFolder(path).open()
        let error = #expect(throws: WeightsError.self) { try store.tensor("x", dtype: .float32, device: .cpu) }
        #expect(error?.description.contains("x_blocks") == true)
    }
}
