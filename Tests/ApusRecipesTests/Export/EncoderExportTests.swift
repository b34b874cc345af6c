import ApusLanguageModel
import ApusModels
import ApusText
import ApusTorch
import ApusTraining
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// RoBERTa and XLM-R, and encoders that score texts, written as GGUF files and read again.
@Suite(.serialized) struct EncoderExportTests {
    enum Family: CaseIterable {
        case bert, roberta, xlmRoBERTa

        func folder() throws -> TinyModelFolder {
            switch self {
            case .bert: try .bert("classifiers/bert-multi")
            case .roberta: try .roberta("classifiers/roberta-single")
            case .xlmRoBERTa: try .xlmRoBERTa("encoders-near-bert/xlm-roberta-single")
            }
        }

        var labelCount: Int { self == .bert ? 5 : 3 }
    }

    private static func settings(_ path: String, _ task: TaskType?, labels: Int? = nil) -> ModelSettings {
        var settings = ModelSettings()
        (settings.name, settings.taskType, settings.numLabels) = (path, task, labels)
        return settings
    }

    private static func export(
        _ model: ModelSettings, to output: String, merges: Bool = false, type: GGUFFileType = .f32
    ) throws -> String {
        var settings = ExportSettings(adapters: model.adapters, mergeLoRA: merges)
        settings.model = model
        settings.hardware.device = .cpu
        (settings.toGGUF, settings.ggufType, settings.outputDirectory) = (true, type, output)
        return "\(try ModelExport(settings)())/\(settings.ggufName)"
    }

    private static let texts: [(String, String?)] = [
        ("the cat", nil), ("a", nil), ("the cat", "that hat"), ("", "x"),
    ]

    private static func encoded(_ source: ModelSource, _ model: any TextModel) throws -> TokenBatch {
        let tokenizer = try TextParts(source, of: model).tokenizer
        let encoded = texts.map { tokenizer.encode($0.0, pair: $0.1) }
        return TokenBatch(encoded.map(\.ids), segments: encoded.map(\.segments))
    }

    private static func scores(_ settings: ModelSettings) throws -> [[Double]] {
        let adapted = try AdaptedModel(settings, device: .cpu, surroundings: Surroundings())
        #expect(adapted.task == .sequenceClassification)
        let model = try #require(adapted.form.model as? SequenceClassifier)
        return try withoutGradients {
            let batch = try encoded(adapted.source, model)
            return try model.scores(batch, model.context(for: batch)).rows()
        }
    }

    private static func states(_ path: String) throws -> [[Double]] {
        let source = try ModelSource(path, surroundings: Surroundings())
        let model = try Models.registry.model(source.config(), for: .hiddenStates)
        try model.loadWeights(source.weights(), dtype: .float32, device: .cpu, newHeadSeed: 0)
        return try withoutGradients {
            let batch = try encoded(source, model)
            return try model.hiddenStates(batch, model.context(for: batch)).rows()
        }
    }

    private static func check(_ ours: [[Double]], _ theirs: [[Double]], within bound: Double = 1e-6) {
        #expect(ours.map(\.count) == theirs.map(\.count) && !ours.isEmpty)
        #expect(zip(ours.joined(), theirs.joined()).allSatisfy { abs($0 - $1) <= bound })
    }

    @Test(arguments: Family.allCases) func scoresGoThereAndBack(family: Family) throws {
        let folder = try family.folder()
        let model = Self.settings(folder.path, .sequenceClassification, labels: family.labelCount)
        let theirs = try Self.scores(model)
        let file = try Self.export(model, to: "\(folder.path)/out")
        // What the file is for is found in it.
        let ours = try Self.scores(Self.settings(file, nil))
        #expect(ours.map(\.count) == Array(repeating: family.labelCount, count: Self.texts.count))
        Self.check(ours, theirs)
        let metadata = try GGUFFile(path: file).metadata
        #expect(metadata["general.architecture"] == .string("bert") && metadata["bert.pooling_type"] == .integer(4))
        let names = (0..<family.labelCount).map { "LABEL_\($0)" }
        #expect(metadata["bert.classifier.output_labels"] == .strings(names))
        // Once more, as it was read.
        let again = try Self.export(Self.settings(file, nil), to: "\(folder.path)/again")
        Self.check(try Self.scores(Self.settings(again, nil)), ours, within: 0)
    }

    @Test(arguments: [Family.roberta, .xlmRoBERTa]) func statesGoThereAndBack(family: Family) throws {
        let folder = try family.folder()
        let file = try Self.export(Self.settings(folder.path, .embedding), to: "\(folder.path)/out")
        Self.check(try Self.states(file), try Self.states(folder.path))
        let metadata = try GGUFFile(path: file).metadata
        #expect(metadata["bert.pooling_type"] == .integer(1) && metadata["bert.classifier.output_labels"] == nil)
        #expect(metadata["bert.context_length"] == .integer(40))
        let isRoBERTa = family == .roberta
        #expect(metadata["tokenizer.ggml.model"] == .string(isRoBERTa ? "gpt2" : "t5"))
        #expect(metadata["tokenizer.ggml.pre"] == .string(isRoBERTa ? "roberta-bpe" : "default"))
        for name in ["bos", "eos", "sep"] {
            #expect(metadata["tokenizer.ggml.add_\(name)_token"] == .bool(true), "\(name)")
        }
        let ids = [("bos", 0), ("padding", 1), ("eos", 2), ("seperator", 2), ("unknown", 3)]
        for (name, id) in ids + [("mask", isRoBERTa ? 100 : 81)] {
            #expect(metadata["tokenizer.ggml.\(name)_token_id"] == .integer(id), "\(name)")
        }
        #expect(metadata["tokenizer.ggml.tokens"]?.stringValues?.count == 120)
        #expect((metadata["tokenizer.ggml.scores"] != nil) == !isRoBERTa)
    }

    @Test func aMergedAdapterIsWrittenWithItsHead() throws {
        let folder = try Family.roberta.folder()
        var model = Self.settings(folder.path, .sequenceClassification)
        model.adapters = [TinyModelFolder.fixtures.appendingPathComponent("classifiers/roberta-single/lora").path]
        let theirs = try Self.scores(model)
        let file = try Self.export(model, to: "\(folder.path)/out", merges: true)
        Self.check(try Self.scores(Self.settings(file, nil)), theirs, within: 1e-5)
    }

    @Test func whatOthersComputeOtherwiseIsTold() throws {
        func notices(_ family: Family) throws -> [String] {
            let folder = try family.folder()
            let settings = Self.settings(folder.path, .sequenceClassification, labels: family.labelCount)
            let adapted = try AdaptedModel(settings, device: .cpu, surroundings: Surroundings())
            return try GGUFExport(adapted, type: .f16, name: "a.gguf").notices
        }
        let bert = try notices(.bert)
        #expect(bert.contains { $0.hasPrefix("llama.cpp gives both texts of a pair the first segment") })
        #expect(bert.contains { $0.contains("problem_type multi_label_classification") })
        #expect(try notices(.roberta) == [] && notices(.xlmRoBERTa) == [])
    }

    @Test(arguments: [
        ("classifiers/roberta-masked", TaskType.maskedLanguageModel, "fills in masks"),
        ("encoders-near-bert/xlm-roberta-masked", .maskedLanguageModel, "fills in masks"),
        ("classifiers/qwen2-regression", .sequenceClassification, "scores texts"),
    ])
    func whatHasNoPlaceIsRefused(model: String, task: TaskType, activity: String) throws {
        let folder = try TemporaryFolder()
        let path = TinyModelFolder.fixtures.appendingPathComponent(model).path
        let error = #expect(throws: ModelError.self) {
            _ = try Self.export(Self.settings(path, task), to: "\(folder.path)/out")
        }
        #expect("\(String(describing: error))".contains("this one \(activity)"))
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out"))
    }
}
