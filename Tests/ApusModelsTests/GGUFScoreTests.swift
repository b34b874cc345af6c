import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// GGUF files of RoBERTa and XLM-R, and of encoders that score texts, against what transformers computes of the same models
/// (Scripts/fixtures/make_gguf_encoders.py).
struct GGUFScoreTests {
    /// The rows of a fixture, and what transformers scores them with.
    private static func rows(_ name: String) throws -> (batch: TokenBatch, fixture: Fixture) {
        switch name {
        case "bert-scores":
            let test = try ClassifierParityTests.Case("bert-multi")
            return (test.batch, test.fixture)
        case "roberta-scores", "roberta":
            let test = try ClassifierParityTests.Case("roberta-single")
            return (test.batch, test.fixture)
        default:
            let test = try EncoderParityTests.Case("xlm-roberta-single")
            return (test.batch, test.fixture)
        }
    }

    private static func scores(_ model: any TextModel, _ batch: TokenBatch) throws -> Tensor {
        let classifier = try #require(model as? SequenceClassifier)
        return try withoutGradients { try classifier.scores(batch, classifier.context(for: batch)) }
    }

    @Test(arguments: ["bert-scores", "roberta-scores", "xlm-roberta-scores"])
    func scoresAreThoseOfTransformers(name: String) throws {
        let labels = try GGUFEncoderTests.labels(name)
        let (batch, fixture) = try Self.rows(name)
        for source in [try GGUFEncoderTests.model(name), try GGUFEncoderTests.written(name)] {
            #expect(source.unusedKeys == [] && source.config["architectures"] == ["BertForSequenceClassification"])
            let names = source.config["id2label"]?.objectValue
            #expect(names?.count == labels.count && names?["1"] == "class 1")
            #expect(source.config["label2id"]?["class 2"] == 2)
            #expect(try source.pooling() == nil)
            let model = try Models.registry.model(source.config, for: .sequenceClassification(labels: labels.count))
            #expect(try model.loadWeights(source, dtype: .float32, device: .cpu) == [])
            #expect(model.trunk.notices == [])
            let own = try Self.scores(model, batch)
            let distance = try difference(own, fixture.tensor("scores"))
            #expect(distance <= 1e-5)
            print("gguf \(name): scores \(distance)")
            let folder = try GGUFEncoderTests.folderModel(name).model
            #expect(try difference(own, Self.scores(folder, batch)) <= 1e-6)
            #expect(model.maximumLength == folder.maximumLength)
        }
    }

    /// The trunk of a RoBERTa gives the same states as a BERT, whose positions begin at 0.
    @Test func statesOfRoBERTaAreThoseOfItsFolder() throws {
        let batch = try Self.rows("roberta").batch
        func states(_ model: any TextModel) throws -> Tensor {
            try withoutGradients { try model.hiddenStates(batch, model.context(for: batch)) }
        }
        let source = try GGUFEncoderTests.written("roberta")
        #expect(source.config["model_type"] == "bert" && source.config["architectures"] == ["BertModel"])
        #expect(try source.pooling() == "cls")
        let model = try Models.registry.model(source.config, for: .hiddenStates)
        let new = try model.loadWeights(source, dtype: .float32, device: .cpu, newHeadSeed: 0)
        #expect(new.allSatisfy { $0.hasPrefix("pooler.") })
        #expect(try difference(states(model), states(GGUFEncoderTests.folderModel("roberta").model)) <= 1e-6)
    }

    @Test func namesAndShapesAreThoseOfLlamaCpp() throws {
        let file = try GGUFEncoderTests.written("roberta-scores").file
        #expect(file.metadata["general.architecture"] == .string("bert"))
        // Two of the 42 rows of the model's table lie before the first token.
        #expect(file.metadata["bert.context_length"] == .integer(40))
        #expect(file["position_embd.weight"]?.shape == [40, 32])
        let stored = try GGUFEncoderTests.stored("roberta-scores")
            .tensor("roberta.embeddings.position_embeddings.weight", dtype: .float32, device: .cpu).tensor
        #expect(try file.dequantized("position_embd.weight") == Array(stored.values(as: Float.self)[64...]))
        #expect(file.metadata["bert.pooling_type"] == .integer(4))
        #expect(file.metadata["bert.attention.causal"] == .bool(false))
        #expect(file.metadata["bert.classifier.output_labels"] == .strings(["class 0", "class 1", "class 2"]))
        #expect(file.metadata["tokenizer.ggml.token_type_count"] == .integer(1))
        #expect(file["token_types.weight"]?.shape == [1, 32])
        #expect(file["cls.weight"]?.shape == [32, 32] && file["cls.bias"]?.shape == [32])
        #expect(file["cls.output.weight"]?.shape == [3, 32] && file["cls.output.bias"]?.shape == [3])
        let bert = try GGUFEncoderTests.written("bert-scores").file
        let pooler = try GGUFEncoderTests.stored("bert-scores")
            .tensor("bert.pooler.dense.weight", dtype: .float32, device: .cpu).tensor
        #expect(try bert.dequantized("cls.weight") == pooler.values(as: Float.self))
        #expect(bert["cls.output.weight"]?.shape == [5, 32])
    }

    @Test func aHeadWithoutItsPoolerIsRefused() {
        // What llama.cpp's converter makes of a BERT.
        #expect {
            try GGUFEncoderTests.model("bert-scores", GGUFEncoderTests.replace("cls.weight", "cls.waight"))
        } throws: {
            "\($0)".contains("no place in a BertModel")
        }
        #expect {
            try GGUFEncoderTests.model(
                "bert-scores", GGUFEncoderTests.replace("cls.output.weight", "cls.output.waight"))
        } throws: {
            "\($0)".contains("cls.output.weight") && "\($0)".contains("without the matrix that makes the scores")
        }
    }

    @Test func whatAFileCannotSayOfScoresIsToldOrRefused() throws {
        func description(_ name: String, _ changes: JSONObject) throws -> GGUFDescription {
            var config = try GGUFEncoderTests.folderModel(name).config
            for (key, value) in changes { config[key] = value }
            let sizes = GGUFDescription.Sizes(
                vocabulary: 120, width: 32, feedForward: 56, layers: 2, heads: 4, keyValueHeads: 4, headSize: 8,
                context: 40)
            return try GGUFDescription(.object(config), sizes: sizes, type: .f16, path: "m.gguf")
        }
        func message(_ name: String, _ changes: JSONObject) -> String {
            do {
                _ = try description(name, changes)
                return ""
            } catch { return "\(error)" }
        }
        #expect(message("roberta-scores", [:]) == "")
        #expect(message("roberta-scores", ["hidden_act": "relu"]).contains("hidden_act"))
        #expect(message("roberta-scores", ["id2label": .null]).contains("id2label"))
        #expect(message("roberta-scores", ["id2label": ["0": "a", "2": "b"]]).contains("id2label"))
        #expect(try description("roberta-scores", [:]).notices == [])
        #expect(
            try description("bert-scores", [:]).notices == [
                "the file cannot say problem_type multi_label_classification; it reads as single_label_classification"
            ])
        let other = message("roberta-scores", ["model_type": "electra"])
        #expect(other.contains("models of type \"electra\" are not written as GGUF"))
        #expect(other.contains("bert, roberta, xlm-roberta, t5, mt5 are"))
    }
}
