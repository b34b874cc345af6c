import Testing

@testable import ApusRecipes

struct CompletionTests {
    private func offers(_ line: String, files: Bool = false) -> [String] {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let completion = Completion(words, index: words.count - 1)
        #expect(completion.offersFiles == files, "\(line)")
        return completion.words
    }

    @Test func commands() {
        #expect(offers("apus me") == ["merge-lora"])
        #expect(offers("apus ").contains("sft"))
        #expect(!offers("apus ").contains("deploy"))
        #expect(offers("/usr/local/bin/apus help t") == ["tokenize", "template"])
        #expect(offers("apus help c") == ["compat"])
        #expect(offers("apus help compat sft_t") == ["sft_type"])
    }

    @Test func options() {
        #expect(offers("apus sft --lora_dr") == ["--lora_dropout"])
        #expect(offers("apus sft --lora-dr") == ["--lora-dropout"])
        #expect(offers("apus merge_lora --max_s") == ["--max_shard_size"])
        #expect(offers("/opt/bin/swift-sft --save_t") == ["--save_total_limit"])
        #expect(!offers("apus sft --").contains("--deepspeed"))
        #expect(offers("apus dpo --rpo_a") == ["--rpo_alpha"])
        #expect(offers("apus sft --he") == ["--help", "--help_all"])
    }

    @Test func values() {
        #expect(offers("apus sft --eval_strategy ") == ["no", "steps", "epoch"])
        #expect(offers("apus sft --eval-strategy e") == ["epoch"])
        #expect(offers("apus sft --eval_strategy = st") == ["steps"])
        #expect(offers("apus sft --strict ") == ["true", "false"])
        #expect(offers("apus sft --report_to tensorboard n") == ["none"])
        #expect(offers("apus sft --lora_rank ") == [])
    }

    @Test func files() {
        #expect(offers("apus sft --dataset ", files: true) == [])
        #expect(offers("apus sft --dataset a.jsonl b", files: true) == [])
        #expect(offers("apus infer --adapters out", files: true) == [])
        #expect(offers("apus sft conf", files: true) == [])
    }

    @Test(arguments: [[], ["apus"], ["apus", "nope", ""], ["apus", "deploy", "--"]])
    func nothing(words: [String]) {
        for index in -1...5 { _ = Completion(words, index: index) }
        #expect(Completion(words, index: max(0, words.count - 1)).words.isEmpty || words == ["apus"])
    }
}
