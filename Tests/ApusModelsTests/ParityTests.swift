import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Logits, loss and all gradients against `transformers`, whole tensors.
struct ParityTests {
    /// Every tiny model of the fixtures.
    static let models: [String] = {
        let path = Fixture.root.appendingPathComponent("models").path
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }()

    @Test func thereAreModels() { #expect(Self.models.count >= 20) }

    @Test(arguments: models) func logitsLossAndGradientsEqualTransformers(name: String) throws {
        let fixture = try Fixture("models/\(name)")
        let model = try Fixture.model(name)
        try model.setTrainable(true)
        let batch = fixture.batch()
        let (logits, loss) = try model.outputs(batch)
        var worst = 0.0
        var (same, all) = (0, 0)
        for index in 0..<batch.sequenceCount {
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let part = try logits.narrowed(0, start: start, length: end - start)
            let expected = try fixture.tensor("logits.\(index)")
            worst = try max(worst, difference(part, expected))
            same += Int(try withoutGradients { try part.isEqual(to: expected).to(.float32).sum().item() })
            all += expected.count
        }
        // Where float32 itself is the limit, both are that far from the exact numbers (see the next test).
        let rounding = try? Fixture.json("models/\(name)/exact.json")["rounding"]?.doubleValue
        #expect(worst <= max(1e-5, 2 * (rounding ?? 0)))
        let expectedLoss = try #require(fixture.expected["loss"]?.doubleValue)
        // The fixture's loss is the sum over the targets of all sequences, divided by their number.
        #expect(try abs(loss.item() - expectedLoss / 1) <= 1e-5 * max(1, expectedLoss))

        try loss.backward()
        var worstGradient = (0.0, "")
        let trained = model.parameters().filter { !$0.slot.isBuffer }
        let magnitudes = try trained.map { try magnitude(fixture.tensor("grad.\($0.name)")) }
        let largest = magnitudes.max() ?? 0
        for ((parameter, slot), magnitude) in zip(trained, magnitudes) {
            let gradient = try #require(slot.tensor?.gradient, "\(parameter) has no gradient")
            let expected = try fixture.tensor("grad.\(parameter)")
            // What softmax takes away again, as a bias of keys, has a gradient of rounding alone.
            let distance =
                try magnitude <= 1e-7 * largest
                ? difference(gradient, expected) / largest : relativeDifference(gradient, expected)
            if distance > worstGradient.0 { worstGradient = (distance, parameter) }
        }
        #expect(worstGradient.0 <= 1e-5, "\(worstGradient.1)")
        print(
            "parity \(name): logits \(worst), \(same) of \(all) bit for bit, gradients \(worstGradient.0) (\(worstGradient.1))"
        )
    }

    /// Against transformers with all of it in float64 (Scripts/fixtures/make_exact.py).
    @Test(arguments: ["qwen3-next", "qwen3-next-interval", "qwen3.5", "qwen3.5-long", "qwen3.5-moe"])
    func linearAttentionEqualsTheExactNumbers(name: String) throws {
        let fixture = try Fixture("models/\(name)")
        let exact = try SafetensorsFile(path: fixture.folder.appendingPathComponent("exact.safetensors").path)
        let model = try Fixture.model(name, dtype: .float64)
        let batch = fixture.batch()
        let logits = try withoutGradients { try model.outputs(batch).logits }
        var worst = 0.0
        for index in 0..<batch.sequenceCount {
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let part = try logits.narrowed(0, start: start, length: end - start)
            worst = try max(
                worst, difference(part, exact.tensor("logits.\(index)", dtype: .float64, device: .cpu).tensor))
        }
        print("parity \(name), float64: logits \(worst)")
        #expect(worst <= 1e-6)
    }

    @Test func bothSpellingsOfTheConfigurationMakeTheSameModel() throws {
        let fixture = try Fixture("models/qwen2-tied-gqa")
        let a = try Fixture.model("qwen2-tied-gqa")
        let b = try Fixture.model("qwen2-tied-gqa", config: "config.transformers5.json")
        #expect(a.trunk.rotary == b.trunk.rotary)
        #expect(try a.outputs(fixture.batch()).logits.equals(b.outputs(fixture.batch()).logits))
    }

    /// In float64 the identity shows to its last digits; in float32 rounding depends on the processor's kernels, which
    /// sum a long batch in another order than short ones.
    @Test(
        arguments: [
            "qwen2-tied-gqa", "llama-rope-dynamic", "mistral-window", "gemma3", "phi3-longrope", "qwen3-moe",
            "deepseek-v3", "qwen3-next", "qwen3.5-long",
        ],
        [(DType.float64, 1e-9), (.float32, 4e-6)])
    func aFlatBatchEqualsItsSequencesOneByOne(name: String, precision: (dtype: DType, bound: Double)) throws {
        let fixture = try Fixture("models/\(name)")
        let model = try Fixture.model(name, dtype: precision.dtype)
        try model.setTrainable(true)
        let whole = fixture.batch()
        let (_, loss) = try model.outputs(whole)
        try loss.backward()
        let together = try model.trainableParameters.map { try #require($0.slot.tensor?.gradient).cloned() }
        for (_, slot) in model.parameters() { slot.tensor?.clearGradient() }
        var total = 0.0
        for index in 0..<whole.sequenceCount {
            let one = fixture.batch(index)
            let share = Double(one.targets.count) / Double(whole.targets.count)
            let loss = try model.outputs(one).loss * share
            total += try loss.item()
            try loss.backward()
        }
        #expect(try abs(total - loss.item()) <= 1e-6)
        var worst = 0.0
        for (gradient, parameter) in zip(together, model.trainableParameters) {
            let other = try #require(parameter.slot.tensor?.gradient)
            worst = try max(worst, relativeDifference(gradient, other))
        }
        print("parity \(name), \(precision.dtype): flat against one by one, gradients \(worst)")
        #expect(worst <= precision.bound)
    }

    @Test(arguments: ["llama-tied-gqa", "qwen3-moe", "qwen3.5-long", "gpt-oss"])
    func checkpointedLayersHaveTheSameGradients(name: String) throws {
        let fixture = try Fixture("models/\(name)")
        func gradients(checkpoints: Bool) throws -> [Tensor] {
            let model = try Fixture.model(name)
            try model.setTrainable(true)
            try model.outputs(fixture.batch(), checkpoints: checkpoints).loss.backward()
            return try model.parameters().map { try #require($0.slot.tensor?.gradient) }
        }
        for (a, b) in try zip(gradients(checkpoints: false), gradients(checkpoints: true)) {
            #expect(try difference(a, b) <= 1e-7)
        }
    }

    @Test(arguments: ["qwen2-tied-gqa", "gemma2", "gemma3", "phi3", "olmo2", "granite", "glm4", "chatglm", "qwen3.5"])
    func bfloat16FollowsTransformersLoosely(name: String) throws {
        let fixture = try Fixture("models/\(name)")
        let model = try Fixture.model(name, dtype: .bfloat16)
        let logits = try model.outputs(fixture.batch(0)).logits
        let scale = try abs(fixture.tensor("logits.0")).max().item()
        #expect(try difference(logits, fixture.tensor("logits.0")) <= 0.05 * scale)
    }

    @Test func aCachedForwardEqualsTheWholeOne() throws {
        let fixture = try Fixture("models/qwen2-tied-gqa")
        let model = try Fixture.model("qwen2-tied-gqa")
        try withoutGradients {
            let state = ModelState(sequences: 2)
            let (first, second) = (fixture.batch(0).tokens, fixture.batch(1).tokens)
            // The first four tokens of each at once, then the rest one by one and in pieces.
            let start = TokenBatch(continuing: [(Array(first[..<4]), 0), (Array(second[..<4]), 0)])
            _ = try model.hiddenStates(start, model.context(for: start, state: state))
            let middle = TokenBatch(continuing: [(Array(first[4..<5]), 4), (Array(second[4..<7]), 4)])
            _ = try model.hiddenStates(middle, model.context(for: middle, state: state))
            let end = TokenBatch(continuing: [(Array(first[5...]), 5), (Array(second[7...]), 7)])
            let context = try model.context(for: end, state: state)
            let last = try model.logits(model.hiddenStates(end, context), context)
            #expect(state.lengths == [7, 12])
            #expect(try difference(last.selected(0, 1), fixture.tensor("logits.0").selected(0, 6)) <= 1e-5)
            #expect(try difference(last.selected(0, 6), fixture.tensor("logits.1").selected(0, 11)) <= 1e-5)
        }
    }
}
