import ApusTorchTesting
import Foundation
import Testing

@testable import ApusTorch

/// Every result has the same bits on any number of threads, also where the runtime starts fewer than it was asked for.
///
/// The number of threads is read when a process starts, so each case runs in a process of its own.
struct ThreadTests {
    static let digestPath = ProcessInfo.processInfo.environment["APUS_TEST_DIGEST"]

    static let environments: [[String: String]] = [
        ["OMP_NUM_THREADS": "2"], ["OMP_NUM_THREADS": "3"], ["OMP_NUM_THREADS": "7"],
        ["OMP_NUM_THREADS": "2", "OMP_THREAD_LIMIT": "1"], ["OMP_NUM_THREADS": "7", "OMP_THREAD_LIMIT": "3"],
        ["OMP_NUM_THREADS": "2", "OMP_DYNAMIC": "true"], ["OMP_NUM_THREADS": "7", "OMP_DYNAMIC": "true"],
    ]

    @Test func everyNumberOfThreadsGivesTheSameBits() throws {
        let one = try digests(["OMP_NUM_THREADS": "1"])
        #expect(one.count > 160)
        for environment in Self.environments {
            let other = try digests(environment)
            #expect(other.count == one.count)
            let different = zip(one, other).filter { $0 != $1 }.map { String($0.0.prefix { $0 != ":" }) }
            #expect(different == [], "\(environment)")
        }
    }

    /// Runs `writesItsDigests` in a process with these variables.
    private func digests(_ variables: [String: String]) throws -> [String] {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-digest-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["--testing-library", "swift-testing", "--filter", "ThreadTests/writesItsDigests"]
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("OMP_") }
        environment["OMP_WAIT_POLICY"] = "passive"
        environment["APUS_TEST_DIGEST"] = path
        process.environment = environment.merging(variables) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    @Test(.enabled(if: digestPath != nil)) func writesItsDigests() throws {
        guard let path = Self.digestPath else { return }
        var lines: [String] = []
        for dtype in [DType.float32, .float64, .bfloat16, .float16] {
            for (name, tensor) in try results(dtype) { lines.append("\(dtype) \(name): \(try digest(tensor))") }
        }
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func digest(_ x: Tensor) throws -> UInt64 {
        try x.detached().withUnsafeBytes { bytes in
            bytes.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        }
    }

    /// Values and gradients of what training runs on, large enough to be shared out.
    private func results(_ dtype: DType) throws -> [(String, Tensor)] {
        var results: [(String, Tensor)] = []
        var seed: UInt64 = 0
        func random(_ shape: Int...) throws -> Tensor {
            seed += 1
            let wide = try Tensor.empty(shape, dtype: .float32)
            try wide.fillNormal(generator: Generator(seed: seed))
            let x = try wide.to(dtype)
            try x.setRequiresGradient(true)
            return x
        }
        func note(_ name: String, _ inputs: [Tensor], _ body: ([Tensor]) throws -> Tensor) throws {
            let y = try body(inputs)
            results.append((name, y))
            let direction = try Tensor.empty(y.shape, dtype: .float32)
            try direction.fillNormal(generator: Generator(seed: 99))
            try y.backward(direction.to(y.dtype))
            for (index, input) in inputs.enumerated() {
                guard let gradient = input.gradient else { continue }
                results.append(("\(name), gradient \(index)", gradient))
                input.clearGradient()
            }
        }
        let (tokens, width, wide) = (300, 192, 520)
        try note("linear", [random(tokens, width), random(wide, width), random(wide)]) {
            try linear($0[0], $0[1], $0[2])
        }
        // Few rows, few columns, next to nothing to sum: where libraries of products take other ways. In float64, the type
        // of proofs, MKL orders such sums by thread on AMD, whatever it is asked for.
        let small =
            dtype == .float64
            ? []
            : [
                (1, 192, 520), (2048, 192, 8), (2048, 64, 64), (64, 1024, 2), (17, 896, 33), (1000, 4, 500),
                (8, 2048, 16),
            ]
        for (rows, inputs, outputs) in small {
            try note("linear \(rows) × \(inputs) × \(outputs)", [random(rows, inputs), random(outputs, inputs)]) {
                try linear($0[0], $0[1], nil)
            }
        }
        let lora = try [random(tokens, width), random(wide, width), random(wide), random(8, width), random(wide, 8)]
        try note("loraLinear", lora) {
            try loraLinear($0[0], $0[1], $0[2], a: $0[3], b: $0[4], scale: 0.7, dropout: 0.1, key: 3)
        }
        for bits in [4, 8] {
            let matrix = try FusedOperation.matrix(bits: bits, on: .cpu, shape: [1040, 384])
            results += [("packed \(bits)", matrix.packed), ("absmax \(bits)", matrix.absmax)]
            results.append(("dequantized \(bits)", try matrix.dequantized(dtype)))
            if let nested = matrix.nested {
                results += [("nested absmax", nested.absmax), ("offset", try Tensor([nested.offset]))]
            }
            // MKL orders sums in float64 by thread, as above.
            if dtype == .float64 { continue }
            try note("linear in \(bits) bits", [random(tokens, 384), random(1040)]) {
                try linear($0[0], matrix, $0[1], dtype: dtype)
            }
            let low = try [random(tokens, 384), random(8, 384), random(1040, 8)]
            try note("loraLinear in \(bits) bits", low) {
                try loraLinear(
                    $0[0], matrix, nil, dtype: dtype, a: $0[1], b: $0[2], scale: 0.7, dropout: 0.1, key: 3)
            }
        }
        try note("rmsNorm", [random(tokens, width), random(width)]) { try rmsNorm($0[0], $0[1], epsilon: 1e-6) }
        try note("layerNorm", [random(tokens, width), random(width), random(width)]) {
            try layerNorm($0[0], $0[1], $0[2], epsilon: 1e-6)
        }
        try note("swiglu", [random(tokens, wide), random(tokens, wide)]) { try swiglu(gate: $0[0], up: $0[1]) }
        try note("gelu", [random(tokens, wide)]) { try gelu($0[0]) }
        try note("gelu by tanh", [random(tokens, wide)]) { try gelu($0[0], approximatesByTanh: true) }
        try note("tanh", [random(tokens, wide)]) { try tanh($0[0]) }
        try note("silu", [random(tokens, wide)]) { try silu($0[0]) }
        try note("exp", [random(tokens, wide)]) { try exp($0[0]) }
        try note("dropout", [random(tokens, wide)]) { try dropout($0[0], probability: 0.3, key: 5) }
        try note("sum", [random(tokens, wide)]) { try $0[0].sum() }
        try note("mean", [random(tokens, wide)]) { try $0[0].mean() }
        let angles = try withoutGradients { try random(tokens, 16).detached().to(.float32) }
        let (cosines, sines) = (try cos(angles), try sin(angles))
        try note("rotated", [random(tokens, 6, 32)]) { try rotated($0[0], cosines: cosines, sines: sines) }
        let bounds: [Int32] = [0, 90, 91, 300]
        let heads = try [random(tokens, 6, 32), random(tokens, 2, 32), random(tokens, 2, 32)]
        for chance in [0, 0.1] {
            try note("attention, dropout \(chance)", heads) {
                try attention(
                    $0[0], $0[1], $0[2], queryBounds: bounds, keyBounds: bounds, isCausal: true, scale: 0.2,
                    dropout: chance, key: 11)
            }
        }
        try note("attention with sinks", heads + [random(6)]) {
            try attention(
                $0[0], $0[1], $0[2], queries: SequenceSpans(bounds), keys: SequenceSpans(bounds), isCausal: true,
                AttentionOptions(scale: 0.2), sinks: $0[3])
        }
        for rows in [1, 3, 16, 40] {
            try results.append(
                ("linear of \(rows) rows", withoutGradients { try linear(random(rows, 300), random(130, 300), nil) }))
        }
        try results.append(
            (
                "attention of one query",
                withoutGradients {
                    try attention(
                        random(3, 6, 32), random(tokens, 2, 32), random(tokens, 2, 32), queryBounds: [0, 1, 2, 3],
                        keyBounds: bounds, isCausal: true, scale: 0.2)
                }
            ))
        let labels = try Tensor((0..<Int64(tokens)).map { $0 * 7 % Int64(wide) })
        try note("linearCrossEntropy", [random(tokens, width), random(wide, width)]) {
            try linearCrossEntropy($0[0], $0[1], labels: labels, chunk: 64).sum
        }
        try note("crossEntropySum", [random(tokens, wide)]) { try crossEntropySum($0[0], labels) }
        let wanted = try Tensor.ones([tokens, wide], dtype: dtype)
        try note("binaryCrossEntropySum", [random(tokens, wide)]) { try binaryCrossEntropySum($0[0], wanted) }
        let table = try Tensor((0..<Int32(tokens)).map { $0 % 17 })
        try note("embedding", [random(17, wide)]) { try embedding(table, $0[0]) }
        try results.append(("totalNorm", withoutGradients { try totalNorm([random(tokens, wide), random(wide)]) }))

        let weight = try random(tokens, wide).detached()
        let (gradient, zero) = (try random(tokens, wide).detached(), try Tensor.zeros([tokens, wide], dtype: dtype))
        let square = try zero.cloned()
        try fusedAdamW(
            parameters: [weight], gradients: [gradient], averages: [zero], squares: [square],
            steps: [Tensor.zeros([])], rate: 1e-3, beta1: 0.9, beta2: 0.95, decay: 0.1, epsilon: 1e-8)
        return results + [("fusedAdamW", weight), ("fusedAdamW, average", zero), ("fusedAdamW, square", square)]
    }
}
