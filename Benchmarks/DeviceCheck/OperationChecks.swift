import ApusTorch
import ApusTorchTesting

/// Every fused operation in every type: value and gradients on the device against its composed form in float64 on the
/// processor, from the same rounded inputs.
enum OperationChecks {
    /// What rounding may do, relative to the norm.
    static let bars: [(DType, Double)] = [(.float32, 1e-5), (.bfloat16, 3e-2), (.float16, 4e-3), (.float64, 1e-10)]

    static func run(_ settings: Settings, _ report: inout Report) throws {
        for operation in FusedOperation.all + (settings.isTiny ? [] : large) {
            for (dtype, bar) in bars {
                report.attempt("\(operation.name), \(dtype)") { report in
                    try poison(settings.device)
                    let wanted = try withComposedForms {
                        try operation.results(.float64, .cpu, rounding: dtype, operation.fused)
                    }
                    let ours = try operation.results(dtype, settings.device, operation.fused)
                    let errors = try zip(ours, wanted).map { try distance($0, $1) }
                    report.check("\(operation.name), \(dtype)", error: errors.max() ?? .infinity, bar: bar)
                }
            }
        }
        for (count, chance) in [(1, 0.5), (1000, 0.1), (40_001, 0.9)] {
            report.attempt("the processor's dropout mask, \(count)") { report in
                let ones = try Tensor.ones([count])
                let wanted = try dropout(ones, probability: chance, key: 12345)
                let ours = try dropout(ones.to(settings.device), probability: chance, key: 12345).to(.cpu)
                report.check("the processor's dropout mask, \(count)", try ours.equals(wanted))
            }
        }
        for (dtype, _) in bars {
            report.attempt("the processor's random numbers, \(dtype)") { report in
                let (ours, wanted) = (try noise(dtype, settings.device), try noise(dtype, .cpu))
                let areEqual = try zip(ours, wanted).allSatisfy { try $0.to(.cpu).equals($1) }
                report.check("the processor's random numbers, \(dtype)", areEqual)
            }
        }
        report.attempt("rows written into a cache") { report in
            let ours = try written(settings.device).to(.cpu)
            report.check("rows written into a cache", try ours.equals(written(.cpu)))
        }
        // With several blocks of keys to each query, whose gradients meet.
        for operation in large.filter({ $0.name.contains("attention") }) where !settings.isTiny {
            report.attempt("\(operation.name), the same bits again") { report in
                let first = try operation.results(.bfloat16, settings.device, operation.fused)
                let areEqual = try (0..<5).allSatisfy { _ in
                    let again = try operation.results(.bfloat16, settings.device, operation.fused)
                    return try zip(first, again).allSatisfy { try $0.equals($1) }
                }
                report.check("\(operation.name), the same bits again", areEqual)
            }
        }
    }

    /// Draws from both distributions.
    private static func noise(_ dtype: DType, _ device: Device) throws -> [Tensor] {
        let even = try Tensor.empty([37, 11], dtype: dtype, device: device)
        try even.fillUniform(-1, 1, generator: Generator(seed: 5))
        let normal = try Tensor.empty([37, 11], dtype: dtype, device: device)
        try normal.fillNormal(generator: Generator(seed: 6))
        return [even, normal]
    }

    /// Every third row of a matrix overwritten, the last first.
    private static func written(_ device: Device) throws -> Tensor {
        let matrix = try Tensor.zeros([1000, 64], device: device)
        let rows = stride(from: 999, through: 0, by: -3).map { Int64($0) }
        let source = try FusedOperation.drawn([rows.count, 64], seed: 8).to(device)
        try matrix.copyRows(Tensor(rows, device: device), from: source)
        return matrix
    }

    /// Leaves numbers that are none in memory that is handed out next, for operations that do not write all they return.
    private static func poison(_ device: Device) throws {
        var held: [Tensor] = []
        for count in [16, 256, 4096, 1 << 16, 1 << 20] {
            for _ in 0..<4 { held.append(try Tensor.full([count], .nan, device: device)) }
        }
        held = []
    }

    /// Sizes of real models, none of them a multiple of a block.
    private static let large: [FusedOperation] = [
        FusedOperation(
            "rmsNorm, large", [[67, 3585], [3585]], { try rmsNorm($0[0], $0[1], epsilon: 1e-6) }, formula: nil),
        FusedOperation(
            "swiglu, large", [[67, 4865], [67, 4865]], { try swiglu(gate: $0[0], up: $0[1]) }, formula: nil),
        FusedOperation(
            "rotated, large", [[67, 7, 128]],
            {
                let turns = (0..<67 * 64).map { (place: Int) -> Float in Float((place % 64 + 1) * (place / 64)) * 0.013
                }
                // On the processor, as a device's functions round otherwise.
                let angles = try Tensor(turns, shape: [67, 64])
                let device = $0[0].device
                return try rotated($0[0], cosines: cos(angles).to(device), sines: sin(angles).to(device))
            }, formula: nil),
        FusedOperation(
            "linearCrossEntropy, large", [[67, 64], [32_003, 64]],
            {
                let ids = (0..<67).map { (row: Int) -> Int64 in Int64(row * 7919 % 32_003) }
                let labels = try Tensor(ids, device: $0[0].device)
                return try linearCrossEntropy($0[0], $0[1] * 0.1, labels: labels, chunk: 48).sum
            }, formula: nil),
        FusedOperation("dropout, large", [[67, 4865]], { try dropout($0[0], probability: 0.1, key: 9) }, formula: nil),
        FusedOperation(
            "causal attention, large", [[1500, 8, 64], [1500, 2, 64], [1500, 2, 64]],
            {
                let spans = SequenceSpans([0, 1, 8, 1031, 1500])
                return try attention(
                    $0[0], $0[1], $0[2], queries: spans, keys: spans, isCausal: true, AttentionOptions(headSize: 64))
            }, formula: nil),
    ]
}
