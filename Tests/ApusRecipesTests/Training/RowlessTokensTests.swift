import ApusJSON
import ApusLanguageModel
import ApusText
import ApusTorch
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// Added tokens that a model has no row for, as in Gemma 3 without its eyes and copies of Llama 2.
struct RowlessTokensTests {
    /// A model of 259 rows, and a tokenizer with as many tokens and one more.
    private func run(_ change: (inout JSONObject) -> Void = { _ in }) throws -> TinyRun {
        let run = try TinyRun()
        let path = "\(run.folder.path)/model/tokenizer.json"
        var file = try #require(
            try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: path))).objectValue)
        var added = try #require(file["added_tokens"]?.arrayValue)
        added.append([
            "id": 259, "content": "<image>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        ])
        file["added_tokens"] = .array(added)
        change(&file)
        try run.folder.write(JSONValue.object(file).serialized(), to: "model/tokenizer.json")
        return run
    }

    private func loaded(_ run: TinyRun) throws -> LanguageModel {
        try LanguageModel(
            ModelSource(run.settings.model.name ?? "", surroundings: Surroundings()), dtype: nil, device: .cpu)
    }

    @Test func theModelIsLoadedAndSaysSo() throws {
        let model = try loaded(run())
        #expect(model.model.vocabularySize == 259)
        #expect(model.tokenizer.encode("a<image>") == [97, 259])
        let notice = "the model has 259 rows for tokens, and none for <image> (id 259): texts that hold"
        #expect(model.notices.contains { $0.hasPrefix(notice) }, "\(model.notices)")
        #expect(try model.logits([97, 258]).shape == [2, 259])
        for ids: [Int32] in [[97, 259], [-1]] {
            let error = #expect(throws: ModelError.self) { try model.logits(ids) }
            #expect(error?.description.contains("token \(ids[ids.count - 1]) has no row") == true)
        }
        let prompts = PromptEncoder(EncodingSettings(), model.tokenizer, model.encoder)
        #expect(try !prompts([Message(role: "user", content: "image")]).isEmpty)
        let error = #expect(throws: ModelError.self) { try prompts([Message(role: "user", content: "an <image>")]) }
        #expect(error?.description.contains("<image> (id 259)") == true)
    }

    @Test func rowsWithSuchATokenAreNamed() throws {
        var run = try run()
        try run.folder.write(
            TinyRun.conversations(0..<12) + #"{"query": "what is on <image>?", "response": "a bird"}"# + "\n",
            to: "rows.jsonl")
        run.settings.data.maxDroppedRatio = 1
        try run()
        let dropped = try String(contentsOfFile: "\(run.output)/dropped.jsonl", encoding: .utf8)
        #expect(dropped.split(separator: "\n").count == 1)
        #expect(dropped.contains("<image> (id 259)"), "\(dropped)")
        let strict = run.with {
            $0.data.strict = true
            $0.output.outputDirectory = "\(run.folder.path)/strict"
        }
        #expect(
            strict.refusal().contains("rows.jsonl:13: a token that the model has no row for: <image> (id 259)"),
            "\(strict.refusal())")
    }

    @Test func ordinaryTokensWithoutARowAreRefused() throws {
        let run = try run { file in
            var model = file["model"]?.objectValue ?? [:]
            var words = model["vocab"]?.objectValue ?? [:]
            for id in 256..<260 { words["more\(id)"] = .int(id) }
            model["vocab"] = .object(words)
            file["model"] = .object(model)
        }
        let error = #expect(throws: ModelError.self) { try loaded(run) }
        #expect(
            error?.description.contains("has 260 tokens without added ones, the model 259") == true,
            "\(error?.description ?? "")")
    }

    /// As llama.cpp's converter has it: a token is written for each row, and no more.
    @Test func aGGUFFileHasATokenForEachRow() throws {
        let run = try run()
        var settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model.name = run.settings.model.name
        settings.hardware.device = .cpu
        settings.outputDirectory = "\(run.folder.path)/g"
        settings.toGGUF = true
        let folder = try ModelExport(settings)()
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let path = "\(folder)/\(try #require(names.first { $0.hasSuffix(".gguf") }))"
        let tokens = try #require(try GGUFFile(path: path).metadata["tokenizer.ggml.tokens"]?.stringValues)
        #expect(tokens.count == 259)
        #expect(tokens[258] == "<|im_end|>")
        let back = try LanguageModel(ModelSource(path, surroundings: Surroundings()), dtype: nil, device: .cpu)
        #expect(back.tokenizer.encode("a <|im_end|>") == [97, 32, 258])
    }
}
