import Testing

@testable import ApusRecipes

/// The value an option got, from words behind `apus sft`.
func parsed(_ words: String, _ name: String, for command: Command = .sft) throws -> OptionValue? {
    try ArgumentLine(words.split(separator: " ").map(String.init), for: command)[name]
}

/// The paragraphs that words are refused with; empty when they are accepted.
func refusal(_ words: [String], for command: Command = .sft) -> [String] {
    do {
        _ = try ArgumentLine(words, for: command)
        return []
    } catch let error as UsageError {
        return error.paragraphs
    } catch {
        return ["\(error)"]
    }
}

struct GrammarTests {
    @Test(arguments: ["--lora_rank 4", "--lora-rank 4", "--lora_rank=4", "--lora-rank=4", "--lora_ra 4", "--lora_ra=4"])
    func spellingsOfAName(words: String) throws {
        #expect(try parsed(words, "lora_rank") == .integer(4))
    }

    @Test(arguments: ["true", "True", "YES", "t", "Y", "1"])
    func wordsForTrue(word: String) throws {
        #expect(try parsed("--strict \(word)", "strict") == .boolean(true))
        #expect(try parsed("--strict=\(word)", "strict") == .boolean(true))
    }

    @Test(arguments: ["false", "FALSE", "no", "f", "N", "0"])
    func wordsForFalse(word: String) throws {
        #expect(try parsed("--add_version \(word)", "add_version") == .boolean(false))
    }

    @Test func bareBooleans() throws {
        let line = try ArgumentLine(
            ["--strict", "--no_add_version", "--no-dataset-shuffle", "--model", "m"], for: .sft)
        #expect(line["strict"] == .boolean(true))
        #expect(line["add_version"] == .boolean(false))
        #expect(line["dataset_shuffle"] == .boolean(false))
        #expect(line["model"] == .text("m"))
    }

    /// What is found out where it is not given may be true, and is in ms-swift.
    @Test(arguments: ["--no_gradient_checkpointing", "--no-gradient-checkpointing", "--no_gradient_check"])
    func whatIsFoundOutIsNegated(_ word: String) throws {
        #expect(try ArgumentLine([word, "--model", "m"], for: .sft)["gradient_checkpointing"] == .boolean(false))
    }

    /// argparse makes `--no_name` only for booleans that are true by default.
    @Test func negationNeedsATrueDefault() {
        #expect(refusal(["--no_strict"]).count == 1)
        #expect(
            refusal(["--no_add_version", "false"]) == [
                "--no_add_version: takes no value and got \"false\". Try --add_version false."
            ])
    }

    @Test func listsEndAtTheNextOption() throws {
        let line = try ArgumentLine(
            ["--dataset", "a.jsonl", "b.jsonl#500", "--target_modules", "q_proj", "v_proj", "--strict"], for: .sft)
        #expect(line["dataset"] == .list(["a.jsonl", "b.jsonl#500"]))
        #expect(line["target_modules"] == .list(["q_proj", "v_proj"]))
    }

    @Test func negativeNumbersAreValues() throws {
        #expect(try parsed("--top_k -1", "top_k", for: .infer) == .integer(-1))
        #expect(try parsed("--max_steps=-1", "max_steps") == .integer(-1))
        #expect(refusal(["--learning_rate", "-1e-4"]).first?.contains("got \"-1e-4\"") == true)
    }

    @Test func textsThatBeginWithADashNeedASpace() throws {
        let line = try ArgumentLine(["--system", "- be brief = good"], for: .sft)
        #expect(line["system"] == .text("- be brief = good"))
        #expect(try ArgumentLine(["--system=--x"], for: .sft)["system"] == .text("--x"))
        #expect(try ArgumentLine(["--system", ""], for: .sft)["system"] == .text(""))
    }

    @Test func escapedLineBreaks() throws {
        #expect(try ArgumentLine(["--system", "a\\nb"], for: .sft)["system"] == .text("a\nb"))
        #expect(
            try ArgumentLine(["--response_prefix", "<think>\\n"], for: .infer)["response_prefix"] == .text("<think>\n"))
        #expect(refusal(["--system", "/nowhere/system.txt"]).first?.contains("cannot be read") == true)
    }

    @Test func theLastOneWins() throws {
        #expect(try parsed("--lora_rank 4 --lora_rank 16", "lora_rank") == .integer(16))
        #expect(try parsed("--dataset a --dataset b c", "dataset") == .list(["b", "c"]))
    }

    @Test func ambiguousPrefixes() {
        let problem = refusal(["--lora_d", "1"]).first
        #expect(problem == "--lora_d: may mean --lora_dropout, --lora_dtype. Write the name in full.")
    }

    /// `--dev` is ms-swift's `device_map` or `device_groups`, whatever options Apus adds.
    @Test func prefixesMeanWhatTheyMeanInMSSwift() throws {
        #expect(refusal(["--devic", "cpu"]).first?.contains("--device_groups, --device_map") == true)
        #expect(try parsed("--device cpu", "device") == .text("cpu"))
        #expect(try parsed("--nan skip", "nan_policy") == .text("skip"))
    }

    @Test func unknownNamesGetTheNearest() {
        #expect(refusal(["--lora_rnak", "4"]) == ["--lora_rnak: sft has no such option. Did you mean --lora_rank?"])
        #expect(refusal(["--rank", "4"]).first?.contains("--lora_rank") == true)
        #expect(refusal(["--zzzzqqqq"]).first?.contains("`apus sft --help` lists the options.") == true)
        #expect(refusal(["--rlhf_type", "dpo"]) == ["--rlhf_type: sft has no such option; it belongs to rlhf."])
    }

    @Test func ignoreArgsErrorWarns() throws {
        let line = try ArgumentLine(
            ["--ignore_args_error", "true", "--foo", "bar", "--model", "m", "stray"], for: .sft)
        #expect(line["model"] == .text("m"))
        #expect(line.notices.count == 2)
        #expect(refusal(["--ignore_args_error", "true", "--lora_rank", "x"]).count == 1)
    }

    @Test func everyProblemIsReported() {
        let problems = refusal(["stray", "--lora_rank", "0", "--mrl_dims", "64", "-model", "m", "--nope"])
        #expect(problems.count == 5)
    }

    @Test(
        arguments: [
            (
                "--lora_rank x",
                "--lora_rank: got \"x\", wanted a whole number from 1 to 1048576. Without the flag it is 8."
            ),
            (
                "--lora_rank 0",
                "--lora_rank: got \"0\", wanted a whole number from 1 to 1048576. Without the flag it is 8."
            ),
            ("--lora_rank 9999999999", "--lora_rank: got \"9999999999\", wanted a whole number"),
            ("--lora_rank 99999999999999999999", "--lora_rank: got \"99999999999999999999\", wanted a whole number"),
            ("--learning_rate nan", "--learning_rate: got \"nan\", wanted a number of more than 0."),
            ("--learning_rate inf", "--learning_rate: got \"inf\", wanted a number of more than 0."),
            ("--weight_decay 1e999", "--weight_decay: got \"1e999\", wanted a number of at least 0."),
            ("--lora_dropout 1", "--lora_dropout: got \"1\", wanted a number of at least 0 and less than 1."),
            ("--strict perhaps", "--strict: got \"perhaps\", wanted true or false"),
            ("--strict true false", "--strict: takes one value and got \"true\", then \"false\"."),
            ("--model", "--model: no value follows it, wanted a text."),
            ("--dataset", "--dataset: no value follows it, wanted one or more texts."),
            ("--model a b", "--model: takes one value and got \"a\", then \"b\"."),
            ("--save_strategy step", "Did you mean \"steps\"?"),
            ("--save_strategy sometimes", "wanted one of no, steps, epoch."),
            ("--truncation_strategy middle", "wanted one of delete, left, right, split."),
            ("--task_type decision", "ms-swift has \"decision\", Apus does not yet."),
            ("--loss_type online_contrastive", "ms-swift has \"online_contrastive\", Apus does not yet."),
            ("--tuner_type lora_llm", "ms-swift has \"lora_llm\", Apus does not yet."),
            ("--init_weights pissa_niter_7", "ms-swift has \"pissa_niter_7\", Apus does not yet."),
            ("--loss_scale default+reakt", "Did you mean \"react\"?"),
            ("--loss_scale react+all", "wanted one of default, last_round, all, and behind it"),
            ("--interleave_prob 0.5 2", "--interleave_prob: got \"2\", wanted one or more numbers."),
            ("--report_to tensorboard azure_ml", "ms-swift has \"azure_ml\", Apus does not yet."),
            ("--columns notjson", "In a shell, put JSON in single quotes."),
            ("--columns [1]", "wanted a JSON object of texts"),
        ] as [(String, String)])
    func wrongValues(words: String, message: String) {
        let problems = refusal(words.split(separator: " ").map(String.init))
        #expect(problems.count == 1)
        #expect(problems.first?.contains(message) == true, "\(problems)")
    }

    @Test func columns() throws {
        let line = try ArgumentLine(["--columns", #"{"text1": "query", "text2": "response"}"#], for: .sft)
        #expect(line["columns"] == .mapping(["text1": "query", "text2": "response"]))
    }

    @Test func noneLeavesAChoiceOpen() throws {
        #expect(try parsed("--torch_dtype None", "torch_dtype") == nil)
        #expect(refusal(["--save_strategy", "None"]).count == 1)
    }

    @Test func flagsWithoutEffectSayWhy() throws {
        let line = try ArgumentLine(["--attn_impl", "flash_attn", "--dataloader_pin_memory", "false"], for: .sft)
        #expect(line.notices.count == 2)
        #expect(line.notices.allSatisfy { $0.contains("has no effect: ") })
    }

    @Test func distances() {
        func distance(_ a: String, _ b: String) -> Int { NearestNames.distance(Array(a.utf8), Array(b.utf8)) }
        #expect(distance("", "abc") == 3)
        #expect(distance("abc", "") == 3)
        #expect(distance("lora_rank", "lora_rank") == 0)
        #expect(distance("lora_rnak", "lora_rank") == 1)
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("ca", "abc") == 3)
    }

    /// No words may end the program.
    @Test func hostileWords() {
        let pieces = [
            "", "-", "--", "---", "=", "--=", "--=x", "-1", "- -", "--no_", "--lora_rank=", "-=-", "\u{0}", "é",
        ]
        for first in pieces {
            for second in pieces {
                _ = refusal([first, second])
                _ = refusal(["--dataset", first, second])
                _ = refusal(["--system", first, second])
            }
        }
        _ = refusal(["--" + String(repeating: "a", count: 100_000)])
        #expect(refusal(["--"]).count == 1)
    }
}
