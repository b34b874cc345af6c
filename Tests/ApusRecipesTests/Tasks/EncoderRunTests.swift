import ApusDatasets
import ApusJSON
import ApusTorch
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// Runs of encoders near BERT and of T5's classifier: what is trained is stored, goes on, and answers again.
struct EncoderRunTests {
    /// A model of the fixtures whose tokens are letters, with twelve texts of three classes.
    private static func run(_ base: String, _ change: (inout SFTSettings) -> Void = { _ in }) throws -> TinyRun {
        let run = try TinyRun()
        try run.useLetters(base, base.hasPrefix("seq2seq") ? ["eos_token_id": 3] : [:])
        let rows = (0..<12).map { #"{"text": "n \#($0)", "label": \#($0 % 3)}"# + "\n" }
        try run.folder.write(rows.joined(), to: "rows.jsonl")
        return run.with {
            $0.model.taskType = .sequenceClassification
            $0.model.numLabels = 3
            change(&$0)
        }
    }

    /// The classifier is made anew beside the words of a model that fills in masks, or reads and writes.
    @Test(
        arguments: [
            ("xlm-roberta-masked", "classifier.out_proj.weight"), ("distilbert-masked", "pre_classifier.weight"),
            ("electra-masked", "classifier.dense.weight"), ("albert-single", "classifier.weight"),
            ("deberta-masked", "pooler.dense.weight"), ("modernbert-masked", "head.dense.weight"),
        ])
    func aClassifierIsTrainedBesideAnAdapter(name: String, stored: String) throws {
        try check(Self.run("encoders-near-bert/\(name)"), stored: stored)
    }

    @Test(arguments: ["t5", "flan-t5"]) func aClassifierOfTwoHalves(name: String) throws {
        try check(Self.run("seq2seq/\(name)"), stored: "classification_head.dense.weight")
    }

    private func check(_ run: TinyRun, stored: String) throws {
        try run()
        let whole = try run.numbers(6)
        let folder = "\(run.output)/checkpoint-6"
        let names = try SafetensorsFile(path: "\(folder)/adapter_model.safetensors").tensorNames
        #expect(names.contains("base_model.model.\(stored)"), "\(names.filter { !$0.contains("lora") })")
        try FileManager.default.removeItem(atPath: folder)
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
        var settings = InferSettings(adapters: [folder])
        settings.data.valDataset = ["\(run.folder.path)/rows.jsonl"]
        settings.resultPath = "\(run.folder.path)/result.jsonl"
        settings.hardware.device = .cpu
        try Inference(settings)()
        let rows = try TinyModelFolder.rows("\(run.folder.path)/result.jsonl")
        #expect(rows.count == 12 && rows.allSatisfy { $0["response"]?.isNull == false })
    }

    @Test(arguments: ["xlm-roberta", "distilbert", "electra", "albert", "deberta", "modernbert"])
    func masksAreLearnedByAllWeights(name: String) throws {
        let run = try Self.run("encoders-near-bert/\(name)-masked") {
            $0.model.taskType = .maskedLanguageModel
            $0.model.numLabels = nil
            $0.model.tunerType = .full
            $0.optimization.maxSteps = 2
        }
        try run()
        // What is written is what was read, by name.
        let names = try SafetensorsFile(path: "\(run.output)/checkpoint-2/model.safetensors").tensorNames
        #expect(
            try Set(names)
                == Set(SafetensorsFile(path: "\(run.folder.path)/model/model.safetensors").tensorNames))
    }

    @Test(arguments: ["encoders-near-bert/electra-hidden", "encoders-near-bert/modernbert-hidden", "seq2seq/flan-t5"])
    func vectorsAreLearned(base: String) throws {
        let run = try Self.run(base) {
            $0.model.taskType = .embedding
            $0.model.numLabels = nil
            $0.optimization.maxSteps = 2
        }
        let rows = (0..<6).map { #"{"query": "n \#($0)", "response": "m \#($0)", "label": 0.\#($0)}"# + "\n" }
        try run.folder.write(rows.joined(), to: "rows.jsonl")
        try run()
        #expect(try run.losses().count == 2)
    }
}
