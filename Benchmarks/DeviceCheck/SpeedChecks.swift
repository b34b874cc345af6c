import ApusJSON
import ApusLanguageModel
import ApusOptimizers
import ApusTorch
import ApusTraining
import Foundation

/// What the device does a second.
enum SpeedChecks {
    static func now() -> Double { ProcessInfo.processInfo.systemUptime }

    /// The device's bfloat16 products and copies, which other figures are shares of.
    static func ceilings(_ settings: Settings, _ report: inout Report) throws {
        report.attempt("bfloat16 product") { report in
            report.tell("bfloat16 product", [("tflops", .double(try productRate(settings) / 1e12))])
        }
        report.attempt("copy") { report in
            let count = settings.isTiny ? 1 << 20 : 1 << 31
            let from = try Tensor.ones([count], dtype: .bfloat16, device: settings.device)
            let to = try Tensor.empty([count], dtype: .bfloat16, device: settings.device)
            let seconds = try median(of: 10) {
                try to.copy(from: from)
                _ = try to.narrowed(0, start: 0, length: 1).item()
            }
            report.tell("copy", [("gb_per_second", .double(Double(count) * 4 / seconds / 1e9))])
        }
    }

    /// Floating-point operations a second of a large product of random numbers.
    private static func productRate(_ settings: Settings) throws -> Double {
        let size = settings.isTiny ? 256 : 8192
        func noise() throws -> Tensor {
            let row = try Tensor.empty([size, size], dtype: .float32)
            try row.fillNormal(generator: Generator(seed: 3))
            return try row.to(settings.device).to(.bfloat16)
        }
        let (a, b) = (try noise(), try noise())
        let repeats = 10
        let seconds = try median(of: 3) {
            var product: Tensor?
            for _ in 0..<repeats { product = try matmul(a, b) }
            _ = try product?.narrowed(0, start: 0, length: 1).sum().item()
        }
        return 2 * Double(size) * Double(size) * Double(size) * Double(repeats) / seconds
    }

    /// The median time of `body`, which waits for the device, after one time that is not counted.
    private static func median(of count: Int, _ body: () throws -> Void) throws -> Double {
        try body()
        let times = try (0..<count).map { _ in
            let start = now()
            try body()
            return now() - start
        }
        return times.sorted()[count / 2]
    }

    /// LoRA steps on the rows of a file, as Benchmarks/peers/hf_peft.py makes them.
    static func steps(_ settings: Settings, _ report: inout Report) throws {
        let peak = try productRate(settings)
        let batches = try batches(settings)
        let model = try TrainedModel(settings.shape.config, dtype: .bfloat16, device: settings.device, isQuick: true)
        let update = try UpdateStep(
            model.trained, optimizer: AdamW(ParameterGroup.decaying(model.trained, 0.1)), maximumNorm: 1)
        let objective = NextToken(model.model)
        var (seconds, losses): ([Double], [Double]) = ([], [])
        var work = 0.0
        var tokens = 0
        for step in 0..<settings.steps {
            let start = now()
            let batch = batches[step % batches.count]
            let context = try model.model.context(
                for: batch, isTraining: true, checkpointsLayers: settings.checkpointsLayers,
                randomKey: streamKey(42, UInt64(step)))
            let part = try objective.loss(batch, context)
            try update.accumulate(part.sum, targets: part.targets)
            losses.append(try update(rate: 1e-4, step: step + 1).loss)
            guard step >= 2 else { continue }
            seconds.append(now() - start)
            tokens += batch.tokens.count
            let bounds = batch.boundaries
            work += settings.shape.work(
                lengths: zip(bounds, bounds.dropFirst()).map { Int($1 - $0) }, targets: part.targets)
        }
        let total = seconds.reduce(0, +)
        let memory = settings.device.memory?.peak ?? ProcessMemory.peak
        report.check(
            settings.item ?? "LoRA, \(settings.shape.name)", losses.allSatisfy(\.isFinite),
            [
                ("tokens_per_second", .double(Double(tokens) / total)),
                ("step_milliseconds", .double(seconds.sorted()[seconds.count / 2] * 1000)),
                ("peak_gib", .double(Double(memory) / 1_073_741_824)),
                ("share_of_product_rate", .double(work / total / peak)),
                ("tokens_per_step", .double(Double(tokens) / Double(seconds.count))),
                ("first_loss", .double(losses[0])), ("last_loss", .double(losses[losses.count - 1])),
            ])
    }

    /// The rows of a file of Benchmarks/peers/make_data.py, `batch` together; without a file a small batch.
    private static func batches(_ settings: Settings) throws -> [TokenBatch] {
        guard let path = settings.data else { return [ModelChecks.batch] }
        let json = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: path)))
        let rows = (json.arrayValue ?? []).map { row in
            (
                ids: (row["ids"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) },
                isTarget: (row["labels"]?.arrayValue ?? []).map { $0.intValue != -100 }
            )
        }
        return stride(from: 0, to: rows.count, by: settings.batch).map {
            TokenBatch(Array(rows[$0..<min($0 + settings.batch, rows.count)]))
        }
    }
}

/// The memory of the process.
enum ProcessMemory {
    /// The most that was resident, in bytes; 0 where the system does not say.
    static var peak: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") }
        return (line?.split(separator: " ").dropLast().last.flatMap { Int($0) } ?? 0) * 1024
    }
}
