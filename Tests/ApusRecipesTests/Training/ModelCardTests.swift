import ApusHub
import Foundation
import Testing

@testable import ApusRecipes

/// The `README.md` of a checkpoint.
struct ModelCardTests {
    private static func card(_ change: (inout SFTSettings) -> Void) throws -> String {
        let run = try TinyRun().with {
            $0.optimization.maxSteps = 1
            $0.evaluation.saveSteps = 1
            change(&$0)
        }
        if run.settings.taskType == .sequenceClassification {
            let isRegression = run.settings.model.problemType == .regression
            let rows = (0..<12).map {
                #"{"text": "n \#($0)", "label": \#(isRegression ? "\($0).5" : "\($0 % 3)")}"# + "\n"
            }
            try run.folder.write(rows.joined(), to: "rows.jsonl")
        }
        try run()
        return try String(contentsOfFile: "\(run.output)/checkpoint-1/README.md", encoding: .utf8)
    }

    /// PEFT makes the head anew, with two scores unless told otherwise.
    @Test func adaptersOfClassifiersSayHowManyLabelsThereAre() throws {
        func line(_ count: Int) -> String {
            "model = AutoPeftModelForSequenceClassification.from_pretrained(\".\", num_labels=\(count))\n"
        }
        #expect(try Self.card { $0.model.taskType = .sequenceClassification }.contains(line(3)))
        let regression = try Self.card {
            $0.model.taskType = .sequenceClassification
            $0.model.problemType = .regression
        }
        #expect(regression.contains(line(1)))
        let continued = try Self.card { _ in }
        #expect(continued.contains("model = AutoPeftModelForCausalLM.from_pretrained(\".\")\n"))
    }
}
