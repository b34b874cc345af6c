import ApusJSON
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch

/// `ensure_weight_tying` of LoRA on a model whose head is its table of words; what files of it say is in `PEFTReadingTests`.
struct WeightTyingTests {
    static let name = "qwen2-tied-gqa"
    static let table = "base_model.model.model.embed_tokens.weight"
    static let head = "base_model.model.lm_head.weight"

    private func method(saving names: [String], ties: Bool = true) -> LoRAConfiguration {
        var method = LoRAConfiguration()
        method.selection.targets = .names(["q_proj"])
        method.base.modulesToSave = names
        method.ensuresTies = ties
        return method
    }

    private func isTied(_ model: CausalLanguageModel) throws -> Bool {
        let head = try #require(model.modules().first { $0.path == "lm_head" }?.module as? Linear)
        return head.storage is TiedWeight
    }

    /// The loss's gradients by name.
    private func gradients(_ method: LoRAConfiguration) throws -> [String: Tensor] {
        let model = try Fixture.model(Self.name, dtype: .float64)
        let attached = try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.materialize(dtype: .float64, device: .cpu, seed: 1)
        try attached.setTrainable(true)
        try model.outputs(Fixture("models/\(Self.name)").batch()).loss.backward()
        var gradients: [String: Tensor] = [:]
        for (name, slot) in attached.parameters { gradients[name] = slot.tensor?.gradient }
        return gradients
    }

    @Test(
        arguments: [
            (["embed_tokens"], ["embed_tokens", "model.embed_tokens"]), (["lm_head"], ["model.embed_tokens"]),
            (["lm_head", "norm", "embed_tokens"], ["norm", "embed_tokens", "model.embed_tokens"]),
        ] as [([String], [String])])
    func aTableAndItsHeadAreTrainedAsOne(named: [String], written: [String]) throws {
        let model = try Fixture.model(Self.name)
        let attached = try method(saving: named).attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        #expect(try isTied(model))
        let names = attached.parameters.map(\.name)
        #expect(names.contains(Self.table) && !names.contains(Self.head))
        // Both names stand in the file, with the same values, as in PEFT's.
        let stored = Dictionary(uniqueKeysWithValues: try attached.storedTensors().map { ($0.name, $0.tensor) })
        #expect(try #require(stored[Self.table]).equals(#require(stored[Self.head])))
        let file = try JSONValue(parsing: Data(attached.configurationText().utf8))
        #expect(file["ensure_weight_tying"] == true)
        #expect(file["modules_to_save"] == .array(written.map(JSONValue.string)))
        try attached.merge()
        #expect(try isTied(model))
    }

    /// The gradient is the sum of those of the two.
    @Test func bothUsesOfTheTableCount() throws {
        let apart = try gradients(method(saving: ["embed_tokens", "lm_head"], ties: false))
        let whole = try gradients(method(saving: ["lm_head"]))
        let sum = try #require(apart[Self.table]) + #require(apart[Self.head])
        #expect(try relativeDifference(#require(whole[Self.table]), sum) <= 1e-12)
        #expect(whole[Self.head] == nil)
    }

    /// Without a tie the key says nothing, as in PEFT.
    @Test func aHeadOfItsOwnStaysThat() throws {
        let model = try Fixture.model("llama-untied-mha")
        let attached = try method(saving: ["lm_head"]).attach(to: model, heads: model.headNames)
        #expect(attached.parameters.contains { $0.name == Self.head })
        #expect(!attached.parameters.contains { $0.name == Self.table })
    }

    /// Adapters of both are read, and not trained: PEFT's optimizer steps twice on what is one.
    @Test func adaptersOfBothAreNotTrained() throws {
        let model = try Fixture.model(Self.name)
        var own = method(saving: [])
        own.selection.targets = .names(["q_proj", "lm_head"])
        let refused = #expect(throws: AdapterError.self) { try own.attach(to: model) }
        #expect(refused?.description.contains("ensure_weight_tying") == true)
        let folder = try Fixture("peft-readings/tied-targets").folder.path
        var attached = try AdapterFiles.method(in: folder).attach(to: model, heads: model.headNames)
        #expect(Set(attached.parts.map(\.path)).isSuperset(of: ["model.embed_tokens", "lm_head"]))
        let further = #expect(throws: AdapterError.self) { try attached.participants(totalSteps: 4) }
        #expect(further?.description.contains("model.embed_tokens") == true)
    }

    @Test func tokensOfATableAndItsHeadAreTheSame() throws {
        let model = try Fixture.model(Self.name)
        var same = method(saving: [])
        same.tokens = .modules([.init(name: "embed_tokens", ids: [3, 4]), .init(name: "lm_head", ids: [3, 4])])
        let attached = try same.attach(to: model, heads: model.headNames)
        #expect(attached.parameters.filter { $0.name.hasSuffix("trainable_tokens_delta") }.count == 1)
        attached.detach()
        same.tokens = .modules([.init(name: "embed_tokens", ids: [3, 4]), .init(name: "lm_head", ids: [3, 5])])
        let refused = #expect(throws: AdapterError.self) { try same.attach(to: model, heads: model.headNames) }
        #expect(refused?.description.contains("lm_head and model.embed_tokens are one table") == true)
    }
}
