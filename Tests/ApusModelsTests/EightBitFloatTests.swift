import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Weights in eight-bit floats with scales, against torch (Scripts/fixtures/make_fp8.py).
struct EightBitFloatTests {
    private static let folder = Fixture.root.appendingPathComponent("fp8")

    private static func file(_ name: String) throws -> SafetensorsFile {
        try SafetensorsFile(path: folder.appendingPathComponent(name).path)
    }

    private static func store(block: [Int]? = [16, 16]) throws -> any TensorStore {
        try WeightsFolder(folder.appendingPathComponent("model").path).open(block: block)
    }

    @Test(arguments: ["e4m3fn", "e5m2", "e8m0fnu"]) func everyPatternHasTheValueOfTorch(type: String) throws {
        let ours = try Self.file("values.safetensors").tensor(type, dtype: .float32, device: .cpu).tensor
        let theirs = try Self.file("expected.safetensors").tensor("values.\(type)", dtype: .float32, device: .cpu)
            .tensor
        for (a, b) in try zip(ours.values(as: Float.self), theirs.values(as: Float.self)) {
            #expect(a.isNaN ? b.isNaN : a == b && a.sign == b.sign)
        }
    }

    @Test func matricesAreThoseOfTorchToTheBit() throws {
        let (store, expected) = (try Self.store(), try Self.file("expected.safetensors"))
        var count = 0
        for name in store.tensorNames where expected[name] != nil {
            for (type, key) in [(DType.float32, name), (.bfloat16, name + ".bf16")] {
                let ours = try store.tensor(name, dtype: type, device: .cpu).tensor
                #expect(try ours.equals(expected.tensor(key, dtype: type, device: .cpu).tensor), "\(key)")
                count += 1
            }
        }
        #expect(count == 2 * 14)
        #expect(!store.tensorNames.contains { $0.contains("scale") })
        #expect(store.notices.count == 1 && store.notices[0].contains("14 matrices"))
    }

    @Test func aModelAnswersAsInFull() throws {
        let config = try Fixture.json("fp8/model/config.json")
        let model = try Models.registry.model(config)
        try model.loadWeights(Self.store(), dtype: .float32, device: .cpu)
        #expect(model.trunk.notices.count == 1)
        let rows = try Fixture.json("fp8/sequences.json").arrayValue ?? []
        let batch = TokenBatch(rows.map { ($0.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } })
        let expected = try Self.file("expected.safetensors")
        try withoutGradients {
            let context = try model.context(for: batch)
            let logits = try model.logits(model.hiddenStates(batch, context), context)
            let wanted = try (0..<3).map { try expected.tensor("logits.\($0)", dtype: .float32, device: .cpu).tensor }
            #expect(try difference(logits, concatenated(wanted)) <= 1e-5)
        }
    }

    /// Without the size of blocks it follows from the scales, where those divide the matrix.
    @Test func scalesThatFitNoBlockAreRefused() throws {
        let store = try Self.store(block: nil)
        let whole = "model.layers.0.self_attn.q_proj.weight"
        let error = #expect(throws: WeightsError.self) { try store.tensor(whole, dtype: .float32, device: .cpu) }
        #expect(error?.description.contains("weight_scale_inv") == true)
        let one = "model.layers.1.mlp.down_proj.weight"
        #expect(try store.tensor(one, dtype: .float32, device: .cpu).tensor.shape == [40, 56])
    }
}
