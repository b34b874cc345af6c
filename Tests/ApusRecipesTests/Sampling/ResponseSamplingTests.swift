import ApusJSON
import ApusRewards
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// `apus sample` on a tiny model: answers, what judges them, pairs that `apus rlhf` learns from, and cut-off runs.
@Suite(.serialized) struct ResponseSamplingTests {
    let model: TinyModelFolder
    let folder: TemporaryFolder

    init() throws {
        model = try .chat()
        folder = try TemporaryFolder()
        let rows = (0..<5).map { index in
            #"{"messages": [{"role": "user", "content": "n \#(index)"}, {"role": "assistant", "content": "\#(index)"}], "#
                + #""level": \#(index)}"#
        }
        try folder.write(rows.joined(separator: "\n") + "\n", to: "rows.jsonl")
    }

    func settings(_ change: (inout SampleSettings) -> Void = { _ in }) throws -> SampleSettings {
        var settings = SampleSettings(model: model.path)
        settings.answering.data.dataset = ["\(folder.path)/rows.jsonl"]
        settings.answering.hardware.device = .cpu
        settings.answering.generation.maxNewTokens = 6
        settings.answering.generation.numReturnSequences = 4
        settings.outputDirectory = folder.path
        settings.outputFile = "out.jsonl"
        change(&settings)
        var notices: [String] = []
        try settings.settle(notices: &notices)
        return settings
    }

    /// Samples and returns the rows of the output.
    func sampled(_ change: (inout SampleSettings) -> Void = { _ in }) throws -> [JSONValue] {
        let settings = try settings {
            $0.overrideExistFile = true
            change(&$0)
        }
        let sampling = try ResponseSampling(settings, surroundings: Surroundings(environment: environment))
        try sampling()
        return try TinyModelFolder.rows(sampling.path)
    }

    let environment = ["PATH": "/usr/local/bin:/usr/bin:/bin"]

    func program(_ text: String) throws -> String {
        let path = "\(folder.path)/score.py"
        try Data(("#!/usr/bin/env python3\nimport json, sys\n" + text).utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }

    static let lengths = """
        for line in sys.stdin:
            row = json.loads(line)
            print(len(row["completion"].encode()) / 10 + row["row"]["level"])
        """

    @Test func answersWithoutJudges() throws {
        let rows = try sampled()
        #expect(rows.count == 20)
        for row in rows {
            let messages = try #require(row["messages"]?.arrayValue)
            #expect(messages.count == 2 && messages[1]["role"] == "assistant" && row["level"]?.intValue != nil)
            #expect(row["id"]?.stringValue?.count == 32 && row["rejected_response"] == nil)
        }
        #expect(Set(rows.compactMap { $0["id"]?.stringValue }).count == 5)
        #expect(Set(rows.map { $0.serialized() }).count > 10)
        // Batches do not matter, the seed does.
        #expect(try sampled { $0.numSamplingBatchSize = 3 } == rows)
        #expect(try sampled { $0.answering.model.seed = 1 } != rows)
        let shards = try [0, 1].flatMap { shard in try sampled { $0.dataRange = [shard, 2] } }
        #expect(shards.count == rows.count)
        #expect(try sampled { $0.numSamplingBatches = 2 }.count == 8)
    }

    /// The name of a row is that of ms-swift: the MD5 of the row in Python's JSON.
    @Test func ids() throws {
        let row =
            #"{"level": 0, "messages": [{"role": "user", "content": "n é"}, {"role": "assistant", "content": "a"}]}"#
        try folder.write(row + "\n", to: "rows.jsonl")
        let rows = try sampled()
        #expect(rows.first?["id"]?.stringValue == "8a11ffa7e40fabd14411d93b51e9465a")
    }

    /// A row's own columns are kept where the output needs their names.
    @Test func columnsWithNamesOfOutputs() throws {
        try folder.write(
            #"{"messages": [{"role": "user", "content": "n"}], "id": 7, "rejected_response": "r", "score": 1}"# + "\n",
            to: "rows.jsonl")
        let rows = try sampled()
        #expect(rows.count == 4)
        for row in rows {
            #expect(row["input_id"] == 7 && row["id"]?.stringValue?.count == 32)
            #expect(row["input_rejected_response"] == "r" && row["rejected_response"] == nil && row["score"] == 1)
        }
    }

    @Test func pairsOfTheBestAndTheWorst() throws {
        let score = try program(Self.lengths)
        let rows = try sampled {
            $0.rewards.rewardFuncs = [score]
            $0.nBestToKeep = 2
            $0.logCompletions = true
        }
        let all = try TinyModelFolder.rows("\(folder.path)/out-completions.jsonl")
        #expect(all.count == 20 && !rows.isEmpty && rows.count <= 10)
        for row in rows {
            let ofRow = all.filter { $0["id"] == row["id"] }
            let scores = ofRow.compactMap { $0["rewards"]?["score"]?.doubleValue }
            #expect(scores.count == 4 && ofRow.allSatisfy { $0["score"]?.doubleValue != nil })
            let level = try #require(row["level"]?.doubleValue)
            func reward(_ text: String?) throws -> Double { Double(try #require(text).utf8.count) / 10 + level }
            let chosen = try reward(row["messages"]?.arrayValue?.last?["content"]?.stringValue)
            let rejected = try reward(row["rejected_response"]?.stringValue)
            // The row's own answer, of one byte, is among those that are compared.
            let lowest = try #require(scores.min())
            #expect(rejected <= lowest + 1e-9 && chosen > rejected)
        }

        var notices: [String] = []
        var learning = try RLHFSettings(
            ArgumentLine(
                [
                    "--rlhf_type", "dpo", "--model", model.path, "--dataset", "\(folder.path)/out.jsonl", "--max_steps",
                    "2",
                    "--output_dir", "\(folder.path)/dpo", "--device", "cpu", "--torch_dtype", "float32",
                ], for: .rlhf), notices: &notices)
        learning.training.output.addVersion = false
        let outcome = try FineTuning(learning)()
        #expect(outcome.lastCheckpoint != nil)
    }

    @Test func tooEasyAndAllWrong() throws {
        let right = try program("for line in sys.stdin: print(1)")
        #expect(
            try sampled {
                $0.rewards.rewardFuncs = [right]
                $0.easyQueryThreshold = 0.5
            }.isEmpty)
        let same = try sampled { $0.rewards.rewardFuncs = [right] }
        #expect(same.isEmpty, "nothing tells answers of one score apart")
        let wrong = try program("for line in sys.stdin: print(-1)")
        #expect(try sampled { $0.ormModel = wrong }.isEmpty)
    }

    /// A run whose judge fails at the third row goes on there, to the same rows as an undisturbed one.
    @Test(arguments: [1, 5]) func cutOff(batchSize: Int) throws {
        let score = try program(Self.lengths)
        let whole = try sampled {
            $0.rewards.rewardFuncs = [score]
            $0.logCompletions = true
        }
        let completions = try String(contentsOfFile: "\(folder.path)/out-completions.jsonl", encoding: .utf8)
        for file in ["out.jsonl", "out-completions.jsonl"] {
            try FileManager.default.removeItem(atPath: "\(folder.path)/\(file)")
        }
        _ = try program(
            Self.lengths.replacing("    row = json", with: "    if '\"n 3\"' in line: sys.exit(7)\n    row = json"))
        func run(resume: Bool, seed: Int = 42) throws {
            let settings = try settings {
                $0.rewards.rewardFuncs = [score]
                $0.logCompletions = true
                $0.resume = resume
                $0.numSamplingBatchSize = batchSize
                $0.answering.model.seed = seed
            }
            try ResponseSampling(settings, surroundings: Surroundings(environment: environment))()
        }
        let failure = #expect(throws: (any Error).self) { try run(resume: false) }
        #expect("\(failure.map { "\($0)" } ?? "")".contains("rows.jsonl:4: \(score): ended with exit code 7"))
        let partial = "\(folder.path)/out.jsonl.apus-partial"
        #expect(FileManager.default.fileExists(atPath: partial))
        // What was judged before that row is kept, in the middle of a batch too.
        let done = try String(contentsOfFile: "\(folder.path)/out-completions.jsonl.apus-partial", encoding: .utf8)
        #expect(!done.isEmpty && completions.hasPrefix(done) && done != completions)
        // What was half written when the power went is written again.
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: partial))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("{\"half".utf8))
        try handle.close()
        _ = try program(Self.lengths)
        #expect(
            "\(#expect(throws: SettingsError.self) { try run(resume: false) }.map { "\($0)" } ?? "")".contains(
                "--resume true"))
        #expect(
            "\(#expect(throws: SettingsError.self) { try run(resume: true, seed: 1) }.map { "\($0)" } ?? "")".contains(
                "--seed 42"))
        // Other rows where some are done are another run.
        let rows = try String(contentsOfFile: "\(folder.path)/rows.jsonl", encoding: .utf8)
        try folder.write(rows.replacing("n 1", with: "m 1"), to: "rows.jsonl")
        #expect(
            "\(#expect(throws: SettingsError.self) { try run(resume: true) }.map { "\($0)" } ?? "")".contains(
                "begun with other rows: the first"))
        try folder.write(rows, to: "rows.jsonl")
        try run(resume: true)
        #expect(try TinyModelFolder.rows("\(folder.path)/out.jsonl") == whole)
        #expect(try String(contentsOfFile: "\(folder.path)/out-completions.jsonl", encoding: .utf8) == completions)
        #expect(!FileManager.default.fileExists(atPath: partial))
    }

    /// Answers of a first run, judged by a second without a model.
    @Test func twoSteps() throws {
        let score = try program(Self.lengths)
        let direct = try sampled { $0.rewards.rewardFuncs = [score] }
        _ = try sampled { $0.outputFile = "answers.jsonl" }
        let judged = try sampled {
            $0.answering.model.name = nil
            $0.samplerEngine = .none
            $0.cacheFiles = ["\(folder.path)/answers.jsonl"]
            $0.rewards.rewardFuncs = [score]
        }
        #expect(judged == direct && !judged.isEmpty)
    }

    /// Of more answers of an earlier run than are wanted the first are taken; rows with fewer are answered anew.
    @Test func moreAndFewerAnswersThanWanted() throws {
        let first = try sampled { $0.outputFile = "answers.jsonl" }
        func again(_ count: Int) throws -> [JSONValue] {
            try sampled {
                $0.answering.model.seed = 7
                $0.answering.generation.numReturnSequences = count
                $0.cacheFiles = ["\(folder.path)/answers.jsonl"]
            }
        }
        let two = try again(2)
        #expect(two == first.indices.filter { $0 % 4 < 2 }.map { first[$0] })
        #expect(try again(4) == first)
        let six = try again(6)
        #expect(six.count == 30 && Array(six.prefix(4)) != Array(first.prefix(4)))
    }

    /// No weights at all are the same as none given; and rewards of one name are told apart.
    @Test func weightsAndNames() throws {
        let score = try program(Self.lengths)
        try FileManager.default.createDirectory(atPath: "\(folder.path)/b", withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: score, toPath: "\(folder.path)/b/score.py")
        _ = try sampled {
            $0.rewards.rewardFuncs = [score, "\(folder.path)/b/score.py"]
            $0.rewards.rewardWeights = []
            $0.logCompletions = true
        }
        let all = try TinyModelFolder.rows("\(folder.path)/out-completions.jsonl")
        #expect(all.count == 20)
        for row in all {
            let rewards = try #require(row["rewards"]?.objectValue)
            #expect(Array(rewards.keys) == ["score", "score-2"] && rewards["score"] == rewards["score-2"])
        }
    }

    /// Rows that are the same have their own answers each; where these cannot be shared out, that is an error.
    @Test func equalRows() throws {
        let row =
            #"{"messages": [{"role": "user", "content": "n"}, {"role": "assistant", "content": "a"}], "level": 1}"#
        try folder.write("\(row)\n\(row)\n", to: "rows.jsonl")
        let score = try program(Self.lengths)
        let direct = try sampled { $0.rewards.rewardFuncs = [score] }
        let answers = try sampled { $0.outputFile = "answers.jsonl" }
        #expect(answers.count == 8 && Set(answers.compactMap { $0["id"]?.stringValue }).count == 1)
        func judged() throws -> [JSONValue] {
            try sampled {
                $0.answering.model.name = nil
                $0.samplerEngine = .none
                $0.cacheFiles = ["\(folder.path)/answers.jsonl"]
                $0.rewards.rewardFuncs = [score]
            }
        }
        #expect(try judged() == direct && !direct.isEmpty)
        let lines = answers.dropLast().map { $0.serialized() + "\n" }.joined()
        try folder.write(lines, to: "answers.jsonl")
        let error = #expect(throws: (any Error).self) { try judged() }
        #expect("\(error.map { "\($0)" } ?? "")".contains("are the same row, 2 times in all"))
    }

    /// Without a model to draw answers their tokens are counted by its tokenizer, as those of new ones are.
    @Test func tokensOfAnswersThatAreThere() throws {
        let count = try program("for line in sys.stdin: print(1 + len(json.loads(line)['token_ids']))")
        let rewards = { (settings: inout SampleSettings) in
            settings.rewards.rewardFuncs = [count]
            settings.logCompletions = true
        }
        _ = try sampled { $0.outputFile = "answers.jsonl" }
        _ = try sampled {
            rewards(&$0)
            $0.samplerEngine = .none
            $0.cacheFiles = ["\(folder.path)/answers.jsonl"]
        }
        let counted = try TinyModelFolder.rows("\(folder.path)/out-completions.jsonl")
            .compactMap { $0["score"]?.doubleValue }
        #expect(counted.count == 20 && Set(counted).count > 1)
        let error = #expect(throws: SettingsError.self) {
            try settings {
                $0.answering.model.name = nil
                $0.samplerEngine = .none
                $0.cacheFiles = ["\(folder.path)/answers.jsonl"]
                $0.rewards.rewardFuncs = ["cosine"]
            }
        }
        #expect(error.map { "\($0)" }?.contains("cosine counts the tokens of answers. Give --model") == true)
    }

    @Test(arguments: [
        (
            "--reward_funcs format --cosine_max_len 9",
            "--cosine_max_len: without effect, because there is no reward cosine"
        ),
        ("--reward_funcs format --repetition_n_grams 2", "--repetition_n_grams: without effect"),
        ("--reward_funcs format --reward_timeout 2", "--reward_timeout: without effect, because no program"),
        ("--reward_funcs format --soft_max_length 9", "--soft_max_length: without effect"),
        ("--sampler_engine no --cache_files a --top_k 5", "--top_k: without effect, because --sampler_engine no"),
        ("--resume true --output_file a.jsonl --override_exist_file true", "--resume: without effect"),
    ])
    func optionsWithoutEffect(_ words: String, _ message: String) throws {
        let words = ["--model", "m", "--dataset", "d.jsonl"] + words.split(separator: " ").map(String.init)
        var notices: [String] = []
        _ = try? SampleSettings(ArgumentLine(words, for: .sample), notices: &notices)
        #expect(notices.contains { $0.contains(message) }, "\(notices)")
    }

    /// What was meant as a path is not looked for on a hub.
    @Test(arguments: ["rewards/score.py", "/nowhere/model", "output/v0/checkpoint-100", "~/model"])
    func judgesThatAreNotThere(_ word: String) throws {
        let error = #expect(throws: RewardError.self) { try sampled { $0.ormModel = word } }
        #expect(error?.description.contains("\(word): there is no such file or folder") == true)
    }

    @Test(arguments: [
        ("--num_return_sequences 2 --temperature 0", "greedy answers are all the same"),
        ("--output_file a/b.jsonl", "wanted a name without folders"), ("--output_file b.json", "ends in .jsonl"),
        ("--resume true", "give --output_file"), ("--orm_model accuracy --reward_funcs format", "Give one of them"),
        ("--data_range 4 4", "the number of a shard from 0"), ("--sampler_engine no", "--cache_files"),
        ("--reward_funcs format --reward_weights 1 2", "wanted one for each"), ("--sampler_type mcts", "mcts"),
        ("--sampler_engine client", "client"), ("--num_beams 4", "num_beams"),
        ("--engine_kwargs {\"a\":1}", "engine_kwargs"),
    ])
    func wrongSettings(_ words: String, _ message: String) throws {
        let error = #expect(throws: (any Error).self) {
            let words = ["--model", "m", "--dataset", "d.jsonl"] + words.split(separator: " ").map(String.init)
            var notices: [String] = []
            _ = try SampleSettings(ArgumentLine(words, for: .sample), notices: &notices)
        }
        #expect(error.map { "\($0)" }?.contains(message) == true, "\(error.map { "\($0)" } ?? "")")
    }

    @Test func settingsOfACommandLine() throws {
        var notices: [String] = []
        let settings = try SampleSettings(
            ArgumentLine(["--model", "m", "--dataset", "d.jsonl", "--sampler_engine", "vllm"], for: .sample),
            notices: &notices)
        #expect(
            settings.answering.generation.numReturnSequences == 64 && settings.answering.generation.temperature == 1)
        #expect(settings.samplerEngine == .transformers && settings.nBestToKeep == 5)
        let again = try SampleSettings(argsJSON: settings.argsJSON())
        #expect(again.argsJSON() == settings.argsJSON())
    }
}
