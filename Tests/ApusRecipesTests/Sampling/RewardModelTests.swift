import ApusJSON
import ApusRewards
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// A reward model of `apus rlhf --rlhf_type rm` as a reward: the scores of `apus infer`.
@Suite(.serialized) struct RewardModelTests {
    @Test(arguments: [TunerType.lora, .full]) func scoresAreThoseOfInfer(tuner: TunerType) throws {
        let run = try TinyRun(preferring: .rewardModel).with {
            $0.model.tunerType = tuner
            $0.optimization.maxSteps = 2
            $0.evaluation.saveSteps = 2
        }
        _ = try run()
        let checkpoint = "\(run.output)/checkpoint-2"
        var settings = InferSettings(model: tuner == .full ? checkpoint : nil)
        if tuner == .lora { settings.model.adapters = [checkpoint] }
        settings.data.valDataset = ["\(run.folder.path)/rows.jsonl"]
        settings.resultPath = "\(run.folder.path)/result.jsonl"
        settings.hardware.device = .cpu
        try Inference(settings)()
        let rows = try TinyModelFolder.rows(settings.resultPath ?? "")
        let completions = try rows.map { row in
            let messages = try #require(row["messages"]?.arrayValue).compactMap(\.objectValue)
            return Completion(
                messages: Array(messages.dropLast()), text: try #require(messages.last?["content"]?.stringValue),
                tokens: [])
        }
        let model = try RewardModel(checkpoint, device: .cpu, surroundings: Surroundings())
        #expect(model.name == "checkpoint-2")
        let rewards = try model.rewards(of: completions).compactMap(\.self)
        #expect(rewards.count == 12 && Set(rewards).count > 6)
        for (reward, row) in zip(rewards, rows) {
            #expect(abs(reward - (try #require(row["response"]?.doubleValue))) < 1e-6)
        }
        // What is longer than the model may read has no score; the others have theirs.
        let long = Completion(messages: [], text: String(repeating: "a b c ", count: 100_000), tokens: [])
        let beside = try model.rewards(of: [long, completions[0], long])
        #expect(beside.map { $0 == nil } == [true, false, true])
        #expect(abs((try #require(beside[1])) - rewards[0]) < 1e-6)
        if tuner == .lora {
            let named = try RewardModel(
                run.settings.model.name ?? "", adapters: [checkpoint], device: .cpu, surroundings: Surroundings())
            #expect(try named.rewards(of: completions) == model.rewards(of: completions))
        }
    }

    @Test func modelsThatAreNone() throws {
        func message(_ path: String) -> String {
            do {
                _ = try RewardModel(path, device: .cpu, surroundings: Surroundings())
                return ""
            } catch { return "\(error)" }
        }
        let classes = try TinyModelFolder.bert("classifiers/bert-multi")
        #expect(message(classes.path).contains("labels; wanted one, its reward"), "\(message(classes.path))")
        let chat = try TinyModelFolder.chat()
        #expect(message(chat.path).contains("continues text; wanted one that scores texts"), "\(message(chat.path))")
    }
}
