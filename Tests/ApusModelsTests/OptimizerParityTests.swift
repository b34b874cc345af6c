import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Optimizers against bitsandbytes, GaLore's formula and PEFT's LoRA+ (Scripts/fixtures/make_optimizers.py).
struct OptimizerParityTests {
    private static let rate = 2e-3

    /// A run over the fixture's gradients; sees the optimizer after each step.
    private func run(
        _ name: String, dtype: DType, _ make: ([ParameterGroup]) throws -> any Optimizer,
        after: (Int, any Optimizer, SafetensorsFile) throws -> Void = { _, _, _ in }
    ) throws {
        let file = try SafetensorsFile(path: Fixture.root.appendingPathComponent("optimizers/\(name).safetensors").path)
        func tensor(_ name: String) throws -> Tensor {
            try file.tensor(name, dtype: dtype, device: .cpu).tensor.cloned()
        }
        let names = file.tensorNames.filter { $0.hasPrefix("start.") }.map { String($0.dropFirst(6)) }
        let trained = try names.map { TrainedParameter(name: $0, tensor: try tensor("start.\($0)")) }
        for parameter in trained { try parameter.tensor.setRequiresGradient(true) }
        let optimizer = try make([ParameterGroup(trained, decay: 0.1)])
        for step in 0..<20 {
            for parameter in trained {
                parameter.tensor.clearGradient()
                try (parameter.tensor * tensor("gradient.\(step).\(parameter.name)")).sum().backward()
            }
            try optimizer.step(rate: Self.rate)
            try after(step + 1, optimizer, file)
        }
        for parameter in trained {
            #expect(try relativeDifference(parameter.tensor.detached(), tensor("end.\(parameter.name)")) <= 1e-6)
        }
    }

    @Test(arguments: [false, true]) func momentsOf8BitsAreThoseOfBitsandbytes(isPaged: Bool) throws {
        try run("adamw-8bit", dtype: .float32) { groups in
            try AdamW8Bit(groups, memory: isPaged ? pages() : .plain)
        } after: { step, optimizer, file in
            guard step == 1 || step == 20 else { return }
            let state = try Dictionary(optimizer.state.map { ($0.name, $0.tensor) }) { $1 }
            for name in ["even", "odd"] {
                for part in ["exp_avg", "exp_avg_absmax", "exp_avg_sq", "exp_avg_sq_absmax"] {
                    let ours = try #require(state["\(part).\(name)"])
                    let theirs = try file.tensor("\(step).\(part).\(name)", dtype: ours.dtype, device: .cpu).tensor
                    #expect(try ours.equals(theirs), "step \(step): \(part).\(name)")
                }
            }
            #expect(state["exp_avg.small"]?.dtype == .float32)
        }
    }

    @Test func momentsOf32BitsFollowBitsandbytes() throws {
        try run("adamw-32bit", dtype: .float32) { try AdamW($0, memory: pages()) }
    }

    @Test(arguments: GaLore.Projection.allCases) func galoreFollowsItsFormula(projection: GaLore.Projection) throws {
        var options = GaLore.Options()
        options.rank = 3
        options.gap = 6
        options.scale = 0.25
        options.projection = projection
        try run("galore-\(projection.rawValue)", dtype: .float64) {
            try GaLore($0, options: options) { _ in true }
        }
    }

    @Test func codesAreThoseOfBitsandbytes() throws {
        let file = try SafetensorsFile(path: Fixture.root.appendingPathComponent("optimizers/code.safetensors").path)
        func tensor(_ name: String, _ dtype: DType = .float32) throws -> Tensor {
            try file.tensor(name, dtype: dtype, device: .cpu).tensor
        }
        for (name, code) in [("signed", DynamicCode.signed), ("unsigned", DynamicCode.unsigned)] {
            let code = try Tensor(code)
            let values = try name == "signed" ? tensor("values") : abs(tensor("values"))
            for block in [256, 100] {
                let coded = try ByteCoded(values, code: code, block: block)
                #expect(try coded.bytes.equals(tensor("\(name).\(block).bytes", .uint8)))
                #expect(try coded.absmax.equals(tensor("\(name).\(block).absmax")))
                #expect(try coded.decoded(code: code, block: block).equals(tensor("\(name).\(block).decoded")))
            }
        }
    }

    /// Groups as PEFT's LoRA+ makes them give its losses.
    @Test func loraPlusFollowsPEFT() throws {
        let json = try Fixture.json("optimizers/loraplus.json")
        let model = try Fixture.model(try #require(json["base"]?.stringValue))
        let folder = Fixture.root.appendingPathComponent("training/initial").path
        var method = try #require(try AdapterFiles.method(in: folder) as? LoRAConfiguration)
        method.rateRatio = 8
        let attached = try method.attach(to: model)
        try attached.load(from: folder, device: .cpu)
        try attached.setTrainable(true)
        let trained = attached.parameters.compactMap { name, slot in
            slot.tensor.map {
                TrainedParameter(
                    name: name, tensor: $0, rateFactor: method.rateFactor(of: name, shape: $0.shape, rate: Self.rate))
            }
        }
        #expect(Set(trained.map(\.rateFactor)) == [1, 8])
        let optimizer = try AdamW(ParameterGroup.decaying(trained, 0.1))
        let rows = try #require(try Fixture.json("training/data.json").arrayValue).prefix(8)
        let sequences = Fixture.sequences([
            "sequences": .array(rows.map { $0["ids"] ?? [] }), "labels": .array(rows.map { $0["labels"] ?? [] }),
        ])
        let theirs = (json["loss"]?.arrayValue ?? []).compactMap(\.doubleValue)
        for (step, expected) in theirs.enumerated() {
            let batch = TokenBatch(Array(sequences[step % 2 * 4..<step % 2 * 4 + 4]))
            let part = try NextToken(model).loss(batch, model.context(for: batch))
            for parameter in trained { parameter.clearGradient() }
            let mean = try part.sum / Double(part.targets)
            try mean.backward()
            try optimizer.step(rate: Self.rate)
            #expect(try Swift.abs(mean.item() - expected) <= 1e-5, "step \(step)")
        }
    }

    /// What is beyond the limit is written out and read back unchanged.
    @Test func pagesComeBack() throws {
        let memory = try PagedMemory(folder: NSTemporaryDirectory(), limit: 1 << 20)
        let tensors = try (0..<4).map { _ in try memory.zeros([400_000], dtype: .float32) }
        for (index, tensor) in tensors.enumerated() {
            #expect(try tensor.sum().item() == 0)
            try tensor.fill(Double(index + 1))
            memory.release(tensor)
        }
        for (index, tensor) in tensors.enumerated() { #expect(try tensor.mean().item() == Double(index + 1)) }
        let error = #expect(throws: TorchError.self) { try PagedMemory(folder: "/nowhere") }
        #expect(error?.message.contains("/nowhere") == true)
    }

    /// A page that found no room on the disk when it is written would end the process.
    @Test func pagesHaveTheirRoomFromTheStart() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-pages-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let memory = try PagedMemory(folder: folder.path)
        let tensor = try memory.zeros([1 << 20], dtype: .float32)
        // The file has no name; the process has it open.
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").map { "/proc/self/fd/\($0)" }
        let file = try #require(
            open.first { path in
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
                return target?.contains(folder.lastPathComponent) == true
            })
        var facts = stat()
        #expect(stat(file, &facts) == 0)
        #expect(Int(facts.st_size) == memory.size && Int(facts.st_blocks) * 512 >= memory.size)
        #expect(try tensor.sum().item() == 0)
    }

    private func pages() throws -> StateMemory {
        .paged(try PagedMemory(folder: NSTemporaryDirectory(), limit: 0))
    }
}
