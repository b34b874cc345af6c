import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining

/// Short runs whose losses and final weights are kept for each family of processors, to the last bit.
///
/// A change that should not change numbers leaves them as they are. On a family that is not in the table the losses are
/// compared with those of another within rounding, and what belongs into the table is printed.
struct GoldenCurveTests {
    static let runs: [(name: String, dtype: DType, isLoRA: Bool)] = [
        ("full float32", .float32, false), ("lora float32", .float32, true), ("full bfloat16", .bfloat16, false),
        ("lora bfloat16", .bfloat16, true), ("full float16", .float16, false), ("lora float16", .float16, true),
    ]

    @Test func runsRepeatTheirCurves() throws {
        let family = Self.processorFamily
        for (name, dtype, isLoRA) in Self.runs {
            let run = try TinyRun(dtype: dtype, isLoRA: isLoRA, steps: 12)
            #expect(try run() == .finished)
            let weights = try Self.digest(run.trained)
            let losses = run.losses
            guard let golden = GoldenCurves.all[family]?[name] else {
                print("golden curve: \"\(family)\" \"\(name)\": (\(losses), \(weights))")
                guard let other = GoldenCurves.all.values.first?[name]?.losses else { continue }
                let bound = dtype == .float32 ? 1e-5 : 0.03
                #expect(zip(losses, other).allSatisfy { abs($0 - $1) <= bound }, "\(name)")
                continue
            }
            #expect(losses == golden.losses, "\(name)")
            #expect(weights == golden.weights, "\(name): the weights are others")
        }
    }

    static func digest(_ parameters: [TrainedParameter]) throws -> UInt64 {
        var hash: UInt64 = 14_695_981_039_346_656_037
        for parameter in parameters {
            try parameter.tensor.detached().withUnsafeBytes { bytes in
                for byte in bytes { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
            }
        }
        return hash
    }

    /// The maker and what decides which code multiplies.
    static var processorFamily: String {
        let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        func value(_ key: String) -> [String] {
            let line = info.split(separator: "\n").first { $0.hasPrefix(key) } ?? ""
            return line.split(separator: ":").dropFirst().joined().split(separator: " ").map(String.init)
        }
        let flags = Set(value("flags"))
        let known = ["amx_bf16", "avx512_fp16", "avx512_bf16", "avx512f", "avx2", "fma"]
        return ([value("vendor_id").joined()] + known.filter(flags.contains)).joined(separator: " ")
    }
}
