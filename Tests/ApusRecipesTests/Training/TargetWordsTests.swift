import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusRecipes

private final class Block: Module {
    @Child("dense") var dense: Linear
    @Child("query") var query: Linear

    override init() {
        super.init()
        (dense, query) = (Linear(2, 2), Linear(2, 2))
    }
}

private final class Head: Module {
    @Child("dense") var dense: Linear

    override init() {
        super.init()
        dense = Linear(2, 2)
    }
}

private final class Tree: Module {
    @Child("a") var blocks: [Block]
    @Child("cls") var head: Head

    override init() {
        super.init()
        (blocks, head) = ([Block(), Block()], Head())
    }
}

/// ms-swift's words for kinds of layers, alone and beside names: nothing that was asked for is passed over.
struct TargetWordsTests {
    private static let linear = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

    /// What a LoRA adapter hangs on, by the ends of names, and what its file says.
    private static func chosen(_ words: [String], of fixture: String) throws -> (parts: [String], file: JSONValue?) {
        var settings = SFTSettings(model: "m", dataset: ["d"])
        settings.tuner.targetModules = words
        let config = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(TinyRun.fixtures)/\(fixture)/config.json")))
        let model = try Models.registry.model(config)
        let tuner = try Tuner(settings, model: model, config: config, sourceName: "m")
        let attached = try #require(tuner.attached)
        return (
            attached.parts.map { String($0.path.split(separator: ".").last ?? "") },
            try attached.method.json(attached.parts)["target_modules"]
        )
    }

    @Test(
        arguments: [
            (["all-linear"], linear), (["all-linear", "lm_head"], linear + ["lm_head"]),
            (["all-linear", "embed_tokens"], linear + ["embed_tokens"]), (["all-embedding"], ["embed_tokens"]),
            (["all-embedding", "all-linear"], linear + ["embed_tokens"]), (["q_proj", "all-linear"], linear),
            (["q_proj", "all-embedding"], ["q_proj", "embed_tokens"]),
        ] as [([String], [String])])
    func wordsBesideNames(words: [String], ends: [String]) throws {
        let (parts, file) = try Self.chosen(words, of: "qwen2-untied")
        #expect(Set(parts) == Set(ends))
        #expect(Set(file?.arrayValue?.compactMap(\.stringValue) ?? []) == Set(ends))
        // Every layer of each name.
        #expect(ends.allSatisfy { end in parts.filter { $0 == end }.count == (end.hasSuffix("_proj") ? 2 : 1) })
    }

    @Test func aNameBesideThemThatIsNone() {
        #expect {
            try Self.chosen(["all-linear", "lm_heda"], of: "qwen2-untied")
        } throws: {
            "\($0)".contains(#"no layer matches "lm_heda""#) && "\($0)".contains(#"did you mean "lm_head"?"#)
        }
    }

    /// A name that the head of a model has too means the layers alone.
    @Test func namesThatAHeadHasToo() {
        let model = Tree()
        #expect(
            TargetModules.spelledOut(["all-linear", "x"], on: model, heads: ["cls"])
                == ["x", "a.0.dense", "query", "a.1.dense"])
        #expect(TargetModules.spelledOut(["all-linear"], on: model, heads: ["cls"]) == ["all-linear"])
        #expect(TargetModules.spelledOut(["query"], on: model, heads: ["cls"]) == ["query"])
    }
}
