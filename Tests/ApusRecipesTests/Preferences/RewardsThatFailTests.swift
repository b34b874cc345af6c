import ApusJSON
import ApusRewards
import ApusRunLog
import Foundation
import Testing

@testable import ApusRecipes

/// Rewards that fail in the middle of a run, and rows that they cannot judge.
@Suite(.serialized) struct RewardsThatFailTests {
    /// A run whose program judges so many batches and then does something else; the first is the rehearsal.
    private struct Failing {
        let run: TinyRun
        private let limit: String

        init(rows: Int = 8, _ change: (inout SFTSettings) -> Void = { _ in }) throws {
            let plain = try TinyRun(sampling: rows)
            let folder = plain.folder.path
            limit = "\(folder)/limit"
            try plain.folder.write(
                """
                import json, os, sys, time
                limit, count = "\(folder)/limit", "\(folder)/count"
                for line in sys.stdin:
                    row = json.loads(line)
                    if row["index"] == 0 and os.path.exists(limit):
                        most, deed = open(limit).read().split()
                        done = int(open(count).read()) if os.path.exists(count) else 0
                        if done >= int(most):
                            if deed == "exit": sys.exit(3)
                            if deed == "hang": time.sleep(60)
                            print("words", flush=True)
                            continue
                        open(count, "w").write(str(done + 1))
                    print(sum(row["token_ids"]) % 5, flush=True)
                """, to: "score.py")
            run = plain.with {
                $0.preferences?.rewards.rewardFuncs = ["exec:python3 \(folder)/score.py"]
                $0.preferences?.rewards.options.timeout = 20
                change(&$0)
            }
        }

        /// Runs until the program fails, and says what the console said and what ended the run.
        func untilItFails(after batches: Int, by deed: String) throws -> (console: String, error: String) {
            try Data("\(batches) \(deed)".utf8).write(to: URL(filePath: limit))
            defer { try? FileManager.default.removeItem(atPath: limit) }
            let output = Recorder()
            var training = try FineTuning(
                run.with {
                    $0.outputDirectoryName("broken")
                    if deed == "hang" { $0.preferences?.rewards.options.timeout = 3 }
                }.settings)
            training.console = output.console
            let error = #expect(throws: (any Error).self) { _ = try training() }
            return (output.text, error.map { "\($0)" } ?? "")
        }

        /// The broken run, with a program that works again.
        func goesOn() throws -> TinyRun {
            let again = run.with {
                $0.outputDirectoryName("broken")
                $0.evaluation.resumeFromCheckpoint = "last"
            }
            try again()
            return again
        }
    }

    /// Whatever a program does in the middle of a run, the steps before it are saved, and a run with a program that works ends
    /// in the bits of one that was never interrupted.
    @Test(arguments: ["exit", "hang", "words"]) func stepsAreKept(deed: String) throws {
        let failing = try Failing()
        try failing.run()
        let (console, error) = try failing.untilItFails(after: 4, by: deed)
        #expect(error.contains("score.py"), "\(error)")
        #expect(console.contains("its 3 steps are saved"), "\(console)")
        #expect(console.contains("--resume_from_checkpoint last"), "\(console)")
        let broken = failing.run.with { $0.outputDirectoryName("broken") }
        #expect(try broken.checkpoints() == ["checkpoint-2", "checkpoint-3"])
        let again = try failing.goesOn()
        #expect(try again.numbers(6) == failing.run.numbers(6))
        #expect(try again.losses() == failing.run.losses())
    }

    /// The same where a round serves several steps, or a step several rounds.
    @Test(arguments: [(2, 2, 1, 2), (1, 3, 2, 2), (1, 1, 3, 4)])
    func roundsAreKept(of sizes: (iterations: Int, batches: Int, accumulation: Int, calls: Int)) throws {
        let failing = try Failing {
            $0.preferences?.policy.numIterations = sizes.iterations
            $0.preferences?.policy.stepsPerGeneration = sizes.batches
            $0.preferences?.policy.logCompletions = true
            $0.optimization.gradientAccumulationSteps = sizes.accumulation
            $0.evaluation.saveSteps = 6
        }
        try failing.run()
        let (console, _) = try failing.untilItFails(after: sizes.calls + (sizes.accumulation == 3 ? 1 : 0), by: "exit")
        #expect(console.contains("saved, and the same command"), "\(console)")
        let again = try failing.goesOn()
        #expect(try again.numbers(6) == failing.run.numbers(6))
        #expect(try again.losses() == failing.run.losses())
        let told = [failing.run, again].map { try? Data(contentsOf: URL(filePath: "\($0.output)/completions.jsonl")) }
        #expect(told[0] != nil && told[0] == told[1])
    }

    /// An evaluation that fails is made up for before the run goes on, and counts as it would have.
    @Test func evaluationsAreMadeUp() throws {
        let failing = try Failing(rows: 12) {
            $0.data.splitDatasetRatio = 0.34
            $0.optimization.maxSteps = 4
        }
        let whole = try failing.run()
        let (console, _) = try failing.untilItFails(after: 3, by: "exit")
        #expect(console.contains("its 2 steps are saved"), "\(console)")
        let state = "\(failing.run.with { $0.outputDirectoryName("broken") }.output)/checkpoint-2/apus_state.json"
        #expect(try String(contentsOfFile: state, encoding: .utf8).contains("owes_evaluation"))
        let again = try failing.goesOn()
        #expect(try !String(contentsOfFile: state, encoding: .utf8).contains("owes_evaluation"))
        #expect(try again.numbers(4) == failing.run.numbers(4))
        let rewards = try failing.run.logged("eval_reward")
        #expect(rewards.count == 2)
        #expect(try again.logged("eval_reward") == rewards)
        let last = "\(again.output)/checkpoint-4/apus_state.json"
        let best = try JSONValue(parsing: Data(contentsOf: URL(filePath: last)))
        #expect(best["best"]?["checkpoint"]?.stringValue?.suffix(12) == whole.bestCheckpoint?.suffix(12))
    }

    /// Nothing was learned yet, or nothing is to be saved.
    @Test func nothingToKeep() throws {
        let first = try Failing()
        let (console, _) = try first.untilItFails(after: 1, by: "exit")
        #expect(!console.contains("cannot go on"), "\(console)")
        let none = try Failing { $0.evaluation.saveStrategy = .no }
        let (silent, _) = try none.untilItFails(after: 3, by: "words")
        #expect(!silent.contains("cannot go on"), "\(silent)")
    }

    // MARK: - Rows

    private static func rows(_ bad: String...) -> String {
        let good = (0..<8).map { #"{"messages": [{"role": "user", "content": "n \#($0)"}], "solution": "\#($0)"}"# }
        return (good + bad).joined(separator: "\n")
    }

    /// Rows that a reward cannot judge are left out before the run, by file and line; of validation data too.
    @Test(arguments: ["accuracy", "math", "cosine", "toolbench"]) func rowsWithoutASolution(reward: String) throws {
        let run = try TinyRun(sampling: 8).with {
            $0.preferences?.rewards.rewardFuncs = [reward, "soft_overlong"]
            $0.optimization.maxSteps = 2
            $0.evaluation.saveSteps = 2
            $0.data.valDataset = ["\($0.data.dataset[0].replacing("rows", with: "held"))"]
        }
        let bad = [
            #"{"query": "a", "level": 3}"#, #"{"query": "b", "solution": ["1"]}"#, #"{"query": "c", "solution": null}"#,
        ]
        try run.folder.write(Self.rows(bad[0], bad[1], bad[2]), to: "rows.jsonl")
        try run.folder.write(Self.rows(bad[0]), to: "held.jsonl")
        try run()
        let text = try String(contentsOfFile: "\(run.output)/dropped.jsonl", encoding: .utf8)
        let dropped = try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
        #expect(dropped.map { $0["line"]?.intValue } == [9, 10, 9])
        #expect(dropped[0]["reason"]?.stringValue == "no column \"solution\", with which \(reward) compares answers")
        #expect(dropped[0]["detail"]?.stringValue == "it has level")
        #expect(dropped[1]["reason"]?.stringValue?.contains("is no text and no number") == true)
        #expect(dropped[2]["file"]?.stringValue?.hasSuffix("held.jsonl") == true)

        let strict = run.with {
            $0.data.strict = true
            $0.outputDirectoryName("strict")
        }.refusal()
        #expect(strict.contains("rows.jsonl:9") && strict.contains("no column \"solution\""), "\(strict)")
        try run.folder.write(bad[0], to: "rows.jsonl")
        let none = run.with { $0.outputDirectoryName("none") }.refusal()
        #expect(none.contains("no row can be used") && none.contains("--columns"), "\(none)")
        // Nobody asks for the column.
        let other = run.with {
            $0.preferences?.rewards.rewardFuncs = ["soft_overlong"]
            $0.data.valDataset = []
            $0.outputDirectoryName("other")
        }
        try run.folder.write(Self.rows(bad[0], bad[1]), to: "rows.jsonl")
        try other()
        #expect(!FileManager.default.fileExists(atPath: "\(other.output)/dropped.jsonl"))
    }
}
