import ApusJSON
import Testing

@testable import ApusRecipes

struct ConfigFileTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// A run's own `args.json` as the settings of the next run.
    @Test func theRecordOfARunIsItsSettings() throws {
        var notices: [String] = []
        let words = ["--model", "m", "--dataset", "d.jsonl", "--lora_rank", "16", "--columns", #"{"a": "query"}"#]
        let given = try SFTSettings(ArgumentLine(words, for: .sft), notices: &notices)
        var record = given.argsJSON()
        record["model_dir"] = "/some/where/m"
        record["template_date"] = "2026-03-05T08:07:06"
        record["output_dir"] = "output/m/v0-20260305-080706"
        record["packing_num_proc"] = 1
        record["a_key_of_another_program"] = "x"
        let file = try folder.write(JSONValue.object(record).serialized(indent: 2), to: "args.json")
        let line = try ArgumentLine([file], for: .sft)
        #expect(line["lora_rank"] == .integer(16) && line["lora_alpha"] == nil, "defaults are left alone")
        #expect(line.notices.count == 1 && line.notices[0].hasSuffix(": a_key_of_another_program"))
        var again = given
        again.output.outputDirectory = "output/m"
        #expect(try SFTSettings(line, notices: &notices).argsJSON() == again.argsJSON())
    }

    /// What the record of an older version says under the names of its time counts as well.
    @Test func recordsOfOlderVersionsAreRead() throws {
        func line(_ record: String, _ command: Command = .sft) throws -> ArgumentLine {
            let file = try folder.write(
                #"{"model": "m", "dataset": ["d"], "swift_version": "3.8.0", \#(record)}"#, to: "args.json")
            return try ArgumentLine([file], for: command)
        }
        let full = try line(#""train_type": "full", "tools_prompt": "react_en", "custom_val_dataset_path": ["v"]"#)
        #expect(full["tuner_type"] == .text("full") && full["agent_template"] == .text("react_en"))
        #expect(full["val_dataset"] == .list(["v"]))
        // What was so anyway asks for nothing, and is no key that nobody knows.
        let usual = try line(
            #""train_type": "lora", "quantization_bit": 0, "save_safetensors": true, "no_cuda": false, "use_liger": false"#
        )
        #expect(usual.arguments.keys.sorted() == ["dataset", "model"] && usual.notices.isEmpty)
        // Today's name holds.
        let both = try line(#""train_type": "full", "tuner_type": "lora""#)
        #expect(both["tuner_type"] != .text("full"))
        // What is refused where somebody types it, a record only lists.
        let past = try line(#""past_index": -1"#)
        #expect(past.notices.count == 1 && past.notices[0].hasSuffix(": past_index"))
    }

    @Test func yaml() throws {
        let file = try folder.write(
            """
            # A run.
            model: "yes"
            dataset: [a.jsonl, 'b.jsonl#5']
            target-modules:
              - q_proj
              - v_proj
            learning_rate: 1e-4
            lora_rank: 16
            packing: false
            use_rslora: yes
            columns: {text1: query}
            max_length: null
            adapters: []
            system: "on"
            sft_type: lora
            ENV:
              CUDA_VISIBLE_DEVICES: 0
              NAME: some text
            """, to: "run.yaml")
        let line = try ArgumentLine([file, "--lora_rank", "4"], for: .sft)
        #expect(line["model"] == .text("yes"))
        #expect(line["dataset"] == .list(["a.jsonl", "b.jsonl#5"]))
        #expect(line["target_modules"] == .list(["q_proj", "v_proj"]))
        #expect(line["learning_rate"] == .number(1e-4))
        #expect(line.arguments["lora_rank"] == .init(value: .integer(4), origin: .commandLine))
        #expect(line.arguments["use_rslora"] == .init(value: .boolean(true), origin: .configFile))
        #expect(line["columns"] == .mapping(["text1": "query"]))
        #expect(line["max_length"] == nil)
        #expect(line["adapters"] == nil)
        #expect(line["system"] == .text("on"))
        #expect(line["tuner_type"] == .text("lora"))
        #expect(line.environment.map(\.name) == ["CUDA_VISIBLE_DEVICES", "NAME"])
        #expect(line.environment.map(\.value) == ["0", "some text"])
        #expect(line.settingsFile?.source == file)
    }

    /// Whole numbers of YAML 1.1, as PyYAML reads them: `yaml.safe_load("a: 1_0")` is `{'a': 10}`.
    @Test(arguments: [
        ("1_0", 10), ("0x10", 16), ("0xFf", 255), ("010", 8), ("0b11", 3), ("+5", 5), ("0", 0), ("1__000_", 1000),
    ])
    func wholeNumbersOfYAML(word: String, number: Int) throws {
        let text =
            "max_steps: \(word)\nsystem: '\(word)'\nlr_scheduler_kwargs: {a: [\(word)]}\nmodel_name: [\(word), a]\n"
        let line = try ArgumentLine([try folder.write(text, to: "run.yaml")], for: .sft)
        #expect(line["max_steps"] == .integer(number))
        #expect(line["system"] == .text(word), "quotes make it a text")
        #expect(line["lr_scheduler_kwargs"] == .text(#"{"a": [\#(number)]}"#))
        #expect(line["model_name"] == .list(["\(number)", "a"]))
    }

    @Test(arguments: [("-010", -8), ("-1_0", -10), ("089", nil), ("0o10", nil), ("1e3", nil), ("0x", nil), ("_1", nil)])
    func whatIsAWholeNumber(word: String, number: Int?) {
        #expect(ConfigYAML.integer(word) == number)
    }

    /// What a merge key brings along counts where the mapping and the mappings before it say nothing else.
    @Test func mergeKeysOfYAML() throws {
        let text = """
            ENV: &environment {A: "1", B: "2"}
            lr_scheduler_kwargs: {<<: *environment, B: 3}
            <<: [{lora_rank: 4, seed: 1, <<: {max_steps: 9}}, {lora_rank: 5, lora_alpha: 7, max_steps: 8}]
            seed: 2
            max_length: null
            """
        let line = try ArgumentLine([try folder.write(text, to: "run.yaml")], for: .sft)
        #expect(line["lora_rank"] == .integer(4) && line["lora_alpha"] == .number(7))
        #expect(line["seed"] == .integer(2) && line["max_steps"] == .integer(9))
        #expect(line["lr_scheduler_kwargs"] == .text(#"{"A": "1", "B": 3}"#))
        #expect(line.environment.map(\.value) == ["1", "2"])
    }

    /// A mapping is one value, whatever it holds, and a value that a merge key brings along is one where it comes to.
    @Test func valuesCountOnce() throws {
        let list = "[" + Array(repeating: "{b: 1}", count: 45_000).joined(separator: ", ") + "]"
        #expect(try ConfigYAML.value("a: \(list)")["a"]?.arrayValue?.count == 45_000)
        let pairs = (0..<90).map { "k\($0): 1" }.joined(separator: ", ")
        let merged = "[" + Array(repeating: "{<<: *a}", count: 900).joined(separator: ", ") + "]"
        let value = try ConfigYAML.value("a: &a {\(pairs)}\nb: \(merged)")
        #expect(value["b"]?[899]?["k89"] == 1)
        #expect(throws: SettingsError.self) { try ConfigYAML.value("a: \(list)\nb: \(list)") }
    }

    @Test func json() throws {
        let file = try folder.write(
            #"{"model": "m", "dataset": ["a"], "lora_rank": 16, "lora_alpha": 32.0, "strict": true, "columns": {"a": "b"},"#
                + #" "ENV": {"A": 1}}"#, to: "run.json")
        let line = try ArgumentLine([file], for: .sft)
        #expect(line["lora_rank"] == .integer(16))
        #expect(line["lora_alpha"] == .number(32))
        #expect(line["strict"] == .boolean(true))
        #expect(line["columns"] == .mapping(["a": "b"]))
        #expect(line.environment.map(\.value) == ["1"])
    }

    /// A value of a file is never an option, whatever it begins with.
    @Test func valuesAreNotOptions() throws {
        let file = try folder.write("system: --strict", to: "run.yml")
        #expect(try ArgumentLine([file], for: .sft)["system"] == .text("--strict"))
    }

    /// `no` is a word, whatever YAML 1.1 takes it for; so is a falsehood in JSON.
    @Test(arguments: [
        ("save_strategy: no\neval_strategy: \"no\"\nstrict: off\nadd_version: on\nsystem: yes\n", "run.yaml"),
        (
            #"{"save_strategy": false, "eval_strategy": "no", "strict": false, "add_version": true, "system": "yes"}"#,
            "run.json"
        ),
    ])
    func wordsForNothing(text: String, name: String) throws {
        let line = try ArgumentLine([try folder.write(text, to: name)], for: .sft)
        #expect(line["save_strategy"] == .text("no"))
        #expect(line["eval_strategy"] == .text("no"))
        #expect(line["strict"] == .boolean(false))
        #expect(line["add_version"] == .boolean(true))
        #expect(line["system"] == .text("yes"))
    }

    @Test func refusedFlagsAreRefusedInFilesToo() throws {
        let file = try folder.write("do_train: false\nlora_rnk: 4\n", to: "run.yaml")
        #expect(refusal([file]).count == 2)
    }

    @Test(
        arguments: [
            ("a.yaml", "a: [1"), ("a.yaml", "just text"), ("a.yaml", "a: 1\na: 2\n"), ("a.json", "{"), ("a.json", "[]"),
            ("a.json", #"{"model": "a", "model": "b"}"#), ("a.yaml", "ENV: 3"), ("a.yaml", "? [a]\n: b"),
            ("a.yaml", "a: *b"), ("a.yaml", "<<: 3"), ("a.yaml", "<<: [{seed: 1}, 3]"),
        ] as [(String, String)])
    func brokenFiles(name: String, text: String) throws {
        let file = try folder.write(text, to: name)
        #expect { try ArgumentLine([file], for: .sft) } throws: { error in
            (error as? SettingsError)?.exitCode == 3 && "\(error)".hasPrefix(file) && !"\(error)".contains("\n")
        }
    }

    @Test func missingFile() {
        #expect(throws: SettingsError.self) { try ArgumentLine(["/nowhere/run.yaml"], for: .sft) }
    }

    @Test func emptyFile() throws {
        let file = try folder.write("", to: "run.yaml")
        #expect(try ArgumentLine([file, "--model", "m"], for: .sft)["model"] == .text("m"))
    }

    /// Nesting and aliases that would need more stack or memory than there is.
    @Test func hostileFiles() throws {
        let deep = [
            "a: " + String(repeating: "[", count: 90_000), String(repeating: "- ", count: 90_000),
            (0..<400).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n"),
        ]
        let bomb =
            "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
            + (1..<9).map {
                "a\($0): &a\($0) [" + Array(repeating: "*a\($0 - 1)", count: 10).joined(separator: ",") + "]\n"
            }
            .joined()
        // Each a merge of the one before it, which the last makes a tree as deep as the file is long.
        let chain =
            "a0: &a0 {seed: 1}\n" + (1..<2000).map { "a\($0): &a\($0) {<<: *a\($0 - 1)}\n" }.joined() + "<<: *a1999\n"
        let wide =
            "a0: &a0 {x: 1}\n"
            + (1..<9).map { level in
                "a\(level): &a\(level) {<<: [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
                    + "]}\n"
            }
            .joined() + "<<: *a8\n"
        let huge = "a: " + String(repeating: "x", count: 1 << 20)
        for text in deep + [bomb, chain, wide, huge] {
            let file = try folder.write(text, to: "run.yaml")
            #expect(throws: (any Error).self) { try ArgumentLine([file], for: .sft) }
        }
    }
}
