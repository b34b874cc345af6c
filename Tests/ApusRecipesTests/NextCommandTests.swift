import Testing

@testable import ApusHub
@testable import ApusRecipes

/// Every run ends with what to type next.
struct NextCommandTests {
    @Test func afterTraining() {
        let adapter = NextCommand.afterTraining("output/v0/checkpoint-5", isAdapter: true, task: .causalLM)
        #expect(adapter == "next: apus infer --adapters output/v0/checkpoint-5")
        let model = NextCommand.afterTraining("a b/checkpoint-5", isAdapter: false, task: .sequenceClassification)
        #expect(model == "next: apus infer --model 'a b/checkpoint-5' --val_dataset …")
    }

    @Test func afterDownload() {
        #expect(NextCommand.afterDownload(DownloadSettings(["o/m"])) == "next: apus infer --model o/m")
        var settings = DownloadSettings(["o/d"])
        settings.kind = .dataset
        #expect(NextCommand.afterDownload(settings) == "next: apus sft --model … --dataset o/d")
    }
}
