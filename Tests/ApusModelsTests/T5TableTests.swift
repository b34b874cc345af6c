import Foundation
import Testing

@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Files of T5 whose stacks have tables of words beside the shared one, or in its place.
///
/// Which tensor is which table is what `from_pretrained` of `transformers` 5 makes of such files.
struct T5TableTests {
    private static let (shared, encoder, decoder) = (
        "shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"
    )

    /// Another id in the place of each, so that `T'[i] = T[π(i)]` is a table with other values; the special ones stay.
    private static func turned(_ id: Int32, of count: Int32) -> Int32 { id < 3 ? id : count + 2 - id }

    private static func turned(_ rows: [[Int32]], of count: Int32) -> [[Int32]] {
        rows.map { $0.map { turned($0, of: count) } }
    }

    /// A model of a fixture's weights with other tables than the file's, by name; `true` is turned, nil is not there.
    private static func model(
        _ name: String, _ task: ModelTask, _ tables: [String: Bool]
    ) throws -> any TextModel {
        let fixture = try SequenceToSequenceTests.Case(name).fixture
        let own = try ModelWeights(folder: fixture.folder.path)
        func tensor(_ name: String) throws -> Tensor {
            try own.tensor(name, dtype: .float32, device: .cpu).tensor
        }
        let table = try tensor(shared)
        let order = (0..<Int32(table.shape[0])).map { turned($0, of: Int32(table.shape[0])) }
        let other = try table.indexed(0, Tensor(order))
        var sources = try own.tensorNames.filter { ![shared, encoder, decoder].contains($0) }.map {
            WeightSource($0, try tensor($0))
        }
        for (name, isTurned) in tables { sources.append(WeightSource(name, isTurned ? other : try table.cloned())) }
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try SafetensorsWriter.write(sources, to: path)
        let model = try Models.registry.model(Fixture.json("seq2seq/\(name)/config.json"), for: task)
        try model.checkWeights(SafetensorsFile(path: path))
        try model.resolveTie(SafetensorsFile(path: path))
        try model.loadWeights(SafetensorsFile(path: path), dtype: .float32, device: .cpu)
        return model
    }

    private static func logits(
        _ model: any TextModel, sources: [[Int32]], answers: [[Int32]]
    ) throws -> Tensor {
        let model = try #require(model as? CausalLanguageModel)
        let batch = TokenBatch(sources: sources, answers: answers.map { ($0, nil) }, start: 0)
        return try withoutGradients {
            let context = try model.context(for: batch)
            return try model.logits(model.hiddenStates(batch, context), context)
        }
    }

    /// A stack with a turned table answers as the shared one does to turned ids.
    @Test(
        arguments: [
            ([shared: false, encoder: true], true, false), ([shared: false, decoder: true], false, true),
            ([shared: false, encoder: true, decoder: true], true, true),
            ([shared: false, encoder: false, decoder: false], false, false),
            // Without the shared one the encoder's is it, and then the decoder's.
            ([encoder: false, decoder: false], false, false), ([encoder: false], false, false),
            ([decoder: false], false, false), ([encoder: false, decoder: true], false, true),
        ] as [([String: Bool], Bool, Bool)])
    func stacksHaveTheTablesOfTheFile(
        tables: [String: Bool], turnsSources: Bool, turnsAnswers: Bool
    ) throws {
        let test = try SequenceToSequenceTests.Case("t5")
        let rows = SequenceToSequenceTests.Case.rows(test.fixture.expected)
        let (sources, answers) = (rows.map(\.source), rows.map(\.answer))
        let plain = try test.language()
        let count = Int32(plain.embedding.count)
        let wanted = try Self.logits(
            plain, sources: turnsSources ? Self.turned(sources, of: count) : sources,
            answers: turnsAnswers ? Self.turned(answers, of: count) : answers)
        let model = try Self.model("t5", .sequenceToSequence, tables)
        #expect(try difference(Self.logits(model, sources: sources, answers: answers), wanted) <= 1e-5)
        let others = (turnsSources ? [Self.encoder] : []) + (turnsAnswers ? [Self.decoder] : [])
        #expect(model.parameters().map(\.name).filter { $0.contains("embed_tokens") } == others)
        #expect(model.trunk.notices.count == others.count && model.trunk.wordTables.count == 1 + others.count)
        #expect(zip(model.trunk.notices, others).allSatisfy { $0.hasPrefix("\($1) of the file differs from") })
    }

    @Test(
        arguments: [
            ([shared: false, encoder: true], true), ([encoder: false], false),
            ([shared: false, encoder: false, decoder: true], false),
        ] as [([String: Bool], Bool)])
    func theEncoderAloneHasItsOwn(tables: [String: Bool], turns: Bool) throws {
        let test = try SequenceToSequenceTests.Case("t5-encoder")
        let plain = try test.model(.hiddenStates)
        func states(_ model: any TextModel, _ rows: [[Int32]]) throws -> Tensor {
            let batch = TokenBatch(rows)
            return try withoutGradients { try model.hiddenStates(batch, model.context(for: batch)) }
        }
        let count = Int32(plain.embedding.count)
        let wanted = try states(plain, turns ? Self.turned(test.sources, of: count) : test.sources)
        let model = try Self.model("t5-encoder", .hiddenStates, tables)
        #expect(try difference(states(model, test.sources), wanted) <= 1e-5)
    }

    @Test func aFileWithoutAnyTableIsRefused() throws {
        let error = #expect(throws: ModelError.self) { try Self.model("t5", .sequenceToSequence, [:]) }
        #expect(error?.description.contains("missing: shared.weight") == true)
    }
}
