import ApusRunLog
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Learning from a teacher against TRL (Scripts/fixtures/make_distillation.py): divergences and their gradients, and twenty steps
/// of its own trainer.
struct DistillationParityTests {
    static let runs = ["mixed", "forward", "reverse", "skewed", "full"]

    private static func losses() throws -> JSONValue { try Fixture.json("distillation/losses.json") }

    private static func numbers(_ value: JSONValue?) -> [Double] { (value?.arrayValue ?? []).compactMap(\.doubleValue) }

    /// A head whose scores are its input.
    private func mirror(_ width: Int, dtype: DType = .float64, trains: Bool = false) throws -> VocabularyHead {
        let head = VocabularyHead(width: width, vocabulary: width, initializer: .zeros)
        var unit = Array(repeating: 0.0, count: width * width)
        for index in 0..<width { unit[index * (width + 1)] = 1 }
        try head.setMatrix(Tensor(unit, shape: [width, width]).to(dtype))
        try head.weight.setRequiresGradient(trains)
        return head
    }

    @Test func everyDivergenceAndItsGradient() throws {
        let json = try Self.losses()
        let width = try #require(json["columns"]?.intValue)
        let (student, teacher) = (Self.numbers(json["student"]), Self.numbers(json["teacher"]))
        let context = ForwardContext(bounds: [0, 6])
        let labels = try Tensor(Array(repeating: Int32(3), count: 6))
        var worst = 0.0
        for one in try #require(json["cases"]?.arrayValue) {
            let form = DivergenceForm(
                beta: one["beta"]?.doubleValue ?? .nan, temperature: one["temperature"]?.doubleValue ?? .nan,
                topK: one["topK"]?.intValue)
            // Where the head trains scores are made again in the backward pass.
            for trains in [false, true] {
                let rows = try Tensor(student, shape: [6, width])
                try rows.setRequiresGradient(true)
                let taught = TeacherRows(try mirror(width), rows: try Tensor(teacher, shape: [6, width]), context)
                let head = try mirror(width, trains: trains)
                let sums = try head.divergence(rows, from: taught, labels: labels, form, context)
                try sums.loss.backward()
                let wanted = Self.numbers(one["values"]).reduce(0, +)
                #expect(sums.likelihood == nil)
                worst = max(worst, try abs(sums.loss.item() - wanted), try abs(sums.divergence.item() - wanted))
                let gradient: [Double] = try #require(rows.gradient).values()
                for (a, b) in zip(gradient, Self.numbers(one["gradient"])) { worst = max(worst, abs(a - b)) }
                #expect(trains == (head.weight.gradient != nil))
            }
        }
        print("divergences: largest difference \(worst)")
        #expect(worst <= 1e-12)
    }

    /// In float32 the same numbers to rounding, of the kernel and of ordinary operations.
    @Test func divergencesInFloat32() throws {
        let json = try Self.losses()
        let width = try #require(json["columns"]?.intValue)
        for one in try #require(json["cases"]?.arrayValue) where one["topK"]?.intValue == nil {
            let student = try Tensor(Self.numbers(json["student"]), shape: [6, width]).to(.float32)
            let teacher = try Tensor(Self.numbers(json["teacher"]), shape: [6, width]).to(.float32)
            let wanted = Self.numbers(one["values"])
            func found() throws -> [Double] {
                try divergence(
                    student, from: teacher, beta: one["beta"]?.doubleValue ?? .nan,
                    temperature: one["temperature"]?.doubleValue ?? .nan
                ).values()
            }
            for (a, b) in zip(try found() + withComposedForms { try found() }, wanted + wanted) {
                #expect(abs(a - b) <= 2e-6 * max(1, abs(b)), "\(one)")
            }
        }
    }

    /// Which steps learn from answers of the model's own is what ms-swift tosses.
    @Test func coinsArePythons() throws {
        for coin in try #require(try Self.losses()["coins"]?.arrayValue) {
            let own = OwnAnswers(
                share: coin["lmbda"]?.doubleValue ?? .nan, seed: coin["seed"]?.intValue ?? 0, limit: 1
            ) { prompts, _ in prompts }
            #expect((0..<64).filter(own.takesStep) == coin["steps"]?.arrayValue?.compactMap(\.intValue))
        }
        #expect(!OwnAnswers(share: 0, seed: 42, limit: 1) { prompts, _ in prompts }.takesStep(0))
    }

    // MARK: - Runs

    /// A run of the fixture, on a model of one's own.
    struct Recorded {
        let name: String
        let json: JSONValue

        init(_ name: String) throws {
            self.name = name
            json = try Fixture.json("distillation/\(name).json")
        }

        var isFull: Bool { json["settings"]?["full"]?.boolValue == true }
        func number(_ key: String) -> Double { json["settings"]?[key]?.doubleValue ?? .nan }

        var data: DistilledDataset {
            func ids(_ value: JSONValue?) -> [Int32] {
                value?.arrayValue?.compactMap { $0.intValue.map(Int32.init) } ?? []
            }
            return DistilledDataset(
                (json["rows"]?.arrayValue ?? []).map { row in
                    let (prompt, answer) = (ids(row["prompt"]), ids(row["answer"]))
                    let isTrained = prompt.map { _ in false } + answer.map { _ in true }
                    return (DistilledDataset.Sample(ids: prompt + answer, isTrained: isTrained), nil)
                })
        }

        static func teacher(dtype: DType) throws -> CausalLanguageModel {
            let model = try Fixture.model("qwen2-tied-gqa", dtype: dtype)
            let folder = Fixture.root.appendingPathComponent("distillation/teacher").path
            try AdapterFiles.method(in: folder).attach(to: model).load(from: folder, dtype: dtype, device: .cpu)
            return model
        }

        func task(
            dtype: DType, form: ((inout DivergenceForm) -> Void)? = nil
        ) throws -> (step: PreferenceParityTests.Task, objective: Distillation) {
            let model = try Fixture.model("qwen2-tied-gqa", dtype: dtype)
            var slots = model.parameters()
            if isFull {
                try model.setTrainable(true)
            } else {
                let folder = Fixture.root.appendingPathComponent("preferences/initial").path
                let attached = try AdapterFiles.method(in: folder).attach(to: model)
                try attached.load(from: folder, dtype: dtype, device: .cpu)
                try attached.setTrainable(true)
                slots = attached.parameters
            }
            var chosen = DivergenceForm(beta: number("beta"))
            form?(&chosen)
            let objective = Distillation(model, chosen)
            objective.teacher = try .model(Self.teacher(dtype: dtype))
            let trained = slots.compactMap { name, slot in
                slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
            }
            let step = PreferenceParityTests.Task(
                model: model, objective: objective, data: DistilledSamples(data), trained: trained)
            return (step, objective)
        }
    }

    @Test(arguments: runs) func firstLossAndGradients(name: String) throws {
        let recorded = try Recorded(name)
        let task = try recorded.task(dtype: .float64).step
        let loss = try task.step([Array(0..<4)])
        #expect(abs(loss - (recorded.json["firstLoss"]?.doubleValue ?? .nan)) <= 1e-6)
        let expected = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("distillation/\(name).safetensors").path)
        #expect(expected.tensorNames.count == task.trained.count)
        var worst = 0.0
        for parameter in task.trained {
            let stored = try #require(expected.tensorNames.first { $0 == parameter.name })
            let wanted = try expected.tensor(stored, dtype: .float32, device: .cpu).tensor
            worst = max(worst, try relativeDifference(#require(parameter.tensor.gradient), wanted))
        }
        print("distillation \(name): loss \(loss), largest relative difference of a gradient \(worst)")
        #expect(worst <= 1e-6)
    }

    @Test(arguments: runs) func everyStepEqualsTRLs(name: String) throws {
        let recorded = try Recorded(name)
        let task = try recorded.task(dtype: recorded.isFull ? .float64 : .float32).step
        let wanted = recorded.json["steps"]?["loss"]?.arrayValue?.compactMap(\.doubleValue) ?? []
        #expect(wanted.count == 20)
        let plan = TrainingPlan(
            batches: try BatchPlan(
                sampleCount: task.data.count, batchSize: 4, accumulation: 1, maximumSteps: wanted.count,
                order: EpochOrder(method: .sequential, seed: 0)),
            schedule: Schedule(
                .constant, peak: recorded.number("learning_rate"), warmupSteps: 0, totalSteps: wanted.count),
            maximumGradientNorm: 1, loggingSteps: 1)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-distillation-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let log = try RunLog(
            RunFolder(outputDirectory: folder, addVersion: false), RunLog.Options(maxSteps: wanted.count),
            console: Console(output: Silence(), style: ConsoleStyle()))
        let run = TrainingRun(
            model: task.model, trained: task.trained,
            optimizer: try AdamW(ParameterGroup.decaying(task.trained, 0.1)), objective: task.objective,
            data: task.data, validation: TokenizedDataset(), plan: plan, checkpoints: nil, log: log)
        #expect(try run() == .finished)
        let made = log.history.compactMap { $0["loss"]?.doubleValue }
        let worst = zip(made, wanted).map { abs($0 - $1) }.max() ?? .nan
        print("distillation \(name): \(made.count) steps, largest difference of a loss \(worst)")
        #expect(made.count == wanted.count && worst <= 1e-5)
    }

    /// A step is the same however it is cut into micro-batches, with the likelihood beside it and among the best tokens too.
    @Test(arguments: [0, 0.5], [nil, 8]) func accumulationIsExact(weight: Double, topK: Int?) throws {
        let recorded = try Recorded("mixed")
        func task() throws -> PreferenceParityTests.Task {
            try recorded.task(dtype: .float64) {
                $0.likelihoodWeight = weight
                $0.topK = topK
                $0.temperature = 0.9
            }.step
        }
        let (whole, parts) = (try task(), try task())
        #expect(abs(try whole.step([[0, 1, 2, 3]]) - parts.step([[0], [1], [2], [3]])) <= 1e-12)
        for (a, b) in zip(whole.trained, parts.trained) {
            #expect(try relativeDifference(#require(a.tensor.gradient), #require(b.tensor.gradient)) <= 1e-9)
        }
    }

    /// The weighted likelihood is that of fine-tuning, and of the data's answers alone.
    @Test func likelihoodIsAdded() throws {
        let recorded = try Recorded("mixed")
        let (task, objective) = try recorded.task(dtype: .float64) { $0.likelihoodWeight = 0.5 }
        let model = try #require(task.model as? CausalLanguageModel)
        let plain = try recorded.task(dtype: .float64).step
        var batch = task.data.batch([0, 1, 2], draw: nil)
        func loss(_ objective: any Objective, _ model: any TextModel) throws -> MicroLoss {
            try withoutGradients { try objective.loss(batch, model.context(for: batch)) }
        }
        let (with, without) = (try loss(objective, model), try loss(plain.objective, plain.model))
        let likelihood = try loss(NextToken(model), model)
        #expect(try abs(with.sum.item() - without.sum.item() - 0.5 * likelihood.sum.item()) <= 1e-9)
        let tallies = Dictionary(uniqueKeysWithValues: with.tallies.map { ($0.name, $0) })
        #expect(try abs(#require(tallies["nll_loss"]).sum.item() - likelihood.sum.item()) <= 1e-9)
        #expect(try abs(#require(tallies["jsd"]).sum.item() - without.sum.item()) <= 1e-9)
        batch.isSampled = true
        let sampled = try loss(objective, model)
        #expect(try abs(sampled.sum.item() - without.sum.item()) <= 1e-9)
        #expect(sampled.tallies.map(\.name) == ["jsd"])
    }

    /// Tokens that one table alone has take no part: a teacher whose table goes on says the same.
    @Test func longerTablesAreCut() throws {
        let context = ForwardContext(bounds: [0, 5])
        func random(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
            let x = try Tensor.empty(shape, dtype: .float64)
            try x.fillNormal(generator: Generator(seed: seed))
            return x
        }
        func head(_ weight: Tensor) throws -> VocabularyHead {
            let head = VocabularyHead(width: 4, vocabulary: weight.shape[0], initializer: .zeros)
            try head.setMatrix(weight)
            return head
        }
        let (rows, theirs, short) = (try random([5, 4], 1), try random([5, 4], 2), try random([9, 4], 3))
        let (other, labels) = (try random([9, 4], 4), try Tensor([0, 1, 2, 3, 4] as [Int32]))
        let tail = try random([3, 4], 5) * 10
        func loss(_ own: Tensor, _ teacher: Tensor, topK: Int?) throws -> (value: Double, gradient: Tensor) {
            let x = try rows.cloned()
            try x.setRequiresGradient(true)
            let sums = try head(own).divergence(
                x, from: TeacherRows(head(teacher), rows: theirs, context), labels: labels,
                DivergenceForm(beta: 0.3, topK: topK), context)
            try sums.loss.backward()
            return (try sums.loss.item(), try #require(x.gradient))
        }
        for topK in [nil, 4] {
            let plain = try loss(short, other, topK: topK)
            for (a, b) in [
                (short, try concatenated([other, tail])), (try concatenated([short, tail]), other),
            ] {
                let cut = try loss(a, b, topK: topK)
                #expect(abs(cut.value - plain.value) <= 1e-12)
                #expect(try relativeDifference(cut.gradient, plain.gradient) <= 1e-12)
            }
        }
    }

    /// What the teacher reads before the answers is its own, and self-distillation without other words has no loss.
    @Test func teachersReadTheirOwnWords() throws {
        let recorded = try Recorded("mixed")
        let samples = (0..<3).map { recorded.data.sample($0).student }
        func longer(_ sample: DistilledDataset.Sample) -> DistilledDataset.Sample {
            DistilledDataset.Sample(ids: [7, 8] + sample.ids, isTrained: [false, false] + sample.isTrained)
        }
        let (task, objective) = try recorded.task(dtype: .float64)
        func loss(_ pairs: [(DistilledDataset.Sample, DistilledDataset.Sample?)]) throws -> Double {
            let batch = DistilledSamples(DistilledDataset(pairs.map { (student: $0.0, teacher: $0.1) })).batch(
                Array(pairs.indices), draw: nil)
            return try withoutGradients { try objective.loss(batch, task.model.context(for: batch)).sum.item() }
        }
        let plain = try loss(samples.map { ($0, nil) })
        #expect(abs(try loss(samples.map { ($0, $0) }) - plain) <= 1e-9)
        let other = try loss(samples.map { ($0, longer($0)) })
        #expect(abs(other - plain) > 1e-3)
        // One of them alone.
        let apart = try samples.reduce(0) { try $0 + loss([($1, longer($1))]) }
        #expect(abs(apart - other) <= 1e-9)
        let first = try loss([(samples[0], longer(samples[0])), (samples[1], nil)])
        #expect(abs(first - (try loss([(samples[0], longer(samples[0]))]) + loss([(samples[1], nil)]))) <= 1e-9)
        objective.teacher = .adapters(.only(["default"]))
        #expect(abs(try loss(samples.map { ($0, nil) })) <= 1e-12)
        #expect(try loss(samples.map { ($0, longer($0)) }) > 1e-3)
    }

    /// An answer of the model's own stands behind both questions.
    @Test func ownAnswersTakeTheirPlace() throws {
        let sample = DistilledDataset.Sample(ids: [1, 2, 3, 4], isTrained: [false, false, true, true])
        let other = DistilledDataset.Sample(ids: [9, 1, 2, 3, 4], isTrained: [false, false, false, true, true])
        let source = DistilledSamples(
            DistilledDataset([(student: sample, teacher: other), (student: sample, teacher: nil)]))
        var asked: [[Int32]] = []
        var drawn: [[UInt64]] = []
        source.own = OwnAnswers(share: 1, seed: 1, limit: 5) { prompts, draws in
            asked += prompts
            drawn.append(draws)
            return [[5, 6, 7], [8]]
        }
        #expect(source.longestLength(of: 0) == 8 && source.length(of: 0) == 5)
        _ = try source.prepare([1, 0, 1], step: 0)
        #expect(asked == [[1, 2], [1, 2]])
        #expect(source.targetCount([0]) == 3 && source.targetCount([0, 1]) == 4)
        let batch = source.batch([0, 1], draw: 0)
        #expect(batch.isSampled && batch.sequenceCount == 4)
        #expect(batch.tokens == [1, 2, 5, 6, 7, 1, 2, 8, 9, 1, 2, 5, 6, 7, 1, 2, 8])
        #expect(batch.targets.labels == [5, 6, 7, 8, 5, 6, 7, 8])
        // Other steps draw other numbers, the same step the same.
        _ = try source.prepare([0, 1], step: 1)
        _ = try source.prepare([0, 1], step: 0)
        #expect(drawn[0] != drawn[1] && drawn[0] == drawn[2])
    }
}
