import ApusRecipes
import ArgumentParser

/// The program: commands to recipes, no logic of its own.
@main
struct Apus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Fine-tunes language models.",
        discussion: """
            The options of a command are ms-swift's. `apus <command> --help` lists them, and a .json or .yaml file \
            as the first argument may hold them. `apus help compat` says what becomes of every flag of ms-swift, and \
            `apus help compat FLAG` of one.

              apus sft --model Qwen2.5-0.5B-Instruct --dataset train.jsonl
              apus infer --adapters output/v0-20260101-120000/checkpoint-100
            """,
        version: ApusVersion.current,
        subcommands: [
            SFT.self, Pretrain.self, RLHF.self, Infer.self, Sample.self, Export.self, MergeLoRA.self, Params.self,
            Tokenize.self,
            Template.self,
            DownloadCommand.self,
        ])

    /// The command of a name, which the argument parser takes longer to find than some commands to run.
    static func command(named name: String?) -> (any PassthroughCommand.Type)? {
        configuration.subcommands.lazy.compactMap { $0 as? any PassthroughCommand.Type }
            .first { $0.command.rawValue == name }
    }

    static func main() {
        Program.run(CommandLine.arguments)
    }
}
