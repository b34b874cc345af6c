import ApusDatasets
import ApusJSON
import ApusRunLog
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

/// What a method of adapters cannot do is refused with the option that asks for it.
struct TunerRefusalTests {
    @Test func anotherMethodThanTheAdapters() throws {
        let run = try TinyRun()
        try run()
        let refusal = run.with {
            $0.model.adapters = ["\($0.outputDirectory)/checkpoint-6"]
            $0.model.tunerType = TunerType(rawValue: "ia3") ?? .full
            $0.output.outputDirectory = $0.outputDirectory + "-on"
        }.refusal()
        #expect(refusal.contains("of the method lora") && refusal.contains("--tuner_type lora"), "\(refusal)")
    }

    /// The ranks of AdaLoRA fall over the whole run; in a longer one they would rise again.
    @Test func anotherLengthOfAScheduledMethod() throws {
        let run = try TinyRun().with { $0.model.tunerType = TunerType(rawValue: "adalora") ?? .full }
        try run()
        let refusal = run.with {
            $0.optimization.maxSteps = 9
            $0.evaluation.resumeFromCheckpoint = "last"
        }.refusal()
        #expect(refusal.contains("had 6 steps and would have 9"), "\(refusal)")
    }

    /// Texts are cut so that they fit behind the prompt: the model has places for no more.
    @Test func textsLeaveRoomForThePrompt() throws {
        let run = try TinyRun().with {
            $0.model.tunerType = TunerType(rawValue: "prompt_tuning") ?? .full
            $0.encoding.truncationStrategy = .left
            $0.optimization.maxSteps = 1
        }
        let path = "\(run.folder.path)/model/config.json"
        var config = try #require(try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: path))).objectValue)
        config["max_position_embeddings"] = 40
        try run.folder.write(JSONValue.object(config).serialized(), to: "model/config.json")
        let console = Console(style: ConsoleStyle(environment: [:]))
        let preflight = try Preflight(run.settings, surroundings: Surroundings(), console: console)
        #expect(preflight.promptPlaces == 20)
        let inputs = TrainingInputs(
            settings: run.settings, source: preflight.source, config: preflight.config, text: preflight.text,
            console: console, promptPlaces: preflight.promptPlaces, surroundings: Surroundings())
        let samples = try CausalLanguageModeling().training(inputs).samples.train
        #expect((0..<samples.count).map { samples.length(of: $0) }.max() == 20)
    }

    @Test(arguments: [
        ("ia3", "feedforward_modules", OptionValue.list(["dwon_proj"]), "--feedforward_modules"),
        ("prompt_tuning", "num_virtual_tokens", .integer(100_000), "leaves no room"),
        ("prefix_tuning", "num_virtual_tokens", .integer(100_000), "leaves no room"),
    ])
    func optionsThatDoNotFitTheModel(tuner: String, option: String, value: OptionValue, words: String) throws {
        let refusal = try TinyRun().with {
            $0.model.tunerType = TunerType(rawValue: tuner) ?? .full
            $0.tuner.targetModules = tuner == "ia3" ? ["q_proj", "down_proj"] : $0.tuner.targetModules
            $0.tuner.methodOptions[option] = value
        }.refusal()
        #expect(refusal.contains(words), "\(refusal)")
    }
}
