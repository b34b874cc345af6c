import ApusRunLog
import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusFiles
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining

/// A run of the loop that trains for users on the tiny model and rows of Scripts/fixtures/make_training.py.
final class TinyRun {
    let model: CausalLanguageModel
    let trained: [TrainedParameter]
    let log: RunLog
    private let run: TrainingRun
    private let folder: String

    /// - Parameters:
    ///   - model: What is trained; the fixture in full unless given.
    ///   - objective: What is minimised; the next token unless given.
    init(
        dtype: DType = .float32, isLoRA: Bool = false, steps: Int, nanPolicy: NaNPolicy = .stop,
        model: CausalLanguageModel? = nil,
        weights: ((TokenizedDataset) -> any TrainingSource)? = nil,
        objective: ((CausalLanguageModel) -> any Objective)? = nil
    ) throws {
        let parity = TrainingParityTests()
        let model = try model ?? Fixture.model("qwen2-tied-gqa", dtype: dtype)
        self.model = model
        trained = try parity.trainedParameters(model, isLoRA: isLoRA)
        let samples = try parity.data(64)
        var plan = TrainingPlan(
            batches: try BatchPlan(
                sampleCount: samples.count, batchSize: 4, accumulation: 2, maximumSteps: steps,
                order: EpochOrder(method: .sequential, seed: 0)),
            schedule: Schedule(.cosine, peak: isLoRA ? 3e-3 : 1e-3, warmupSteps: 5, totalSteps: steps), loggingSteps: 1)
        plan.nanPolicy = nanPolicy
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-tiny-run-\(UUID())").path
        log = try RunLog(
            RunFolder(outputDirectory: folder, addVersion: false), RunLog.Options(maxSteps: steps),
            console: Console(output: Silence(), style: ConsoleStyle()))
        run = TrainingRun(
            model: model, trained: trained, optimizer: try AdamW(ParameterGroup.decaying(trained, 0.1)),
            scaler: try dtype == .float16 ? LossScaler() : nil, objective: objective?(model) ?? NextToken(model),
            data: weights?(samples) ?? samples, validation: TokenizedDataset(), plan: plan, checkpoints: nil, log: log,
            placeOfSample: { "rows.jsonl:\($0 + 1)" })
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func callAsFunction() throws -> TrainingRun.Ending { try run() }

    var losses: [Double] { log.history.compactMap { $0["loss"]?.doubleValue } }
}
