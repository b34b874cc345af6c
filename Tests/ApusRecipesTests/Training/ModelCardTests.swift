import ApusDatasets
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

    @Test(arguments: [
        ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"), ("/models/a_b-c+d.gguf", "/models/a_b-c+d.gguf"),
        ("my: model #1", #""my: model #1""#), ("/a b/c", #""/a b/c""#), ("no", #""no""#), ("1_0/x", #""1_0/x""#),
        (#"a"b\c"#, #""a\"b\\c""#), ("模型", "\"模型\""),
    ])
    func namesAreQuotedAsYAML(name: String, written: String) {
        #expect(ModelCard.scalar(name) == written)
    }

    /// Folders are nobody's business, whatever stands behind a path.
    @Test func filesAreNamedWithoutTheirFolders() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("", to: "rows.jsonl")
        #expect(ModelCard.dataSets(path) == ["rows.jsonl"] && ModelCard.dataSets("\(path)#5") == ["rows.jsonl#5"])
        #expect(ModelCard.dataSets("\(path):a/b#5") == ["rows.jsonl:a/b#5"])
        #expect(ModelCard.dataSets("\(folder.path)/*.jsonl#2,\(path)") == ["*.jsonl#2", "rows.jsonl"])
        #expect(ModelCard.dataSets("/gone/private/x.parquet#7") == ["x.parquet#7"])
        #expect(ModelCard.dataSets("file://\(path)") == ["rows.jsonl"])
        #expect(ModelCard.dataSets("hf::owner/name:a/b#5") == ["hf::owner/name:a/b#5"])
        #expect(ModelCard.dataSets("swift/self-cognition#500") == ["swift/self-cognition#500"])
    }
}
