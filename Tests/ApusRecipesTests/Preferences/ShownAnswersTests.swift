import ApusJSON
import ApusMetrics
import ApusRewards
import ApusRunLog
import Foundation
import Testing

@testable import ApusRecipes
@testable import ApusTraining

/// Answers that a run shows while it learns from them.
@Suite(.serialized) struct ShownAnswersTests {
    /// The last round is shown whenever a step is logged, however many steps it serves.
    @Test(arguments: [(1, 2), (4, 1)]) func shownAtLoggedSteps(batches: Int, accumulation: Int) throws {
        let run = try TinyRun(sampling: 8).with {
            $0.preferences?.policy.logCompletions = true
            $0.preferences?.policy.stepsPerGeneration = batches
            $0.optimization.gradientAccumulationSteps = accumulation
            $0.output.loggingSteps = 4
        }
        let output = Recorder()
        var training = try FineTuning(run.settings)
        training.console = output.console
        _ = try training()
        let steps = output.text.split(separator: "\n").compactMap { line in
            line.hasPrefix("answers of step ") ? Int(line.dropFirst(16).prefix { $0.isNumber }) : nil
        }
        // Those that are logged: the first, every fourth, the last.
        #expect(steps == [1, 4, 6])
        // Nothing without the option.
        let silent = Recorder()
        training = try FineTuning(
            run.with {
                $0.preferences?.policy.logCompletions = false
                $0.outputDirectoryName("silent")
            }.settings)
        training.console = silent.console
        _ = try training()
        #expect(!silent.text.contains("answers of step"))
    }

    private func report(_ texts: [String], rewards: [(String, [Double])]) -> RolloutMaker.Report {
        RolloutMaker.Report(
            questions: texts.map { _ in [1] },
            completions: texts.map {
                Completion(
                    messages: [["role": "user", "content": "How far is it\nto the sea?"]], text: $0, tokens: [1])
            },
            rewards: rewards.map { (name: $0.0, values: $0.1) }, advantages: texts.indices.map { Double($0) - 0.5 })
    }

    @Test func tables() {
        let texts = [
            "Near.", String(repeating: "far ", count: 60), "海は遠い、とても遠い、山の向こう、川の向こう",
            "a\u{1B}[2Jb\r\nc", "fifth",
        ]
        let scores: [(String, [Double])] = [
            ("Format", [0, 1, 0.25, .nan, 1]), ("MathAccuracyOfALongName", [1, 0, 0, 0, 0]),
        ]
        let table = report(texts, rewards: scores).table(step: 7, width: 78)
        let lines = table.split(separator: "\n").map(String.init)
        #expect(lines.count == 6 && lines[0] == "answers of step 7 (4 of 5):")
        #expect(lines.allSatisfy { TextColumns.width($0) <= 78 }, "\(table)")
        // Columns stand below each other.
        #expect(Set(lines.dropFirst().map(TextColumns.width)).count == 1, "\(table)")
        #expect(lines[1].contains("prompt") && lines[1].contains("completion") && lines[1].contains("MathAccurac…"))
        #expect(lines[1].hasSuffix("advantage") && lines[2].hasSuffix("-0.50") && lines[5].hasSuffix("+2.50"))
        #expect(lines[2].contains("Near.") && lines[3].contains("far far") && lines[3].contains("…"))
        #expect(lines[4].contains("海は") && lines[4].contains("0.25"))
        #expect(!table.contains("\u{1B}") && !table.contains("\r") && lines[5].contains("⏎ c"))
        #expect(lines[2].contains("How far is i…"))
        for width in [20, 30, 40, 60, 100, 200] {
            let lines = report(texts, rewards: scores + scores + scores).table(step: 1, width: width)
                .split(separator: "\n").map(String.init)
            #expect(lines.count == 6 && lines.allSatisfy { TextColumns.width($0) <= width }, "\(width): \(lines)")
        }
        let narrow = report(["a"], rewards: scores + scores + scores).table(step: 1, width: 60)
        #expect(narrow.contains("5 rewards left out"), "\(narrow)")
        #expect(report(["a"], rewards: scores).table(step: 1, width: nil).contains("answers of step 1 (1 of 1):"))
    }
}
