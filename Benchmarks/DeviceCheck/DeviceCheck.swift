import ApusJSON
import ApusTorch
import Foundation

/// Named checks of a device against the processor, and what it does a second; each item is a line of JSON.
///
/// usage: device-check PART [--device cpu|cuda] [--tiny] [--shape NAME] [--data FILE] [--batch N]
///                    [--steps N] [--item TITLE] [--checkpointing] [--architectures sm_80,sm_90]
///
/// `config` prints the config.json of a shape instead. On the processor the same table compares its kernels with composed
/// forms in float64. Exits with 1 where an item is not as it should be.
@main
struct DeviceCheck {
    static let parts: [String: @Sendable (Settings, inout Report) throws -> Void] = [
        "kernels": KernelCheck.run, "load": LoadCheck.run, "operations": OperationChecks.run,
        "optimizers": OptimizerChecks.run, "models": ModelChecks.run, "curve": CurveCheck.run,
        "ceilings": SpeedChecks.ceilings, "steps": SpeedChecks.steps, "generation": GenerationChecks.run,
    ]

    static func main() {
        do {
            let settings = try Settings(Array(CommandLine.arguments.dropFirst()))
            if settings.part == "config" {
                print(settings.shape.config.serialized())
                return
            }
            guard let part = parts[settings.part] else {
                throw Problem("no part \(settings.part); there are \(parts.keys.sorted().joined(separator: ", "))")
            }
            try settings.device.prepare()
            if settings.device == .cpu { Torch.keepHeap() }
            var report = Report(part: settings.part)
            try part(settings, &report)
            exit(report.hasFailures ? 1 : 0)
        } catch {
            FileHandle.standardError.write(Data("device-check: \(error)\n".utf8))
            exit(2)
        }
    }
}

struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What the command line asks for.
struct Settings {
    let part: String
    var device = Device.cpu
    /// Whether shapes are small enough for a processor in seconds.
    var isTiny = false
    var shape = Shape.all[0]
    var data: String?
    /// What the measured steps are called; nil for the shape's name.
    var item: String?
    var batch = 1
    var steps = 8
    var architectures = ["sm_80", "sm_90"]
    var checkpointsLayers = false

    init(_ words: [String]) throws {
        guard let first = words.first else { throw Problem("which part? See Docs/gpu.md.") }
        part = first
        var rest = words.dropFirst()
        func value(of name: String) throws -> String {
            guard let value = rest.popFirst() else { throw Problem("\(name) needs a value") }
            return value
        }
        while let word = rest.popFirst() {
            switch word {
            case "--device":
                switch try value(of: word) {
                case "cpu": device = .cpu
                case "cuda": device = .cuda(0)
                case let other: throw Problem("--device: got \(other), wanted cpu or cuda")
                }
            case "--tiny": isTiny = true
            case "--checkpointing": checkpointsLayers = true
            case "--shape":
                let name = try value(of: word)
                guard let found = Shape.all.first(where: { $0.name == name }) else {
                    throw Problem(
                        "--shape: got \(name), wanted one of \(Shape.all.map(\.name).joined(separator: ", "))")
                }
                shape = found
            case "--data": data = try value(of: word)
            case "--item": item = try value(of: word)
            case "--batch":
                guard let count = try Int(value(of: word)), count > 0 else { throw Problem("--batch: at least 1") }
                batch = count
            case "--architectures": architectures = try value(of: word).split(separator: ",").map(String.init)
            case "--steps":
                guard let count = try Int(value(of: word)), count > 2 else { throw Problem("--steps: more than 2") }
                steps = count
            default: throw Problem("\(word) is no option of it")
            }
        }
    }
}

/// Prints a line for each item at once, so that nothing is lost where a process is stopped.
struct Report {
    let part: String
    private(set) var hasFailures = false

    init(part: String) { self.part = part }

    /// Something that is right or wrong.
    mutating func check(_ item: String, _ isRight: Bool, _ figures: [(String, JSONValue)] = []) {
        if !isRight { hasFailures = true }
        write([("part", .string(part)), ("item", .string(item)), ("ok", .bool(isRight))] + figures)
    }

    /// A distance that is to be small.
    mutating func check(_ item: String, error: Double, bar: Double) {
        check(item, error <= bar, [("error", .double(error)), ("bar", .double(bar))])
    }

    /// Checks of one thing: an error that they end with is a line that is wrong, and others go on.
    mutating func attempt(_ item: String, _ body: (inout Report) throws -> Void) {
        do {
            try body(&self)
        } catch {
            check(item, false, [("said", .string("\(error)"))])
        }
    }

    /// Something that is measured.
    func tell(_ item: String, _ figures: [(String, JSONValue)]) {
        write([("part", .string(part)), ("item", .string(item))] + figures)
    }

    private func write(_ fields: [(String, JSONValue)]) {
        // JSON has no infinities; what is no number is no error of zero either.
        let line = fields.map { key, value in
            if case .double(let number) = value, !number.isFinite { return (key, JSONValue.string("\(number)")) }
            return (key, value)
        }
        var object = JSONObject()
        for (key, value) in line { object[key] = value }
        FileHandle.standardOutput.write(Data((JSONValue.object(object).serialized() + "\n").utf8))
    }
}

/// `‖a − b‖ / ‖b‖` in float64; infinite where a is not finite, and the norm of a itself where b is zero.
func distance(_ a: Tensor, _ b: Tensor) throws -> Double {
    try withoutGradients {
        guard a.shape == b.shape else { throw Problem("shapes differ: \(a.shape) and \(b.shape)") }
        let wanted = try b.to(.cpu).to(.float64)
        let norm = try totalNorm([wanted]).item()
        let difference = try totalNorm([a.to(.cpu).to(.float64) - wanted]).item()
        guard difference.isFinite else { return .infinity }
        return difference / (norm > 0 ? norm : 1)
    }
}

/// Whether the kernels compile, by CUDA's run-time compiler, which needs no device.
enum KernelCheck {
    static func run(_ settings: Settings, _ report: inout Report) throws {
        for architecture in settings.architectures {
            report.attempt("compiled for \(architecture)") { report in
                let bytes = try Device.compileKernels(for: architecture)
                report.check("compiled for \(architecture)", bytes > 0, [("bytes", .int(bytes))])
            }
        }
    }
}

/// Whether the device answers at all.
enum LoadCheck {
    static func run(_ settings: Settings, _ report: inout Report) throws {
        report.attempt("product") { report in
            let a = try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2], device: settings.device)
            let product: [Float] = try matmul(a, a).values()
            report.check("product", product == [7, 10, 15, 22], [("device", .string("\(settings.device)"))])
        }
        report.tell(
            "torch",
            [
                ("version", .string(Torch.version)), ("threads", .int(Torch.threads)),
                ("memory_gib", .double(Double(settings.device.memory?.total ?? 0) / 1_073_741_824)),
            ])
        if settings.device != .cpu {
            report.check("memory can be read", (settings.device.memory?.peak ?? 0) > 0)
            for dtype in [DType.float32, .bfloat16, .float16, .float64] {
                let note = settings.device.kernelNote(for: dtype)
                report.check("own kernels, \(dtype)", note == nil, [("note", .string(note ?? ""))])
            }
        }
    }
}
