import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusRecipes

/// `apus pt`: the options of sft with two other defaults.
struct PretrainingTests {
    private func pretraining(_ words: String = "", notices: inout [String]) throws -> SFTSettings {
        let words = "--model m --dataset d.jsonl \(words)".split(separator: " ").map(String.init)
        return try SFTSettings(ArgumentLine(words, for: .pt), of: .pt, notices: &notices)
    }

    @Test func differsInTwoDefaults() throws {
        var notices: [String] = []
        let (ours, theirs) = (
            try pretraining(notices: &notices).argsJSON(), SFTSettings(model: "m", dataset: ["d.jsonl"]).argsJSON()
        )
        #expect(ours.keys == theirs.keys && notices.isEmpty)
        #expect(ours.keys.filter { ours[$0] != theirs[$0] } == ["use_chat_template", "loss_scale"])
        #expect(ours["use_chat_template"] == false && ours["loss_scale"] == "all")
        #expect(SFTSettings.pretraining(model: "m", dataset: ["d.jsonl"]).argsJSON() == ours)
        let chosen = try pretraining("--use_chat_template true --loss_scale default", notices: &notices)
        #expect(chosen.encoding.useChatTemplate && chosen.encoding.lossScale == .everyAnswer)
    }

    @Test func hasTheOptionsOfSFT() {
        let (ours, theirs) = (OptionTable.table(for: .pt), OptionTable.table(for: .sft))
        #expect(ours.options.map(\.name) == theirs.options.map(\.name))
        #expect(ours.notYetSupported == theirs.notYetSupported)
        let differing = zip(ours.options, theirs.options).filter { $0.defaultValue != $1.defaultValue }.map(\.0)
        #expect(differing.map(\.name) == ["use_chat_template", "loss_scale"])
        #expect(differing.map(\.defaultValue) == [.boolean(false), .text("all")])
    }

    /// What follows from the command alone was not chosen.
    @Test func defaultsAreNotNoted() throws {
        var notices: [String] = []
        _ = try pretraining("--task_type mlm", notices: &notices)
        #expect(notices.isEmpty, "\(notices)")
        _ = try pretraining("--task_type mlm --loss_scale default", notices: &notices)
        #expect(notices == ["--loss_scale: without effect, because --task_type is mlm."])
    }

    @Test func refusalsNameTheCommand() {
        var notices: [String] = []
        #expect {
            try SFTSettings(ArgumentLine(["--dataset", "d"], for: .pt), of: .pt, notices: &notices)
        } throws: {
            "\($0)".contains("apus pt --model")
        }
    }

    /// A text is learned whole, as by `sft` with these flags.
    @Test func learnsEveryToken() throws {
        var run = try TinyRun()
        try run.folder.write(
            (0..<12).map { "{\"text\": \"line \($0) of a book\"}\n" }.joined(), to: "rows.jsonl")
        run.settings.encoding.useChatTemplate = false
        run.settings.encoding.lossScale = .all
        try run()
        var other = run
        var settings = SFTSettings.pretraining(model: run.settings.model.name ?? "", dataset: run.settings.data.dataset)
        settings.output = run.settings.output
        settings.output.outputDirectory = "\(run.folder.path)/pt"
        settings.model.torchDType = run.settings.model.torchDType
        settings.hardware = run.settings.hardware
        settings.optimization = run.settings.optimization
        settings.evaluation = run.settings.evaluation
        other.settings = settings
        try other()
        #expect(try run.losses() == other.losses())
        #expect(try run.numbers(6) == other.numbers(6))
        let arguments = try JSONValue(
            parsing: String(contentsOfFile: "\(other.output)/args.json", encoding: .utf8))
        #expect(arguments["use_chat_template"] == false && arguments["loss_scale"] == "all")
    }
}
