import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusTorch
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

/// Folders of sentence-transformers with dense layers, prompts and older layouts give its vectors
/// (Scripts/fixtures/make_sentence_encoders.py).
struct SentenceEncoderTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appendingPathComponent("Fixtures/sentence-encoders")

    private struct Encoder {
        let source: ModelSource
        let files: SentenceFiles
        let text: TextParts
        let model: any TextModel

        init(_ folder: String) throws {
            source = try ModelSource(folder, surroundings: Surroundings())
            model = try Models.registry.model(source.config(), for: .hiddenStates)
            files = try SentenceFiles(source, model: model)
            text = try TextParts(source, of: model)
            try model.loadWeights(source.weights(), dtype: .float32, device: .cpu, newHeadSeed: 0)
        }

        func vectors(_ texts: [String]) throws -> [[Double]] {
            let encoder = SequenceEncoder(
                EncodingSettings(), text: text, model: model, files: files, usesPrompt: true)
            let embedder = files.embedder(model, promptOf: text.tokenizer)
            return try withoutGradients {
                let batch = TokenBatch(try texts.map { try encoder.encode(.text($0)).ids })
                return try embedder(batch, model.context(for: batch)).rows()
            }
        }
    }

    private static func check(_ encoder: Encoder, _ name: String) throws {
        let data = try Data(contentsOf: fixtures.appendingPathComponent("\(name)/expected.json"))
        let expected = try JSONValue(parsing: data)
        let texts = (expected["texts"]?.arrayValue ?? []).compactMap(\.stringValue)
        let wanted = (expected["vectors"]?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
        let vectors = try encoder.vectors(texts)
        #expect(!wanted.isEmpty)
        let (counts, wantedCounts) = (vectors.map(\.count), wanted.map(\.count))
        #expect(counts == wantedCounts)
        let largest = zip(vectors.joined(), wanted.joined()).map { abs($0 - $1) }.max() ?? .infinity
        #expect(largest <= 1e-5, "\(name)")
        print("parity \(name): vectors \(largest)")
    }

    @Test(arguments: ["dense", "older", "two-dense"]) func vectorsAreThoseOfSentenceTransformers(name: String) throws {
        try Self.check(Encoder(Self.fixtures.appendingPathComponent(name).path), name)
    }

    @Test func whatTheFilesSay() throws {
        let older = try Encoder(Self.fixtures.appendingPathComponent("older").path)
        #expect(older.files.prompt == "Query: a " && !older.files.poolsPrompt)
        #expect(older.files.maximumLength == 24)
        #expect(older.files.pooling.modes == [.firstToken, .weightedMean])
        #expect(older.source.path.hasSuffix("older/0_Transformer"))
        #expect(try Encoder(Self.fixtures.appendingPathComponent("dense").path).files.prompt == nil)
    }

    /// What is saved beside a trained model makes the same encoder of it.
    @Test(arguments: ["dense", "older", "two-dense"]) func companionsMakeTheSameEncoder(name: String) throws {
        let encoder = try Encoder(Self.fixtures.appendingPathComponent(name).path)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-encoder-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        // The model itself lies in the folder that is saved.
        try FileManager.default.copyItem(at: URL(fileURLWithPath: encoder.source.path), to: folder)
        for (file, data) in encoder.files.companions {
            let url = folder.appendingPathComponent(file)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try data.write(to: url)
        }
        let saved = try Encoder(folder.path)
        #expect(saved.source.path == folder.path)
        try Self.check(saved, name)
    }

    private func refusal(_ file: String, _ change: (inout JSONObject) -> Void) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-encoder-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.copyItem(at: Self.fixtures.appendingPathComponent("dense"), to: folder)
        let url = folder.appendingPathComponent(file)
        var json = try JSONValue(parsing: Data(contentsOf: url)).objectValue ?? [:]
        change(&json)
        try Data(JSONValue.object(json).serialized().utf8).write(to: url)
        return #expect(throws: ModelError.self) { try Encoder(folder.path) }?.description ?? ""
    }

    @Test func whatIsNotThereIsNamed() throws {
        let dense = "2_Dense/config.json"
        #expect(try refusal(dense) { $0["activation_function"] = "my.code.Function" }.contains("my.code.Function"))
        #expect(try refusal(dense) { $0["module_input_name"] = "token_embeddings" }.contains("token_embeddings"))
        #expect(try refusal(dense) { $0["in_features"] = 13 }.contains("in_features is 13"))
        #expect(try refusal(dense) { $0["out_features"] = 8 }.contains("linear.weight of the shape [8, 12]"))
        #expect(
            try refusal("config_sentence_transformers.json") { $0["default_prompt_name"] = "passage" }
                .contains("\"passage\", which is not among its prompts (document, query)"))
    }
}
