import ApusJSON
import ApusLanguageModel
import ApusText
import ApusTorch
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// `--new_special_tokens`: a model that knows more tokens.
struct NewTokensTests {
    private func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private func run() throws -> TinyRun {
        var run = try TinyRun()
        try run.folder.write("<think>\n</think>  <|im_end|>\n", to: "tokens.txt")
        run.settings.model.newSpecialTokens = ["<tool>", "\(run.folder.path)/tokens.txt", "<tool>"]
        return run
    }

    @Test(arguments: [TunerType.lora, .full]) func trainsAndGoesOn(tuner: TunerType) throws {
        var run = try run()
        run.settings.model.tunerType = tuner
        try run.folder.write(
            (0..<12).map { #"{"query": "<tool> \#($0)", "response": "<think>\#($0)</think>!"}"# + "\n" }.joined(),
            to: "rows.jsonl")
        try run()
        let whole = try run.numbers(6)
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
        let bases = try FileManager.default.contentsOfDirectory(atPath: run.output).filter { $0.hasPrefix("base-") }
        #expect(bases.count == 1)
        #expect(try json("\(run.output)/args.json")["model"]?.stringValue == "\(run.output)/\(bases[0])")
        #expect(try json("\(run.output)/args.json")["new_special_tokens"] == .array([]))
        if tuner == .full {
            let tokenizer = try Tokenizer.load(folder: URL(fileURLWithPath: "\(run.output)/checkpoint-6"))
            #expect(tokenizer.id(of: "<tool>") != nil)
        }
    }

    /// Old rows keep their bits, new ones are their mean; ids follow the old ones, and tokens are one id each.
    @Test func rows() throws {
        let run = try run()
        let source = try ModelSource(run.settings.model.name ?? "", surroundings: Surroundings())
        let before = try Tokenizer.load(folder: URL(fileURLWithPath: source.path))
        let enlarged = try EnlargedModel(source, adding: run.settings.model.newSpecialTokens)
        var said: [String] = []
        let path = try enlarged.written(in: run.folder.path, task: .causalLanguageModel) { said.append($0) }
        #expect(said.count == 1 && said[0].hasPrefix("3 new special tokens (<tool> <think> </think>)"), "\(said)")
        let after = try Tokenizer.load(folder: URL(fileURLWithPath: path))
        let first = Int32(before.vocabularySize)
        #expect(after.encode("a<think><tool>b</think>") == [97, first + 1, first, 98, first + 2])
        #expect(after.decode([97, first, 98], skipSpecialTokens: true) == "ab")
        let old = try SafetensorsFile(path: "\(source.path)/model.safetensors")
        let new = try SafetensorsFile(path: "\(path)/model.safetensors")
        let name = "model.embed_tokens.weight"
        let (small, large) = (
            try old.tensor(name, dtype: .float32, device: .cpu).tensor,
            try new.tensor(name, dtype: .float32, device: .cpu).tensor
        )
        let rows = small.shape[0]
        let needed = (after.vocabularySize + 127) / 128 * 128
        #expect(large.shape[0] == (rows < after.vocabularySize ? needed : rows))
        #expect(try json("\(path)/config.json")["vocab_size"]?.intValue == large.shape[0])
        #expect(try large.narrowed(0, start: 0, length: rows).equals(small))
        if large.shape[0] > rows {
            let mean = try small.mean(0)
            #expect(try large.selected(0, large.shape[0] - 1).equals(mean))
        }
        // The same again is there already, and tokens that are known ask for nothing.
        #expect(try enlarged.written(in: run.folder.path, task: .causalLanguageModel) { _ in } == path)
        let known = try EnlargedModel(source, adding: ["<|im_end|>"])
        #expect(try known.written(in: run.folder.path, task: .causalLanguageModel) { _ in } == source.path)
    }

    @Test func refusals() throws {
        let run = try run()
        #expect(run.with { $0.model.taskType = .embedding }.refusal().contains("--new_special_tokens"))
        #expect(run.with { $0.model.newSpecialTokens = ["/nowhere.txt"] }.refusal().contains("/nowhere.txt"))
    }
}
