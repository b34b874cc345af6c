import Foundation
import Testing

@testable import ApusRecipes

/// `~` in the values of options, which a shell leaves as it is behind `=` and in files.
struct OptionPathTests {
    private static let environment = ["HOME": "/home/u"]

    @Test(
        arguments: [
            (["--output_dir=~/out2"], "output_dir", .text("/home/u/out2")),
            (["--output_dir", "~"], "output_dir", .text("/home/u")),
            (
                ["--dataset", "~/a.jsonl#5,~/b.jsonl", "c.jsonl"], "dataset",
                .list(["/home/u/a.jsonl#5,/home/u/b.jsonl", "c.jsonl"])
            ),
            (["--dataset", "a.jsonl, ~/b.jsonl ,~/c"], "dataset", .list(["a.jsonl,/home/u/b.jsonl,/home/u/c"])),
            (["--custom_train_dataset_path=~/a.jsonl"], "dataset", .list(["/home/u/a.jsonl"])),
            (
                ["--resume_from_checkpoint=~/out/checkpoint-1"], "resume_from_checkpoint",
                .text("/home/u/out/checkpoint-1")
            ),
            (["--custom_dataset_info=~/info.json"], "custom_dataset_info", .list(["/home/u/info.json"])),
            (["--new_special_tokens", "~/t.txt", "~/"], "new_special_tokens", .list(["/home/u/t.txt", "~/"])),
            (["--target_regex", "~/a"], "target_regex", .text("~/a")),
            (["--xlora_adapters", "~/a", "/b"], "xlora_adapters", .list(["/home/u/a", "/b"])),
        ] as [([String], String, OptionValue)])
    func ofTraining(words: [String], name: String, value: OptionValue) throws {
        #expect(try ArgumentLine(words, for: .sft, environment: Self.environment)[name] == value)
    }

    @Test(
        arguments: [
            (["--adapters", "formal=~/a", "~/b"], "adapters", .list(["formal=/home/u/a", "/home/u/b"])),
            (["--ckpt_dir=~/m"], "model", .text("/home/u/m")),
            (["--result_dir=~/r"], "result_path", .text("/home/u/r/infer_result.jsonl")),
            (["--model", "m", "~/what is it?"], "question", .text("~/what is it?")),
        ] as [([String], String, OptionValue)])
    func ofAnswering(words: [String], name: String, value: OptionValue) throws {
        #expect(try ArgumentLine(words, for: .infer, environment: Self.environment)[name] == value)
    }

    @Test func inFiles() throws {
        let folder = try TemporaryFolder()
        try folder.write(#"{"a": "query"}"#, to: "columns.json")
        try folder.write("Be short.", to: "system.txt")
        try folder.write("output_dir: ~/out\ncolumns: ~/columns.json\nsystem: ~/system.txt\n", to: "run.yaml")
        let line = try ArgumentLine(["~/run.yaml"], for: .sft, environment: ["HOME": folder.path])
        #expect(line["output_dir"] == .text("\(folder.path)/out"))
        #expect(line["columns"] == .mapping(["a": "query"]) && line["system"] == .text("Be short."))
        let named = try ArgumentLine(["--config=~/run.yaml"], for: .sft, environment: ["HOME": folder.path])
        #expect(named["output_dir"] == .text("\(folder.path)/out"))
    }

    @Test func foldersOfOthersAreRefused() {
        let problems = refusal(["--output_dir=~somebody/out", "--dataset", "~somebody/a.jsonl"])
        #expect(problems.count == 2 && problems.allSatisfy { $0.contains("got \"~somebody/") }, "\(problems)")
    }

    @Test func keptRowsLieInTheFolderOfTheUser() {
        func folder(_ variables: [String: String]) -> String {
            Surroundings(environment: variables.merging(Self.environment) { $1 }).sampleFolder
        }
        #expect(folder([:]) == "/home/u/.cache/apus/samples")
        #expect(folder(["XDG_CACHE_HOME": "~/c"]) == "/home/u/c/apus/samples")
        #expect(folder(["HF_DATASETS_CACHE": "~/d"]) == "/home/u/d/apus")
    }

    /// What help calls a file or a folder is one of the paths.
    @Test func everyPathIsKnown() {
        let others: Set = ["adapter_names", "exclude", "include", "hub_token", "max_shard_size"]
        for command in Command.allCases where command.isSupported {
            for option in OptionTable.table(for: command).options where option.status == .supported {
                guard option.kind.isText || option.kind == .list, !others.contains(option.name),
                    option.help.contains(/(?i)\b(folders?|files?|path)\b/)
                else { continue }
                #expect(OptionPaths.names.union(OptionPaths.ofTexts).contains(option.name), "--\(option.name)")
            }
        }
    }
}
