import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusOptimizers
import ApusQuantization
import ApusRunLog
import ApusTorch
import ApusTraining
import ApusWeights
import Foundation

/// Times LoRA steps on given token ids, as `Benchmarks/peers/hf_peft.py` does for the Python programs.
///
/// usage: StepBench MODEL_FOLDER DATA.json STEPS PRECISION(bfloat16|float32) [BATCH] [WARMUP] [nf4|fp4|int8] [--rank=8] [--profile]
///
/// Weights are drawn where the folder has a config.json alone.
///
/// With `--profile` the last step is taken apart: what each operation took, and each product alone.
@main
struct StepBench {
    static func main() throws {
        let arguments = CommandLine.arguments.filter { !$0.hasPrefix("--") }
        let isProfiled = CommandLine.arguments.contains("--profile")
        guard arguments.count >= 5, let steps = Int(arguments[3]), let dtype = DType(rawValue: arguments[4]) else {
            print(
                "usage: StepBench MODEL_FOLDER DATA.json STEPS bfloat16|float32 [BATCH] [WARMUP] [nf4|fp4|int8] "
                    + "[--rank=8] [--profile]")
            exit(2)
        }
        let batch = arguments.count > 5 ? Int(arguments[5]) ?? 4 : 4
        let warmup = arguments.count > 6 ? Int(arguments[6]) ?? 2 : 2
        let folder = arguments[1]
        let config = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(folder)/config.json")))
        let rows = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: arguments[2]))).arrayValue ?? []
        let data = TokenizedDataset(
            rows.map { row in
                TokenizedDataset.Sample(
                    ids: (row["ids"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) },
                    isTrained: (row["labels"]?.arrayValue ?? []).map { $0.intValue != -100 })
            })
        Torch.keepHeap()
        let model = try Models.registry.model(config)
        var lora = LoRAConfiguration()
        if let word = CommandLine.arguments.first(where: { $0.hasPrefix("--rank=") }), let rank = Int(word.dropFirst(7))
        {
            lora.rank = rank
        }
        lora.alpha = 32
        lora.dropout = 0.05
        let attached = try lora.attach(to: model)
        if FileManager.default.fileExists(atPath: "\(folder)/model.safetensors") {
            try load(model, from: folder, dtype, try settings(arguments.count > 7 ? arguments[7] : nil, dtype))
        } else {
            try model.materialize(dtype: dtype, device: .cpu, seed: 42)
        }
        let weights = model.modules().reduce(0) { bytes, part in
            bytes + part.module.slots().parameters.reduce(0) { $0 + ($1.tensor?.byteCount ?? 0) }
                + (((part.module as? Linear)?.storage as? QuantizedWeight)?.byteCount ?? 0)
        }
        try attached.materialize(dtype: .float32, device: .cpu, seed: 42)
        try attached.setTrainable(true)
        let trained = attached.parameters.compactMap { name, slot in
            slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
        }
        let optimizer = try AdamW(ParameterGroup.decaying(trained, 0.1))
        var plan = try BatchPlan(
            sampleCount: data.count, batchSize: batch, maximumSteps: steps,
            order: EpochOrder(method: .sequential, seed: 0))

        var (seconds, tokens, losses): ([Double], [Int], [Double]) = ([], [], [])
        var firstStep = 0.0
        func take(_ step: Int) throws {
            let started = ProcessInfo.processInfo.systemUptime
            let samples = plan.batches(ofStep: step)[0].map { data.sample($0) }
            let micro = TokenBatch(samples.map { ($0.ids, $0.isTrained) })
            let context = try model.context(for: micro, isTraining: true, randomKey: streamKey(42, UInt64(step), 0))
            let part = try NextToken(model).loss(micro, context)
            let loss = try part.sum / Double(part.targets)
            try loss.backward()
            _ = try clipGradients(of: trained, to: 1).item()
            try optimizer.step(rate: 1e-4)
            for parameter in trained { parameter.tensor.clearGradient() }
            losses.append(try loss.item())
            seconds.append(ProcessInfo.processInfo.systemUptime - started)
            tokens.append(micro.tokens.count)
        }
        for step in 0..<steps - (isProfiled ? 1 : 0) {
            try take(step)
            if step == 0 { firstStep = secondsSinceStart() }
        }
        if isProfiled { return try tell { try take(steps - 1) } }
        let timed = Double(tokens.dropFirst(warmup).reduce(0, +)) / seconds.dropFirst(warmup).reduce(0, +)
        let report: JSONValue = [
            "peer": "apus", "precision": .string(dtype.rawValue), "tokens_per_second": .double(timed),
            "seconds_to_first_step": .double(firstStep), "weights_gib": .double(Double(weights) / 1_073_741_824),
            "peak_gib": .double(Double(ResidentMemory.peak ?? 0) / 1_073_741_824),
            "step_seconds": .array(seconds.map(JSONValue.double)), "losses": .array(losses.map(JSONValue.double)),
        ]
        print(report.serialized())
    }

    static func load(
        _ model: any TextModel, from folder: String, _ dtype: DType, _ quantization: QuantizationSettings?
    ) throws {
        let store = try ModelWeights(folder: folder)
        try model.loadWeights(
            store, dtype: dtype, device: .cpu,
            matrices: quantization.map { quantization in
                MatrixReader { name, layer, isWhole in
                    guard !isWhole, layer.layout == .outputsFirst else { return nil }
                    let matrix = try store.tensor(name, dtype: dtype, device: .cpu).tensor
                    defer { store.forget(name) }
                    return try QuantizedWeight(matrix, as: quantization, name: name)
                }
            })
    }

    /// Prints what operations take in a step.
    static func tell(_ step: () throws -> Void) throws {
        func usage() -> rusage {
            var usage = rusage()
            #if canImport(Darwin)
                getrusage(RUSAGE_SELF, &usage)
            #else
                getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            #endif
            return usage
        }
        func processor(_ usage: rusage) -> (user: Double, system: Double) {
            func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
            return (seconds(usage.ru_utime), seconds(usage.ru_stime))
        }
        var (before, after) = (usage(), usage())
        var elapsed = 0.0
        let profile = try Profile.of(measuresProducts: true) {
            before = usage()
            let started = ProcessInfo.processInfo.systemUptime
            try step()
            elapsed = ProcessInfo.processInfo.systemUptime - started
            after = usage()
        }
        let entries: [JSONValue] = profile.entries.map {
            [
                "name": .string($0.name), "shapes": .string($0.shapes), "calls": .int($0.calls),
                "seconds": .double($0.seconds), "operations": .double($0.operations), "alone": .double($0.alone),
            ]
        }
        let report: JSONValue = [
            "seconds": .double(elapsed), "user_seconds": .double(processor(after).user - processor(before).user),
            "system_seconds": .double(processor(after).system - processor(before).system),
            "page_faults": .int(after.ru_minflt - before.ru_minflt), "threads": .int(Torch.threads),
            "entries": .array(entries),
        ]
        print(report.serialized())
    }

    /// Doubly quantised four bits as `apus sft --quant_method bnb` makes them, or eight.
    static func settings(_ word: String?, _ dtype: DType) throws -> QuantizationSettings? {
        guard let word else { return nil }
        guard let type = FourBitType(rawValue: word) else { return QuantizationSettings(.eightBits, computeType: nil) }
        return QuantizationSettings(
            .fourBits(type, block: QuantizationSettings.standardBlock, isDouble: true),
            computeType: QuantizationSettings.standardComputeType(of: dtype))
    }

    /// Seconds since this process was started, by the clock of the system.
    static func secondsSinceStart() -> Double {
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")"),
            let ticks = Double(stat[stat.index(after: end)...].split(separator: " ")[19])
        else { return .nan }
        return ProcessInfo.processInfo.systemUptime - ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
