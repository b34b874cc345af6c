import ApusDatasets
import ApusJSON
import ApusRewards
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

// What a run that learns from its own answers may choose, what it refuses, and what it tells of its data.

extension PolicyRunTests {
    @Test(
        arguments: [
            {
                $0.preferences?.lossType = [.dapo]
                $0.preferences?.policy.epsilonHigh = 0.28
            },
            {
                $0.preferences?.lossType = [.cispo]
                $0.preferences?.policy.epsilonHigh = 5
            },
            { $0.preferences?.lossType = [.sapo] }, { $0.preferences?.lossType = [.fipo] },
            { $0.preferences?.policy.importanceSamplingLevel = .sequence },
            { $0.preferences?.policy.advantageEstimator = .rloo },
            { $0.preferences?.policy.advantageEstimator = .reinforcePlusPlus },
            { $0.preferences?.policy.scaleRewards = .gdpo }, { $0.preferences?.policy.dynamicSample = true },
            { $0.preferences?.policy.overlongFilter = true },
            {
                $0.preferences?.policy.topEntropyQuantile = 0.3
                $0.preferences?.policy.logEntropy = true
            },
            { $0.preferences?.policy.rolloutImportanceSamplingMode = .tokenTruncate },
            { $0.preferences?.policy.structuredOutputsRegex = "[a-z]{1,5}" },
            {
                $0.preferences?.policy.topK = 5
                $0.preferences?.policy.topP = 0.9
            },
            { $0.preferences?.beta = 0 },
            { $0.preferences?.refModel = $0.model.name },
            {
                $0.model.quantization.method = .bitsAndBytes
                $0.model.quantization.bits = 4
            },
        ] as [@Sendable (inout SFTSettings) -> Void])
    func everyChoiceRuns(_ change: @Sendable (inout SFTSettings) -> Void) throws {
        let run = try TinyRun(sampling: 8).with {
            $0.optimization.maxSteps = 2
            $0.evaluation.saveSteps = 2
            change(&$0)
        }
        try run()
        let losses = try run.logged("loss")
        #expect(losses.count == 2 && losses.allSatisfy(\.isFinite))
        #expect(try run.logged("grad_norm").allSatisfy(\.isFinite))
    }

    /// What a row begins its answer with ends the question, is no token that is learned, and is part of what rewards see.
    @Test(arguments: [false, true]) func whatAnswersBeginWith(inTurns: Bool) throws {
        let run = try TinyRun(sampling: 8).with {
            $0.optimization.maxSteps = 1
            $0.evaluation.saveSteps = 1
            $0.preferences?.policy.logCompletions = true
        }
        let rows = (0..<8).map {
            #"{"query": "n \#($0)", "chat_template_kwargs": {"response_prefix": "So: "}}"# + "\n"
        }
        try run.folder.write(rows.joined(), to: "rows.jsonl")
        try run.folder.write("import sys\nfor line in sys.stdin: print('null', flush=True)\n", to: "turns.py")
        try run.with {
            if inTurns { $0.preferences?.policy.multiTurnScheduler = "exec:python3 \(run.folder.path)/turns.py" }
        }()
        let round = try #require(try TinyModelFolder.rows("\(run.output)/completions.jsonl").first)
        for (key, isRight) in [
            ("prompt", { $0.hasSuffix("So: ") }), ("completion", { $0.hasPrefix("So: ") }),
        ] as [(String, (String) -> Bool)] {
            let texts = round[key]?.arrayValue?.compactMap(\.stringValue) ?? []
            #expect(!texts.isEmpty && texts.allSatisfy(isRight), "\(key): \(texts)")
        }
        #expect(try run.logged("completions/max_length").allSatisfy { $0 <= 6 })
    }

    /// Whatever cannot go on says what is wrong and what to give.
    @Test(
        arguments: [
            Case("--max_completion_length 4000 leaves no room") {
                $0.preferences?.policy.maxCompletionLength = 4000
            },
            Case("the data have 8 questions") { $0.preferences?.policy.stepsPerGeneration = 64 },
            Case("× --gradient_accumulation_steps × --num_mini_batches). Give more") {
                $0.preferences?.method = .ppo
                $0.preferences?.proximal.numMiniBatches = 64
            },
            Case("there is no reward \"accurate\"") { $0.preferences?.rewards.rewardFuncs = ["accurate"] },
            Case("--structured_outputs_regex") { $0.preferences?.policy.structuredOutputsRegex = "(" },
            Case("There are rewards/SoftOverlong/mean, rewards/SoftOverlong/std (soft_overlong is logged as Soft") {
                $0.evaluation.metricForBestModel = "rewards/soft_overlong/mean"
            },
            Case("--num_iterations") { $0.preferences?.policy.numIterations = 1_000_000_000 },
        ])
    func refusals(_ it: Case) throws {
        let refusal = try TinyRun(sampling: 8).with(it.change).refusal()
        #expect(refusal.contains(it.reason), "\(refusal)")
    }

    /// A round whose questions all teach nothing is learned as it came, and that is told.
    @Test func givingUp() throws {
        let run = try TinyRun(sampling: 8).with {
            $0.optimization.maxSteps = 2
            $0.preferences?.policy.dynamicSample = true
            $0.preferences?.policy.maxResampleTimes = 2
        }
        try run.folder.write("for line in __import__('sys').stdin: print(1, flush=True)\n", to: "one.py")
        try run.with { $0.preferences?.rewards.rewardFuncs = ["exec:python3 \(run.folder.path)/one.py"] }()
        #expect(try run.logged("dynamic_sample/given_up") == [1, 1])
        #expect(try run.logged("dynamic_sample/times") == [2, 2])
    }

    /// What a run says of its questions: none of their tokens are learned, and one of nine fills no round.
    @Test func whatIsToldOfQuestions() throws {
        let text = try TinyRun(sampling: 9).with { $0.optimization.maxSteps = 1 }.told()
        #expect(text.contains("rewarded by SoftOverlong; 1 of 9 questions are left over in each epoch\n"), "\(text)")
        #expect(text.contains("tokens: ") && !text.contains("of which trained"), "\(text)")
        let whole = try TinyRun(sampling: 8).with { $0.optimization.maxSteps = 1 }.told()
        #expect(!whole.contains("left over"), "\(whole)")
    }

    /// Rewards too large to have a spread end the run by the name of the reward; where none says anything, that is said once.
    @Test func rewardsWithoutASpread() throws {
        let run = try TinyRun(sampling: 8).with { $0.optimization.maxSteps = 2 }
        let folder = run.folder.path
        let read = "import json, sys\nfor line in sys.stdin:\n    row = json.loads(line)\n    "
        // The rehearsal has answers of no words.
        try run.folder.write(
            read + "print(0 if not row['token_ids'] else 1e308 if row['index'] % 2 else -1e308, flush=True)\n",
            to: "large.py")
        try run.folder.write(read + "print('null', flush=True)\n", to: "silent.py")
        let refusal = run.with { $0.preferences?.rewards.rewardFuncs = ["exec:python3 \(folder)/large.py"] }.refusal()
        #expect(refusal.contains("the reward large said -1e+308 to 1e+308"), "\(refusal)")
        let text = try run.with {
            $0.preferences?.rewards.rewardFuncs = ["exec:python3 \(folder)/silent.py"]
            $0.outputDirectoryName("silent")
        }.told()
        #expect(text.components(separatedBy: "no answer of a round got a reward: silent said").count == 2, "\(text)")
    }

    /// Solutions in which nothing can be found are counted before the run.
    @Test func unreadableSolutions() throws {
        let rows: [JSONValue?] = ["12", "just words", nil, 7, .null, "none", "$\\frac12$"]
        func scan(_ rewards: [String], _ count: Int) -> String? {
            SolutionScan.note(
                of: rewards, count: count, solution: { rows[$0] }, place: { "rows:\($0 + 1)" })
        }
        let note = scan(["accuracy", "format"], rows.count)
        #expect(note?.contains("2 of 5 solutions hold no formula or number") == true, "\(note ?? "")")
        #expect(note?.hasSuffix("for accuracy (first: rows:2)") == true, "\(note ?? "")")
        #expect(scan(["format"], rows.count) == nil)
        #expect(scan(["cosine"], 1) == nil)
    }

    /// Where there is no memory for all, what there is memory for is done one after the other, in order.
    @Test func halves() throws {
        var parts: [Range<Int>] = []
        func work(_ range: Range<Int>, most: Int) throws -> [Int] {
            guard range.count <= most else { throw TorchError(kind: .outOfMemory, message: "no") }
            parts.append(range)
            return Array(range)
        }
        var said: [Int] = []
        let all = try inHalves(3..<10, onHalving: { said.append($1) }, { try work($0, most: 2) })
        #expect(all == Array(3..<10))
        #expect(parts == [3..<4, 4..<6, 6..<8, 8..<10] && said == [7, 3, 4])
        #expect(throws: TorchError.self) { try inHalves(0..<4) { try work($0, most: 0) } }
    }

    /// Rows without a question are left out by name, and answers at their ends are taken off.
    @Test func rowsOfQuestions() throws {
        let run = try TinyRun(sampling: 4).with { $0.optimization.maxSteps = 1 }
        let rows = [
            #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
            #"{"query": "c", "response": "d"}"#, #"{"messages": [{"role": "user", "content": "e"}]}"#,
            #"{"query": "f"}"#,
            #"{"messages": [{"role": "system", "content": "a"}]}"#,
            #"{"messages": [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
        ]
        try run.folder.write(rows.joined(separator: "\n"), to: "rows.jsonl")
        try run()
        let dropped = try String(contentsOfFile: "\(run.output)/dropped.jsonl", encoding: .utf8)
        #expect(dropped.split(separator: "\n").count == 2)
        #expect(dropped.contains("does not end with a question"), "\(dropped)")
    }
}
