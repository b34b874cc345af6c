import Foundation
import Testing

@testable import ApusJSON
@testable import ApusRecipes
@testable import ApusRunLog

/// What a run keeps of the file of settings that it was started with.
@Suite(.serialized) struct SettingsCopyTests {
    private let folder: TemporaryFolder
    /// Of the form of a token, and none.
    private static let token = "hf_" + String(repeating: "aB3", count: 10)

    init() throws {
        folder = try TemporaryFolder()
    }

    private func copy(_ text: String, name: String = "run.yaml") throws -> SettingsCopy {
        let line = try ArgumentLine([folder.write(text, to: name)], for: .sft)
        return try #require(line.settingsFile)
    }

    @Test func whatHoldsNoSecretIsKeptAsItStands() throws {
        let yaml = "# A run.\nmodel: m   # the base\nsystem: 'keep the secret, and each token'\nENV: {NAME: x}\n"
        #expect(try copy(yaml).text == yaml)
        let json = #"{"model":"m","new_special_tokens":["<a>"],"max_new_tokens": 5}"#
        #expect(try copy(json, name: "run.json").text == json)
    }

    @Test func secretsAreLeftOut() throws {
        let given = try copy(
            """
            # A run.
            model: "yes"
            dataset: [a.jsonl, 'b.jsonl#5']
            save_strategy: no
            learning_rate: 1e-4
            columns: {text1: query}
            max_length: null
            hub_token: "\(Self.token)"
            ENV:
              HF_TOKEN: \(Self.token)
              WANDB_API_KEY: "0123"
              NAME: 'some "text"'
              HTTPS_PROXY: http://user:word@proxy:80
            """)
        let text = try #require(given.text)
        #expect(given.omitted == ["hub_token", "HF_TOKEN", "WANDB_API_KEY", "HTTPS_PROXY"])
        #expect(!text.contains("hf_") && !text.contains("0123") && !text.contains("word"))
        // What is left says the same.
        let line = try ArgumentLine([folder.write(text, to: "again.yaml")], for: .sft)
        let whole = try ArgumentLine(["\(folder.path)/run.yaml"], for: .sft)
        var arguments = whole.arguments
        arguments["hub_token"] = nil
        #expect(line.arguments == arguments && line["learning_rate"] == .number(1e-4))
        #expect(line.environment.map(\.name) == ["NAME"] && line.environment.map(\.value) == [#"some "text""#])
    }

    @Test func secretsInCommentsAndInTexts() throws {
        let commented = try copy("model: m\n# hub_token: abc\n# \(Self.token)\n")
        #expect(commented.text == "\"model\": \"m\"\n" && commented.omitted.isEmpty)
        // In a text that is JSON for somebody else, nothing can be left out.
        let hidden = try copy(#"{"model": "m", "columns": "{\"api_key\": \"abc\"}"}"#, name: "run.json")
        #expect(hidden.text == nil)
        let run = try RunFolder(outputDirectory: "\(folder.path)/out", addVersion: false)
        #expect(try hidden.write(to: run)?.contains("no copy of") == true)
        #expect(try !FileManager.default.contentsOfDirectory(atPath: run.path).contains("run.json"))
    }

    @Test func namesThatAreTheRunsOwn() throws {
        let run = try RunFolder(outputDirectory: "\(folder.path)/out", addVersion: false)
        for (name, place) in [
            ("args.json", "config-args.json"), ("ARGS.json", "config-ARGS.json"), ("run.yaml", "run.yaml"),
            ("checkpoint-5.json", "config-checkpoint-5.json"),
        ] {
            #expect(try copy(#"{"model": "m"}"#, name: name).write(to: run) == nil)
            let path = "\(run.path)/\(place)"
            #expect(try String(contentsOfFile: path, encoding: .utf8) == #"{"model": "m"}"#)
        }
        // The file itself is not written over, with or without its secrets.
        let own = try ArgumentLine(["\(run.path)/run.yaml"], for: .sft)
        let text = #"{"model": "m", "hub_token": "abc"}"#
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(run.path)/run.yaml"))
        let secret = try ArgumentLine(["\(run.path)/run.yaml"], for: .sft)
        #expect(try own.settingsFile?.write(to: run) == nil && secret.settingsFile?.write(to: run) == nil)
        #expect(try String(contentsOfFile: "\(run.path)/run.yaml", encoding: .utf8) == text)
    }

    /// A run that begins with the record of another has a record of its own.
    @Test func runsFromTheRecordOfARun() throws {
        let first = try TinyRun().with { $0.optimization.maxSteps = 1 }
        try first()
        let record = "\(first.output)/args.json"
        let before = try String(contentsOfFile: record, encoding: .utf8)
        let line = try ArgumentLine([record], for: .sft)
        // What becomes of the file later changes nothing.
        try Data("{}".utf8).write(to: URL(fileURLWithPath: record))
        let second = first.with {
            $0.optimization.learningRate = 5e-3
            $0.output.outputDirectory = "\(first.folder.path)/second"
        }
        var surroundings = Surroundings()
        surroundings.settingsFile = line.settingsFile
        _ = try FineTuning(second.settings, surroundings: surroundings)()
        func rate(_ name: String) throws -> JSONValue? {
            try JSONValue(parsing: String(contentsOfFile: "\(second.output)/\(name)", encoding: .utf8))["learning_rate"]
        }
        #expect(try rate("args.json") == 5e-3 && rate("config-args.json") == 1e-2)
        #expect(try String(contentsOfFile: "\(second.output)/config-args.json", encoding: .utf8) == before)
    }

    /// The record of another program, which is written into what is exported and published.
    @Test func recordsOfOtherPrograms() throws {
        let record = #"{"model": "m", "hub_token": "abc", "swanlab_token": null, "lora_rank": 8}"#
        let rest = try #require(Secrets.removed(fromRecord: Data(record.utf8)))
        #expect(try JSONValue(parsing: String(decoding: rest, as: UTF8.self)) == ["model": "m", "lora_rank": 8])
        let plain = Data(#"{"model":"m","swanlab_token":null}"#.utf8)
        #expect(Secrets.removed(fromRecord: plain) == plain)
        #expect(Secrets.removed(fromRecord: Data("[]".utf8)) == nil)
    }
}
