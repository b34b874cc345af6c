import ApusText
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// Paths and ids that a program names, of which the environment says where they are.
struct LibraryPathTests {
    private func answer(_ model: LoadedModel) throws -> String {
        try model.answer(
            [Message(role: "user", content: "n 1")], maximumTokens: 8, temperature: 0, topK: nil, topP: nil, seed: 1,
            onText: { _ in true })
    }

    @Test func theFolderOfTheUserInEveryPath() throws {
        let run = try TinyRun()
        let environment = ["HOME": run.folder.path]
        var settings = SFTSettings(model: "~/model", dataset: ["~/rows.jsonl#4"])
        settings.output.outputDirectory = "~/output"
        settings.output.addVersion = false
        settings.optimization.maxSteps = 1
        settings.optimization.learningRate = 1e-2
        let checkpoint = try SilentTraining.run(settings, environment: environment) { _, _, _ in }
        #expect(FileManager.default.fileExists(atPath: "\(run.folder.path)/output/checkpoint-1/adapter_config.json"))
        #expect(checkpoint.hasSuffix("/output/checkpoint-1"))

        let model = try LoadedModel("~/model", dtype: nil, device: .cpu, environment: environment)
        try model.attach("~/output/checkpoint-1", named: "one")
        let adapted = try answer(model)
        try model.saveAdapter("one", to: "~/saved")
        try model.merge()
        try model.save(to: "~/merged")
        for (name, file) in [("saved", "adapter_config.json"), ("merged", "config.json")] {
            #expect(FileManager.default.fileExists(atPath: "\(run.folder.path)/\(name)/\(file)"))
        }
        let merged = try LoadedModel("~/merged", dtype: nil, device: .cpu, environment: environment)
        #expect(try answer(merged) == adapted)

        var sampling = SampleSettings(model: "~/model")
        sampling.answering.data.dataset = ["~/rows.jsonl#1"]
        sampling.answering.generation.maxNewTokens = 2
        sampling.answering.generation.numReturnSequences = 1
        sampling.outputDirectory = "~/samples"
        sampling.outputFile = "rows.jsonl"
        let rows = try SilentSampling.run(sampling, rewards: [], environment: environment)
        #expect(rows == "\(run.folder.path)/samples/rows.jsonl" && FileManager.default.fileExists(atPath: rows))
    }

    /// An id is looked up where the hub's own programs keep it.
    @Test func cachesThatTheEnvironmentNames() throws {
        let run = try TinyRun()
        let snapshots = "\(run.folder.path)/cache/hub/models--owner--tiny/snapshots"
        try FileManager.default.createDirectory(atPath: snapshots, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "\(run.folder.path)/model", toPath: "\(snapshots)/abc")
        let model = try LoadedModel(
            "owner/tiny", dtype: nil, device: .cpu, environment: ["HF_HOME": "\(run.folder.path)/cache"])
        let direct = try LoadedModel("\(run.folder.path)/model", dtype: nil, device: .cpu)
        #expect(try answer(model) == answer(direct))
    }
}
