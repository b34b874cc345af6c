import ApusJSON
import ApusLanguageModel
import ApusModels
import Foundation
import Testing

@testable import ApusRecipes

/// What the files of sentence-transformers say, and what is written where there are none.
struct SentenceFilesTests {
    private let encoder: JSONValue = [
        "model_type": "bert", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 4, "max_position_embeddings": 16,
    ]
    private let decoder: JSONValue = [
        "model_type": "qwen2", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1,
        "num_key_value_heads": 1, "intermediate_size": 4, "max_position_embeddings": 16,
    ]

    private func files(_ contents: [String: String], config: JSONValue) throws -> SentenceFiles {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-sentences-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in contents.merging(["config.json": config.serialized()], uniquingKeysWith: { a, _ in a }) {
            let file = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        let source = try ModelSource(folder.path, surroundings: Surroundings())
        return try SentenceFiles(source, model: Models.registry.model(config, for: .hiddenStates))
    }

    private func modules(_ types: [(type: String, path: String)]) -> String {
        let list = types.map { #"{"type": "sentence_transformers.models.\#($0.type)", "path": "\#($0.path)"}"# }
        return "[" + list.joined(separator: ", ") + "]"
    }

    @Test func theFilesDecide() throws {
        let found = try files(
            [
                "modules.json": modules([("Transformer", ""), ("Pooling", "1_Pooling")]),
                "1_Pooling/config.json": #"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#,
                "sentence_bert_config.json": #"{"max_seq_length": 9, "do_lower_case": true}"#,
            ], config: encoder)
        #expect(found.pooling == SentencePooling([.firstToken, .mean], normalizes: false))
        #expect(found.maximumLength == 9 && found.lowercases && found.areGiven)
        #expect(
            Set(found.companions.map(\.name)) == [
                "modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
            ])
        let model = try Models.registry.model(encoder, for: .hiddenStates)
        #expect(model.limit(found.maximumLength) == 9)
        #expect(model.limit(12) == 12)
        #expect(model.limit(99) == 16)
        #expect(model.limit(99, leaving: 5) == 11)
    }

    @Test func newerFilesNameTheirPooling() throws {
        let found = try files(
            [
                "modules.json": modules([("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]),
                "1_Pooling/config.json": #"{"embedding_dimension": 4, "pooling_mode": "lasttoken"}"#,
            ], config: decoder)
        #expect(found.pooling == SentencePooling([.lastToken], normalizes: true))
    }

    /// What is written for a folder without the files says the same when it is read.
    @Test func writtenFilesAreRead() throws {
        for (config, mode) in [(encoder, SentencePooling.Mode.mean), (decoder, .lastToken)] {
            let plain = try files([:], config: config)
            #expect(plain.pooling == SentencePooling([mode], normalizes: true) && !plain.areGiven)
            let written = plain.companions.map { ($0.name, String(decoding: $0.data, as: UTF8.self)) }
            let again = try files(Dictionary(uniqueKeysWithValues: written), config: config)
            #expect(again.pooling == plain.pooling && again.areGiven)
        }
    }

    @Test(arguments: [
        (#"[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]"#, "modules of the type"),
        (#"[{"type": "sentence_transformers.models.Pooling", "path": "../1_Pooling"}]"#, "leads out of the folder"),
        (#"[{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]"#, "which is not there"),
        (#"[{"type": "sentence_transformers.models.Transformer", "path": ""}]"#, "names no Pooling"),
    ])
    func whatIsNotThereIsNamed(text: String, message: String) {
        let error = #expect(throws: ModelError.self) { try files(["modules.json": text], config: encoder) }
        #expect(error?.description.contains(message) == true)
    }

    @Test func anUnknownPoolingIsNamed() {
        let contents = [
            "modules.json": modules([("Pooling", "1_Pooling")]),
            "1_Pooling/config.json": #"{"pooling_mode": "attention"}"#,
        ]
        let error = #expect(throws: ModelError.self) { try files(contents, config: encoder) }
        #expect(error?.description.contains("attention") == true)
    }

    /// sentence-transformers takes the mean where a file chooses nothing.
    @Test func noPoolingChosenIsTheMean() throws {
        let contents = [
            "modules.json": modules([("Transformer", ""), ("Pooling", "1_Pooling")]),
            "1_Pooling/config.json": #"{"word_embedding_dimension": 4, "pooling_mode_mean_tokens": false}"#,
        ]
        #expect(try files(contents, config: encoder).pooling == SentencePooling([.mean], normalizes: false))
    }
}
