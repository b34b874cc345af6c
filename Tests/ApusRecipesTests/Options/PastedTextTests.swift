import Testing

@testable import ApusRecipes

/// Characters of web pages and word processors are recognised as such.
struct PastedTextTests {
    @Test(
        arguments: [
            // What stands before and after it must not matter.
            (["--model", "m", " "], "a space behind a backslash"),
            (["--model", "m", "  "], "a space behind a backslash"),
            (["--model", "m", "\r"], "Windows"),
            (["--model", "m\r", "--strict", "true"], "carriage return"),
            (["--model", "m", "\\"], "a backslash stands alone"),
            (["—model", "m"], "write --model"),
            (["–model", "m"], "write --model"),
            (["-–model", "m"], "write --model"),
            (["−−model", "m"], "write --model"),
            (["－－model", "m"], "write --model"),
            (["\u{2011}\u{2011}model", "m"], "write --model"),
            (["—", "m"], "typographic dash (U+2014)"),
            (["--learning_rate", "−1"], "write -1"),
            (["--model", "“Qwen”"], "typographic quotation mark (U+201C)"),
            (["--model", "‘Qwen’"], "U+2018"),
            (["--system", "“You", "are", "kind”"], "U+201C"),
            (["--model", "«Qwen»"], "U+00AB"),
            (["--model\u{A0}m"], "non-breaking space (U+00A0)"),
            (["\u{A0}--model", "m"], "non-breaking space"),
            (["--model\u{3000}m"], "full-width space (U+3000)"),
            (["--\u{200B}model", "m"], "invisible space (U+200B)"),
            (["\u{FEFF}--model", "m"], "U+FEFF"),
        ] as [([String], String)])
    func areNamed(words: [String], reason: String) {
        let problems = refusal(words)
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.contains(reason) == true, "\(problems)")
    }

    /// A backslash glued to the value before it joins two lines.
    @Test(arguments: [
        ["--model", "Qwen2.5--dataset", "d.jsonl"], ["--model", "m", "--lora_rank", "8--dataset", "d"],
        ["--dataset", "a.jsonl--model_id_or_path", "m"], ["--model", "Qwen2.5--lora-rank", "8"],
    ])
    func gluedValues(words: [String]) {
        #expect(refusal(words).contains { $0.contains("a backslash is glued to the value") }, "\(refusal(words))")
    }

    /// What only looks alike is a text like any other.
    @Test(
        arguments: [
            ["--system", "You say “hello” — often."], ["--system", "“Hi” is what you say"],
            ["--system", "全角\u{3000}空白"], ["--system", "a b--c d"], ["--model", "models--Qwen--Qwen2.5"],
            ["--model", "a—b"], ["--dataset", "file–1.jsonl"], ["--system", ""], ["--model_name", "小黄", "Xiao Huang"],
            ["--output_dir", "C:\\runs\\a"], ["--infonce_temperature", "0.1"],
        ])
    func areNotAccused(words: [String]) {
        #expect(refusal(words) == [])
    }
}
