import Foundation
import Testing

@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusWeights

/// Twenty steps of optimizers against torch and others (Scripts/fixtures/make_torch_optimizers.py).
struct TorchOptimizerTests {
    private static let rate = 2e-3

    /// An optimizer on the parameters of a fixture.
    private final class Course {
        let file: SafetensorsFile
        let dtype: DType
        let trained: [TrainedParameter]
        let optimizer: any Optimizer

        init(
            _ fixture: String, dtype: DType, _ make: ([ParameterGroup]) throws -> any Optimizer
        ) throws {
            let file = try SafetensorsFile(
                path: Fixture.root.appendingPathComponent("optimizers-torch/\(fixture).safetensors").path)
            let names = file.tensorNames.filter { $0.hasPrefix("start.") }.map { String($0.dropFirst(6)) }
            trained = try names.map { name in
                TrainedParameter(
                    name: name,
                    tensor: try file.tensor("start.\(name)", dtype: dtype, device: .cpu).tensor.cloned())
            }
            for parameter in trained { try parameter.tensor.setRequiresGradient(true) }
            optimizer = try make([ParameterGroup(trained, decay: 0.1)])
            self.file = file
            self.dtype = dtype
        }

        func tensor(_ name: String) throws -> Tensor {
            try file.tensor(name, dtype: dtype, device: .cpu).tensor.cloned()
        }

        func step(_ number: Int) throws {
            for parameter in trained {
                parameter.clearGradient()
                try (parameter.tensor * tensor("gradient.\(number).\(parameter.name)")).sum().backward()
                try parameter.collectGradient()
            }
            try optimizer.step(rate: rate)
        }

        func difference(from end: String) throws -> Double {
            try trained.map { try relativeDifference($0.tensor.detached(), tensor("\(end).\($0.name)")) }.max() ?? 0
        }
    }

    private static func optimizer(_ name: String, _ groups: [ParameterGroup]) throws -> any Optimizer {
        var (sgd, adafactor, adagrad, rmsprop) = (
            SGD.Settings(), Adafactor.Settings(), Adagrad.Settings(), RMSprop.Settings()
        )
        var free = ScheduleFree.Settings()
        switch name {
        case "sgd": return try SGD(groups)
        case "sgd-momentum":
            (sgd.momentum, sgd.dampening) = (0.9, 0.1)
            return try SGD(groups, settings: sgd)
        case "sgd-nesterov":
            (sgd.momentum, sgd.isNesterov) = (0.9, true)
            return try SGD(groups, settings: sgd)
        case "adafactor": return try Adafactor(groups)
        case "adafactor-momentum":
            (adafactor.beta1, adafactor.clipThreshold, adafactor.decayRate) = (0.9, 0.5, -0.7)
            return try Adafactor(groups, settings: adafactor)
        case "lion": return try Lion(groups)
        case "adagrad": return try Adagrad(groups)
        case "adagrad-decay":
            (adagrad.rateDecay, adagrad.epsilon) = (0.05, 1e-6)
            return try Adagrad(groups, settings: adagrad)
        case "rmsprop": return try RMSprop(groups)
        case "rmsprop-centered":
            (rmsprop.decay, rmsprop.epsilon, rmsprop.momentum, rmsprop.isCentered) = (0.9, 1e-4, 0.8, true)
            return try RMSprop(groups, settings: rmsprop)
        case "stable-adamw": return try StableAdamW(groups)
        case "ademamix", "ademamix-grown":
            var settings = AdEMAMix.Settings()
            settings.beta2 = 0.95
            if name == "ademamix-grown" {
                (settings.beta3, settings.alpha, settings.epsilon) = (0.99, 3, 1e-6)
                (settings.alphaSteps, settings.beta3Steps) = (8, 12)
            }
            return try AdEMAMix(groups, settings: settings)
        case "apollo", "apollo-tensor":
            var options = APOLLO.Options()
            (options.rank, options.gap) = (4, 6)
            if name == "apollo-tensor" { (options.rank, options.scale, options.scaling) = (1, 16, .tensor) }
            return try APOLLO(groups, options: options) { $0 != "table" }
        case "grokadamw": return try GrokAdamW(groups)
        case "grokadamw-other":
            var settings = GrokAdamW.Settings()
            (settings.kept, settings.amplification, settings.layerDecay, settings.maximumNorm) = (0.9, 5, 0.3, 0)
            return try GrokAdamW(groups, settings: settings)
        case "schedule-free-adamw":
            free.warmupSteps = 5
            return try ScheduleFree(groups, settings: free)
        case "schedule-free-sgd":
            (free.isAdaptive, free.ratePower, free.stepPower) = (false, 1, 0.5)
            return try ScheduleFree(groups, settings: free)
        case "muon": return try Muon(groups) { $0 != "table" }
        default: throw FixtureError(name: name)
        }
    }

    private struct FixtureError: Error { let name: String }

    private static let names = [
        "sgd", "sgd-momentum", "sgd-nesterov", "adafactor", "adafactor-momentum", "lion", "adagrad", "adagrad-decay",
        "rmsprop", "rmsprop-centered", "stable-adamw", "schedule-free-adamw", "schedule-free-sgd", "muon",
        "ademamix", "ademamix-grown", "apollo", "apollo-tensor", "grokadamw", "grokadamw-other",
    ]

    @Test(arguments: names) func twentySteps(name: String) throws {
        let course = try Course("steps", dtype: .float32) { try Self.optimizer(name, $0) }
        for step in 0..<20 { try course.step(step) }
        let difference = try course.difference(from: "\(name).end")
        #expect(difference <= 1e-6, "\(difference)")
        guard let averaging = course.optimizer as? any AveragingOptimizer else { return }
        let ends = try course.trained.map { try $0.tensor.detached().cloned() }
        try averaging.useAverage()
        let found = try course.difference(from: "\(name).average")
        #expect(found <= 1e-6, "\(found)")
        try averaging.useTraining()
        for (parameter, end) in zip(course.trained, ends) { #expect(try parameter.tensor.detached().equals(end)) }
    }

    /// What is saved after ten steps goes on to the same bits, in 16 bits too.
    @Test(arguments: names, [DType.float32, .bfloat16]) func resumed(name: String, dtype: DType) throws {
        let whole = try Course("steps", dtype: dtype) { try Self.optimizer(name, $0) }
        for step in 0..<10 { try whole.step(step) }
        let resumed = try Course("steps", dtype: dtype) { try Self.optimizer(name, $0) }
        try withoutGradients {
            for (new, old) in zip(resumed.trained, whole.trained) { try new.tensor.copy(from: old.tensor) }
            let saved = try Dictionary(whole.optimizer.state.map { ($0.name, $0.tensor) }) { first, _ in
                Issue.record("a name comes twice")
                return first
            }
            #expect(try resumed.optimizer.state.count == saved.count)
            for (part, tensor) in try resumed.optimizer.state { try tensor.copy(from: #require(saved[part])) }
        }
        for step in 10..<20 {
            try whole.step(step)
            try resumed.step(step)
        }
        for (new, old) in zip(resumed.trained, whole.trained) {
            #expect(try new.tensor.detached().equals(old.tensor.detached()), "\(new.name)")
        }
    }

    /// A parameter without a gradient is left as it is.
    @Test(arguments: names) func withoutGradient(name: String) throws {
        let course = try Course("steps", dtype: .float32) { try Self.optimizer(name, $0) }
        let before = try course.trained.map { try $0.tensor.detached().cloned() }
        try course.optimizer.step(rate: Self.rate)
        for (parameter, start) in zip(course.trained, before) { #expect(try parameter.tensor.detached().equals(start)) }
    }

    /// What is forecast of memory is what is remembered: of a projected matrix of m ≥ n two moments [m, r] and the projection.
    @Test func whatIsRememberedIsCounted() throws {
        func bytes(_ name: String, _ dtype: DType = .float32) throws -> Int {
            try Course("steps", dtype: dtype) { try Self.optimizer(name, $0) }.optimizer.rememberedBytes
        }
        // A bias of 7, a table [6, 5], matrices [14, 9] and [8, 13]; of each a step, of a projected one a norm.
        let (plain, all) = (7 + 6 * 5, 7 + 6 * 5 + 14 * 9 + 8 * 13)
        #expect(try bytes("apollo") == 4 * (2 * plain + 2 + 2 * 4 * (14 + 13) + 4 * (9 + 8) + 4))
        #expect(try bytes("apollo-tensor") == 4 * (2 * plain + 2 + 2 * (14 + 13) + (9 + 8) + 4))
        #expect(try bytes("ademamix") == 4 * (3 * all + 4))
        // The values in float32 beside weights of 16 bits count elsewhere.
        #expect(try bytes("ademamix", .bfloat16) == 4 * (3 * all + 4))
        #expect(try bytes("sgd") == 0)
    }

    private static func paged(_ name: String, _ groups: [ParameterGroup], _ memory: StateMemory) throws -> any Optimizer
    {
        switch name {
        case "adamw": try AdamW(groups, memory: memory)
        case "adamw-8bit": try AdamW8Bit(groups, memory: memory)
        case "lion": try Lion(groups, memory: memory)
        case "lion-8bit": try Lion8Bit(groups, memory: memory)
        default: try AdEMAMix(groups, memory: memory)
        }
    }

    /// Paged optimizers have in pages what is as large as a weight, and move it by the same bits.
    @Test(arguments: [("adamw", 8), ("adamw-8bit", 2), ("lion", 4), ("lion-8bit", 1), ("ademamix", 12)])
    func pagesChangeNothing(name: String, bytes: Int) throws {
        let (count, pages) = (400 * 300, try PagedMemory(folder: NSTemporaryDirectory(), limit: 0))
        func end(_ memory: StateMemory) throws -> Tensor {
            let generator = try Generator(seed: 7)
            func drawn() throws -> Tensor {
                let tensor = try Tensor.zeros([400, 300])
                try tensor.fillNormal(generator: generator)
                return tensor
            }
            let parameter = TrainedParameter(name: "w", tensor: try drawn())
            try parameter.tensor.setRequiresGradient(true)
            let optimizer = try Self.paged(name, [ParameterGroup([parameter], decay: 0.1)], memory)
            for _ in 0..<3 {
                parameter.clearGradient()
                let gradient = try drawn()
                try (parameter.tensor * gradient).sum().backward()
                try optimizer.step(rate: Self.rate)
            }
            return try parameter.tensor.detached()
        }
        let plain = try end(.plain)
        #expect(pages.size == 0)
        #expect(try end(.paged(pages)).equals(plain))
        #expect(pages.size >= count * bytes && pages.size < count * bytes + 12 * 4096 * 4, "\(pages.size)")
    }

    @Test(arguments: [false, true]) func lionOf8BitsIsThatOfBitsandbytes(isPaged: Bool) throws {
        let memory =
            isPaged ? StateMemory.paged(try PagedMemory(folder: NSTemporaryDirectory(), limit: 0)) : .plain
        let course = try Course("lion-8bit", dtype: .float32) { try Lion8Bit($0, memory: memory) }
        for step in 0..<20 {
            try course.step(step)
            guard step == 0 || step == 19 else { continue }
            let state = try Dictionary(course.optimizer.state.map { ($0.name, $0.tensor) }) { $1 }
            for part in ["exp_avg.odd", "exp_avg_absmax.odd"] {
                let ours = try #require(state[part])
                let theirs = try course.file.tensor("\(step + 1).\(part)", dtype: ours.dtype, device: .cpu).tensor
                #expect(try ours.equals(theirs), "step \(step + 1): \(part)")
            }
        }
        #expect(try course.difference(from: "lion-8bit.end") <= 1e-6)
    }
}
