import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// What a program is told of texts is what the peers say of them, and `apus infer`.
struct JudgedTextTests {
    /// With the prompt before texts, whose tokens some models leave out of the pooling.
    @Test(arguments: ["dense", "older", "two-dense"])
    func vectorsAreThoseOfSentenceTransformers(name: String) throws {
        let folder = TinyModelFolder.fixtures.appendingPathComponent("sentence-encoders/\(name)")
        let expected = try JSONValue(parsing: Data(contentsOf: folder.appendingPathComponent("expected.json")))
        let texts = (expected["texts"]?.arrayValue ?? []).compactMap(\.stringValue)
        let wanted = (expected["vectors"]?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
        let model = try LoadedModel(folder.path, dtype: .float32, device: .cpu)
        for _ in 0..<2 {
            let vectors = try model.vectors(texts)
            let (counts, wantedCounts) = (vectors.map(\.count), wanted.map(\.count))
            #expect(!wanted.isEmpty && counts == wantedCounts)
            let largest = zip(vectors.joined(), wanted.joined()).map { abs($0 - $1) }.max() ?? .infinity
            #expect(largest <= 1e-5, "\(name)")
        }
    }

    /// A classifier sees texts in the template that it was trained with, whatever its tokenizer brings.
    @Test(arguments: [nil, "phi3"] as [String?])
    func classesInTheTemplateOfTraining(template: String?) throws {
        let run = try TinyRun().with {
            $0.model.taskType = .sequenceClassification
            $0.encoding.template = template
            $0.optimization.maxSteps = 1
            $0.evaluation.saveSteps = 1
        }
        let rows = (0..<6).map { #"{"text": "n \#($0)", "label": \#($0 % 3)}"# }
        try run.folder.write(rows.joined(separator: "\n"), to: "rows.jsonl")
        try run()
        let data = try run.folder.write(rows[0], to: "one.jsonl")
        let (checkpoint, result) = ("\(run.output)/checkpoint-1", "\(run.folder.path)/result.jsonl")
        var notices: [String] = []
        let line = try ArgumentLine(
            ["--adapters", checkpoint, "--val_dataset", data, "--result_path", result, "--device", "cpu"], for: .infer)
        try Inference(InferSettings(line, notices: &notices))()
        let row = try #require(TinyModelFolder.rows(result).first)

        let model = try LoadedModel(checkpoint, dtype: nil, device: .cpu)
        let said = try #require(model.judgements([("n 0", nil)]).first)
        #expect(said.answer == row["response"])
        let (probabilities, wanted) = (said.probabilities?.objectValue ?? [:], row["probabilities"]?.objectValue ?? [:])
        #expect(probabilities.keys == wanted.keys && wanted.count == 3)
        for (name, value) in wanted {
            let (got, value) = (probabilities[name]?.doubleValue ?? .nan, value.doubleValue ?? .nan)
            #expect(abs(got - value) < 1e-6, "\(name)")
        }
    }
}
