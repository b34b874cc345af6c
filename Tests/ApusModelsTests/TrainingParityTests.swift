import ApusRunLog
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusFiles
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Whole training runs, by the loop that trains for users, against Hugging Face's Trainer and PEFT
/// (Scripts/fixtures/make_training.py): the same start, the same order of data.
struct TrainingParityTests {
    struct Recorded {
        let json: JSONValue
        let losses: [Double]
        let norms: [Double]
        let rates: [Double]

        init(_ name: String) throws {
            let json = try Fixture.json("training/\(name).json")
            func numbers(_ key: String) -> [Double] {
                (json["steps"]?[key]?.arrayValue ?? []).compactMap(\.doubleValue)
            }
            self.json = json
            losses = numbers("loss")
            norms = numbers("gradientNorm")
            rates = numbers("learningRate")
        }

        /// A setting; the run by hand names only some, the others are off.
        func number(_ key: String) -> Double { json["settings"]?[key]?.doubleValue ?? 0 }
    }

    /// The rows of the fixture's data set.
    func data(_ rows: Int) throws -> TokenizedDataset {
        let all = try #require(try Fixture.json("training/data.json").arrayValue)
        return TokenizedDataset(
            all.prefix(rows).map { row in
                TokenizedDataset.Sample(
                    ids: (row["ids"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) },
                    isTrained: (row["labels"]?.arrayValue ?? []).map { $0.intValue != -100 })
            })
    }

    func trainedParameters(_ model: CausalLanguageModel, isLoRA: Bool) throws -> [TrainedParameter] {
        var slots = model.parameters()
        if isLoRA {
            let folder = Fixture.root.appendingPathComponent("training/initial").path
            let attached = try AdapterFiles.method(in: folder).attach(to: model)
            try attached.load(from: folder, device: .cpu)
            try attached.setTrainable(true)
            slots = attached.parameters
        } else {
            try model.setTrainable(true)
        }
        return slots.compactMap { name, slot in slot.tensor.map { TrainedParameter(name: name, tensor: $0) } }
    }

    @Test(arguments: ["lora-cosine", "lora-linear", "lora-constant", "full-cosine", "full-sgd"])
    func everyStepEqualsTheTrainers(name: String) throws {
        let recorded = try Recorded(name)
        let model = try Fixture.model(try #require(recorded.json["base"]?.stringValue))
        let trained = try trainedParameters(model, isLoRA: name.hasPrefix("lora"))
        let groups = ParameterGroup.decaying(trained, recorded.number("weight_decay"))
        let optimizer: any Optimizer = try name.hasSuffix("sgd") ? SGD(groups) : AdamW(groups)
        let total = recorded.losses.count
        let samples = try data(try #require(recorded.json["rows"]?.intValue))
        let plan = TrainingPlan(
            batches: try BatchPlan(
                sampleCount: samples.count, batchSize: Int(recorded.number("per_device_train_batch_size")),
                accumulation: Int(recorded.number("gradient_accumulation_steps")), maximumSteps: total,
                order: EpochOrder(method: .sequential, seed: 0)),
            schedule: Schedule(
                try #require(
                    ScheduleKind(rawValue: recorded.json["settings"]?["lr_scheduler_type"]?.stringValue ?? "constant")),
                peak: recorded.number("learning_rate"),
                warmupSteps: Int(recorded.json["settings"]?["warmup_steps"]?.doubleValue ?? 0), totalSteps: total),
            maximumGradientNorm: recorded.number("max_grad_norm"), loggingSteps: 1)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-parity-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let log = try RunLog(
            RunFolder(outputDirectory: folder, addVersion: false), RunLog.Options(maxSteps: total),
            console: Console(output: Silence(), style: ConsoleStyle()))
        let run = TrainingRun(
            model: model, trained: trained, optimizer: optimizer, objective: NextToken(model), data: samples,
            validation: TokenizedDataset(), plan: plan, checkpoints: nil, log: log)
        #expect(try run() == .finished)

        func logged(_ key: String) -> [Double] { log.history.compactMap { $0[key]?.doubleValue } }
        func worst(_ ours: [Double], _ theirs: [Double]) -> Double {
            zip(ours, theirs).map { abs($0 - $1) }.max() ?? .nan
        }
        #expect(logged("loss").count == total)
        let distance = worst(logged("loss"), recorded.losses)
        print("parity \(name): \(total) steps, largest difference of a loss \(distance)")
        #expect(distance <= 1e-5)
        if !recorded.rates.isEmpty { #expect(worst(logged("learning_rate"), recorded.rates) <= 1e-8) }
        if !recorded.norms.isEmpty { #expect(worst(logged("grad_norm"), recorded.norms) <= 1e-4) }
    }

    @Test(arguments: [(DType.float64, 1e-9), (.float32, 4e-6)])
    func accumulatingEqualsOneLargeBatch(dtype: DType, bound: Double) throws {
        func losses(batch: Int, accumulation: Int) throws -> (Double, [Tensor]) {
            let model = try Fixture.model("qwen2-tied-gqa", dtype: dtype)
            try model.setTrainable(true)
            let samples = try data(4)
            var plan = try BatchPlan(
                sampleCount: 4, batchSize: batch, accumulation: accumulation, maximumSteps: 1,
                order: EpochOrder(method: .sequential, seed: 0))
            let batches = plan.batches(ofStep: 0)
            let targets = batches.reduce(0) { $0 + samples.targetCount($1) }
            var total = 0.0
            for micro in batches {
                let flat = samples.batch(micro, draw: nil)
                let part = try NextToken(model).loss(flat, model.context(for: flat, isTraining: true))
                try (part.sum / Double(targets)).backward()
                total += try part.sum.item() / Double(targets)
            }
            return (total, try model.parameters().map { try #require($0.slot.tensor?.gradient) })
        }
        let (whole, together) = try losses(batch: 4, accumulation: 1)
        let (parts, apart) = try losses(batch: 1, accumulation: 4)
        #expect(abs(whole - parts) <= 1e-6)
        for (a, b) in zip(together, apart) { #expect(try relativeDifference(a, b) <= bound) }
    }
}

/// A terminal that shows nothing.
struct Silence: TerminalOutput {
    var columns: Int? { nil }
    func write(_ text: String) {}
}
