import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Other files and types of the encoders that `EncoderParityTests` compares with transformers.
struct EncoderFileTests {
    /// Heads compute in float32 over trunks of 16 bits, and so do the norms in them.
    @Test(arguments: ["modernbert-single", "modernbert-mean-regression"], [DType.bfloat16, .float16])
    func scoresOfShortTypesAreNearlyThoseOfFloat32(name: String, dtype: DType) throws {
        let test = try EncoderParityTests.Case(name)
        func scores(_ dtype: DType) throws -> Tensor {
            let model = try test.classifier(dtype: dtype)
            return try withoutGradients { try model.scores(test.batch, model.context(for: test.batch)) }
        }
        let (exact, short) = (try scores(.float32), try scores(dtype))
        #expect(short.dtype == .float32)
        #expect(try relativeDifference(short, exact) < (dtype == .bfloat16 ? 0.1 : 0.02))
    }

    /// A masked model whose head has values of its own, with the name of its matrix and of the bias beside it.
    struct Head: Sendable, CustomTestStringConvertible {
        let fixture: String
        let table: String
        let decoder: String
        let bias: String

        var testDescription: String { fixture }
    }

    static let heads = [
        Head(
            fixture: "xlm-roberta-masked", table: "roberta.embeddings.word_embeddings.weight",
            decoder: "lm_head.decoder", bias: "lm_head.bias"),
        Head(
            fixture: "distilbert-masked", table: "distilbert.embeddings.word_embeddings.weight",
            decoder: "vocab_projector", bias: "vocab_projector.bias"),
        Head(
            fixture: "electra-masked", table: "electra.embeddings.word_embeddings.weight",
            decoder: "generator_lm_head", bias: "generator_lm_head.bias"),
        Head(
            fixture: "albert-masked", table: "albert.embeddings.word_embeddings.weight",
            decoder: "predictions.decoder", bias: "predictions.bias"),
        Head(
            fixture: "deberta-masked", table: "deberta.embeddings.word_embeddings.weight",
            decoder: "cls.predictions.decoder", bias: "cls.predictions.bias"),
        Head(
            fixture: "modernbert-masked", table: "model.embeddings.tok_embeddings.weight", decoder: "decoder",
            bias: "decoder.bias"),
    ]

    private static func logits(_ model: MaskedLanguageModel, _ batch: TokenBatch) throws -> Tensor {
        try withoutGradients {
            let context = try model.context(for: batch)
            return try model.logits(model.hiddenStates(batch, context), context)
        }
    }

    /// As `transformers` 5, which unties a head that a file holds with other values than the table.
    @Test(arguments: heads) func aHeadWithOtherValuesThanTheTableIsUsed(head: Head) throws {
        let test = try EncoderParityTests.Case(head.fixture)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let tied = try #require(test.model() as? MaskedLanguageModel)
        let layer = try #require(tied.head.vocabularyLayer)
        try #require(layer.storage is TiedWeight, "\(head.fixture) is not tied")
        let own = try ModelWeights(folder: test.fixture.folder.path)
        func tensor(_ name: String) throws -> Tensor {
            try own.tensor(name, dtype: .float32, device: .cpu).tensor
        }
        let bias = try tensor(head.bias)
        let others = own.tensorNames.filter { !$0.hasPrefix(head.decoder + ".") || $0 == head.bias }

        func load(_ matrix: Tensor, biasBeside: Tensor?) throws -> MaskedLanguageModel {
            var sources = try others.map { WeightSource($0, try tensor($0)) }
            sources.append(WeightSource(head.decoder + ".weight", matrix))
            if let biasBeside { sources.append(WeightSource(head.decoder + ".bias", biasBeside)) }
            try SafetensorsWriter.write(sources, to: folder.appendingPathComponent("model.safetensors").path)
            let config = try Fixture.json("encoders-near-bert/\(head.fixture)/config.json")
            let model = try #require(
                Models.registry.model(config, for: .maskedLanguageModel) as? MaskedLanguageModel)
            try model.loadWeights(ModelWeights(folder: folder.path), dtype: .float32, device: .cpu)
            return model
        }
        // Twice the table: the scores without their bias are twice as large.
        let isBeside = head.bias != head.decoder + ".bias"
        let other = try load(tensor(head.table) * 2, biasBeside: isBeside ? bias + 1 : nil)
        #expect(other.trunk.notices.contains { $0.contains("\(head.decoder).weight of the file differs") })
        let (before, after) = (try Self.logits(tied, test.batch), try Self.logits(other, test.batch))
        let wanted = try (before - bias) * 2 + (isBeside ? bias + 1 : bias)
        #expect(try relativeDifference(after, wanted) < 1e-5)
        #expect(other.parameters().contains { $0.name == head.decoder + ".weight" })
        // `transformers` wants the bias beside the matrix where that is not tied.
        #expect(other.writtenCopies.map(\.name) == (isBeside ? [head.decoder + ".bias"] : []))
        // The same values are the table, and are not kept twice.
        let same = try load(tensor(head.table), biasBeside: nil)
        #expect(same.trunk.notices.isEmpty && same.writtenCopies.isEmpty)
        #expect(try Self.logits(same, test.batch).equals(before))
    }

    /// A token of padding inside a text has the padding's position and is not counted, as in `transformers`; no text
    /// trains that position (Scripts/fixtures/make_config_reading.py).
    @Test(
        arguments: [
            ("classifiers/roberta-single", "roberta"), ("encoders-near-bert/xlm-roberta-single", "xlm-roberta"),
        ])
    func paddingInsideATextIsNotCounted(path: String, type: String) throws {
        let rows = (try Fixture.json("config-reading/inside.json")["rows"]?.arrayValue ?? []).map { row in
            (row.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        let expected = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("config-reading/inside.safetensors").path)
        func wanted(_ what: String) throws -> Tensor {
            try expected.tensor("\(type).\(what)", dtype: .float64, device: .cpu).tensor
        }
        let labels = try #require(Fixture.json("\(path)/expected.json")["labels"]?.intValue)
        let model = try #require(
            Models.registry.model(
                Fixture.json("\(path)/config.json"), for: .sequenceClassification(labels: labels))
                as? SequenceClassifier)
        try model.loadWeights(
            ModelWeights(folder: Fixture.root.appendingPathComponent(path).path), dtype: .float64, device: .cpu)
        try model.setTrainable(true)
        let batch = TokenBatch(rows)
        let scores = try model.scores(batch, model.context(for: batch))
        #expect(rows.count == 5)
        #expect(try relativeDifference(scores.detached(), wanted("scores")) <= 1e-6)
        try scores.sum().backward()
        let table = try #require(
            model.parameters().first { $0.name.hasSuffix("position_embeddings.weight") }?.slot.tensor)
        let gradient = try #require(table.gradient)
        #expect(try relativeDifference(gradient, wanted("positions")) <= 1e-6)
        #expect(try magnitude(gradient.selected(0, 1)) == 0)
    }
}
