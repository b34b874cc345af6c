import ApusRecipes
import Testing

@testable import ApusProgram

struct ProgramTests {
    @Test func commandNames() throws {
        #expect(
            try Program.words(of: ["apus", "merge_lora", "--adapters", "a_b"]) == ["merge-lora", "--adapters", "a_b"])
        #expect(try Program.words(of: ["apus"]) == [])
        #expect(try Program.words(of: ["apus", "--version"]) == ["--version"])
        #expect(try Program.words(of: ["apus", "help", "sft"]) == ["sft", "--help"])
        #expect(try Program.words(of: ["apus", "help"]) == ["--help"])
        #expect(try Program.words(of: []) == [])
    }

    /// `swift sft` starts `swift-sft`.
    @Test func linkNames() throws {
        #expect(try Program.words(of: ["/opt/bin/swift-sft", "--model", "m"]) == ["sft", "--model", "m"])
        #expect(try Program.words(of: ["swift-merge-lora"]) == ["merge-lora"])
    }

    @Test func unknownCommands() {
        #expect { try Program.words(of: ["apus", "sftt"]) } throws: { "\($0)".contains("Did you mean sft?") }
        #expect { try Program.words(of: ["apus", "deploy"]) } throws: { "\($0)".contains("Apus does not yet") }
        #expect(throws: UsageError.self) { try Program.words(of: ["swift-build"]) }
    }

    @Test(
        arguments: [
            (["apus", "--version"], 0), (["apus", "sft", "--help"], 0), (["apus", "sft", "--help_all"], 0),
            (["apus", "help", "infer"], 0), (["apus", "help", "compat", "lora_rank"], 0), (["apus", "--nope"], 2),
            (["apus", "nope"], 2), (["apus", "pt"], 2),
            (["apus", "sft"], 2), (["apus", "sft", "--nope"], 2), (["apus", "sft", "/nowhere.yaml"], 3),
            (["apus", "sft", "--model", "m", "--dataset", "d", "--bf16", "--fp16"], 3),
        ] as [([String], Int32)])
    func exitCodes(arguments: [String], code: Int32) {
        #expect(Program.exitCode(of: arguments) == code)
    }

    @Test func completion() {
        #expect(Program.exitCode(of: ["apus", "--complete", "1", "apus", "s"]) == 0)
        #expect(Program.exitCode(of: ["apus", "--complete", "99", "apus"]) == 0)
        for shell in ["bash", "zsh", "/usr/bin/fish"] {
            #expect(CompletionScript.text(for: shell)?.contains("--complete") == true)
        }
        #expect(Program.exitCode(of: ["apus", "--generate-completion-script", "cmd"]) == 2)
    }

    @Test func columns() {
        #expect(Terminal.columns(["COLUMNS": "77"]) == 77)
        #expect(Terminal.columns(["COLUMNS": "x"]) > 0)
    }

    @Test func environment() {
        let notices = Environment.apply([("LD_PRELOAD", "x.so"), ("A=B", "1"), ("", "1"), ("PATH", "nowhere")])
        #expect(notices.count == 4)
    }
}
