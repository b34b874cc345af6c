import ApusOptimizers
import ApusTorch
import Foundation

/// A few steps of every optimizer with the same gradients on both sides: how far apart the weights have moved, relative to
/// how far they moved on the processor.
enum OptimizerChecks {
    private struct Item: Sendable {
        let name: String
        let bar: Double
        let make: @Sendable ([ParameterGroup]) throws -> any Optimizer

        init(_ name: String, bar: Double, _ make: @escaping @Sendable ([ParameterGroup]) throws -> any Optimizer) {
            self.name = name
            self.bar = bar
            self.make = make
        }
    }

    private static let items = [
        Item("adamw", bar: 1e-4) { try AdamW($0) },
        Item("adamw_8bit", bar: 1e-4) { try AdamW8Bit($0) },
        Item("paged_adamw_8bit", bar: 1e-4) { try AdamW8Bit($0, memory: pages()) },
        // A sign turns where what it is of is near zero, and a byte where a number lies between two.
        Item("lion", bar: 1e-2) { try Lion($0) },
        Item("lion_8bit", bar: 1e-2) { try Lion8Bit($0) },
        Item("paged_lion_8bit", bar: 1e-2) { try Lion8Bit($0, memory: pages()) },
        // Singular vectors are found by another way there, and may have the other sign, for which the code has other numbers.
        Item("galore_adamw", bar: 1e-2) { try galore($0, inBytes: false) },
        Item("galore_adamw_8bit", bar: 5e-2) { try galore($0, inBytes: true) },
        Item("apollo", bar: 1e-3) { try APOLLO($0) { $0 == "weight" } },
        Item("muon", bar: 1e-2) { try Muon($0) { $0 == "weight" } },
        Item("adafactor", bar: 1e-4) { try Adafactor($0) },
        Item("ademamix", bar: 1e-4) { try AdEMAMix($0) },
        Item("stable_adamw", bar: 1e-4) { try StableAdamW($0) },
        Item("grokadamw", bar: 1e-4) { try GrokAdamW($0) },
        Item("schedule_free", bar: 1e-4) { try ScheduleFree($0) },
        Item("rmsprop", bar: 1e-4) { try RMSprop($0) },
        Item("adagrad", bar: 1e-4) { try Adagrad($0) },
        Item("sgd", bar: 1e-4) { try SGD($0) },
    ]

    static func run(_ settings: Settings, _ report: inout Report) throws {
        for item in items {
            report.attempt(item.name) { report in
                let (ours, wanted) = (try way(item, settings.device), try way(item, .cpu))
                let errors = try zip(ours, wanted).map { try distance($0, $1) }
                report.check(item.name, error: errors.max() ?? .infinity, bar: item.bar)
            }
        }
    }

    /// How far a matrix and a vector move in five steps.
    private static func way(_ item: Item, _ device: Device) throws -> [Tensor] {
        let generator = try Generator(seed: 21)
        func drawn(_ shape: [Int]) throws -> Tensor {
            let tensor = try Tensor.empty(shape, dtype: .float32)
            try tensor.fillNormal(generator: generator)
            return try tensor.to(device)
        }
        // Large enough for moments in bytes and in pages.
        let parameters = try [("weight", [400, 300]), ("bias", [300])].map { name, shape in
            let tensor = try drawn(shape)
            try tensor.setRequiresGradient(true)
            return TrainedParameter(name: name, tensor: tensor)
        }
        let starts = try parameters.map { try $0.tensor.detached().cloned() }
        let optimizer = try item.make(ParameterGroup.decaying(parameters, 0.1))
        for _ in 0..<5 {
            for parameter in parameters { try parameter.tensor.setGradient(drawn(parameter.tensor.shape)) }
            try optimizer.step(rate: 1e-2)
        }
        return try withoutGradients { try zip(parameters, starts).map { try $0.tensor.detached() - $1 } }
    }

    private static func pages() throws -> StateMemory { .paged(try PagedMemory(folder: NSTemporaryDirectory())) }

    private static func galore(_ groups: [ParameterGroup], inBytes: Bool) throws -> any Optimizer {
        var options = GaLore.Options()
        options.rank = 16
        options.lazy = inBytes ? LazyProjection() : nil
        return try GaLore(groups, options: options) { $0 == "weight" }
    }
}
