import ApusJSON
import Foundation
import Testing

@testable import ApusWeights

/// Encoders that score texts, as files spell them.
struct GGUFHeadTests {
    /// A BERT of one layer and width 8 with a head of `rows` scores, its tables of one row as vectors.
    private static func bert(
        rows: Int, columns: Int = 8, _ change: (inout GGUFBuilder) -> Void = { _ in }
    ) throws -> GGUFModel {
        var builder = GGUFBuilder()
        builder.add("general.architecture", "bert")
        builder.add("bert.block_count", 1)
        builder.add("bert.context_length", 6)
        builder.add("bert.embedding_length", 8)
        builder.add("bert.feed_forward_length", 12)
        builder.add("bert.attention.head_count", 2)
        builder.add("bert.attention.layer_norm_epsilon", Float(1e-5))
        func add(_ name: String, _ shape: [Int]) {
            builder.add(tensor: name, shape: shape, floats: Array(repeating: 0.5, count: shape.reduce(1, *)))
        }
        add("token_embd.weight", [3, 8])
        add("token_types.weight", [8])
        add("cls.weight", [8, 8])
        add("cls.output.weight", rows == 1 ? [8] : [rows, columns])
        add("cls.output.bias", [min(rows, 3)])
        change(&builder)
        let folder = try TemporaryFolder()
        return try withExtendedLifetime(folder) {
            try GGUFModel(GGUFFile(path: folder.file("bert.gguf", builder.bytes())))
        }
    }

    private static func named(_ names: [String]) -> (inout GGUFBuilder) -> Void {
        { builder in
            let texts = names.flatMap { GGUFBuilder.string($0) }
            builder.add(
                key: "bert.classifier.output_labels", type: 9,
                littleEndian(UInt32(8)) + littleEndian(UInt64(names.count)) + texts)
        }
    }

    /// Files have matrices of one row as vectors, and give two classes without names none.
    @Test func matricesOfOneRowMayBeVectors() throws {
        let one = try Self.bert(rows: 1)
        #expect(one["bert.embeddings.token_type_embeddings.weight"]?.shape == [1, 8])
        #expect(one["classifier.weight"]?.shape == [1, 8] && one["classifier.bias"]?.shape == [1])
        #expect(one["bert.pooler.dense.weight"]?.shape == [8, 8])
        #expect(one.config["type_vocab_size"] == 1 && one.config["id2label"] == ["0": "LABEL_0"])
        let two = try Self.bert(rows: 2)
        #expect(two["classifier.weight"]?.shape == [2, 8])
        #expect(two.config["id2label"] == ["0": "LABEL_0", "1": "LABEL_1"])
        #expect(two.config["architectures"] == ["BertForSequenceClassification"])
    }

    @Test func scoresHaveTheNamesOfTheFile() throws {
        let model = try Self.bert(rows: 2, Self.named(["bad", "good"]))
        #expect(model.config["id2label"] == ["0": "bad", "1": "good"])
        #expect(model.config["label2id"] == ["bad": 0, "good": 1] && model.unusedKeys == [])
        #expect {
            try Self.bert(rows: 3, Self.named(["bad", "good"]))
        } throws: {
            "\($0)".contains("bert.classifier.output_labels")
                && "\($0)".contains("names 2 scores, but cls.output.weight makes 3")
        }
        #expect(throws: WeightsError.self) {
            try Self.bert(rows: 2) { $0.add("bert.classifier.output_labels", "bad") }
        }
    }

    /// Rows of no numbers take no bytes, so that a small file can say that there are any number of them.
    @Test func rowsOfNothingAreRefused() {
        #expect {
            try Self.bert(rows: 1 << 40, columns: 0)
        } throws: {
            "\($0)".contains("cls.output.weight") && "\($0)".contains("rows without numbers")
        }
    }

    /// llama.cpp rounds no vectors, for which it takes matrices of one row.
    @Test func aSingleScoreKeepsItsBits() {
        let facts = GGUFFileType.Facts(layers: 2, isTied: true, sharesKeys: false)
        func type(_ type: GGUFFileType, rows: Int) -> GGUFTensorType {
            type.type(of: "cls.output.weight", shape: [rows, 64], facts)
        }
        #expect(type(.q8_0, rows: 1) == .f32 && type(.q8_0, rows: 2) == .q8_0)
        #expect(type(.f16, rows: 1) == .f16 && type(.f16, rows: 2) == .f16)
    }
}
