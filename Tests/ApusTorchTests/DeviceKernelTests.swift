import ApusTorchTesting
import Testing

@testable import ApusTorch

/// The kernels for CUDA, line for line, as threads of the processor, against the processor's own.
struct DeviceKernelTests {
    /// The operations that have one, or that are made of one that has.
    static let names = FusedOperation.all.map(\.name).filter { name in
        [
            "rmsNorm", "rotated", "swiglu", "dropout", "linearCrossEntropy", "linearTokenLosses", "four bits",
            "eight bits",
        ]
        .contains { name.contains($0) }
    }

    @Test(arguments: names, FormTests.tolerances)
    func valuesAndGradientsAgree(name: String, tolerance: (dtype: DType, bound: Double)) throws {
        let operation = try #require(FusedOperation.all.first { $0.name == name })
        let kernel = try operation.results(tolerance.dtype, .cpu, operation.fused)
        let ours = try withDeviceKernels { try operation.results(tolerance.dtype, .cpu, operation.fused) }
        for (ours, theirs) in zip(ours, kernel) {
            #expect(ours.shape == theirs.shape && ours.dtype == theirs.dtype)
            #expect(try FormTests.distance(ours, theirs) <= tolerance.bound)
        }
    }

    /// More elements than threads, none of them a multiple.
    @Test(arguments: FormTests.tolerances) func longRowsAgree(tolerance: (dtype: DType, bound: Double)) throws {
        let operations = [
            FusedOperation(
                "rmsNorm", [[3, 1001], [1001]], { try rmsNorm($0[0], $0[1], epsilon: 1e-6) }, formula: nil),
            FusedOperation("swiglu", [[40_001], [40_001]], { try swiglu(gate: $0[0], up: $0[1]) }, formula: nil),
        ]
        for operation in operations {
            let kernel = try operation.results(tolerance.dtype, .cpu, operation.fused)
            let ours = try withDeviceKernels { try operation.results(tolerance.dtype, .cpu, operation.fused) }
            for (ours, theirs) in zip(ours, kernel) {
                #expect(try FormTests.distance(ours, theirs) <= tolerance.bound, "\(operation.name)")
            }
        }
    }

    /// Of equal logits the first is the argmax, wherever they lie among the threads.
    @Test(arguments: FormTests.tolerances, [TokenLossForm.crossEntropy, .smoothed(0.1), .dynamic])
    func lossesOverAWideVocabularyAgree(tolerance: (dtype: DType, bound: Double), form: TokenLossForm) throws {
        let (rows, width, vocabulary) = (6, 16, 203)
        var table: [Float] = try FusedOperation.drawn([vocabulary, width], seed: 3).values()
        let x: [Float] = try FusedOperation.drawn([rows, width], seed: 4).values()
        // Ids 7 and 150 score alike and above all others in the first rows.
        for id in [7, 150] {
            for place in 0..<width { table[id * width + place] = x[place] * 3 }
        }
        let hidden = Array(x[..<width]) + Array(x[..<width]) + Array(x[(2 * width)...])
        let labels: [Int64] = [7, 150, 0, 202, 33, 64]
        func results() throws -> [Tensor] {
            let rows = try Tensor(hidden, shape: [rows, width]).to(tolerance.dtype)
            let weight = try Tensor(table, shape: [vocabulary, width]).to(tolerance.dtype)
            try rows.setRequiresGradient(true)
            try weight.setRequiresGradient(true)
            let losses = try linearCrossEntropy(rows, weight, labels: Tensor(labels), chunk: 4, form: form)
            try losses.sum.backward()
            return [
                losses.sum, losses.rows, losses.hits, try #require(rows.gradient), try #require(weight.gradient),
            ]
        }
        let (kernel, ours) = (try results(), try withDeviceKernels { try results() })
        for (index, (ours, theirs)) in zip(ours, kernel).enumerated() {
            #expect(try FormTests.distance(ours, theirs) <= tolerance.bound, "result \(index)")
        }
        let hits: [Float] = try ours[2].to(.float32).values()
        #expect(Array(hits[..<2]) == [1, 0])
    }

    /// What is no number stays so.
    @Test func aRowWithoutNumbersHasNoLoss() throws {
        for bad in [Float.nan, .infinity] {
            var values = [Float](repeating: 0.5, count: 2 * 64)
            values[40] = bad
            let x = try Tensor([1, 0, 0, 1] as [Float], shape: [2, 2])
            let weight = try Tensor(values, shape: [2, 64]).transposed(0, 1).contiguous()
            let losses = try withDeviceKernels { try linearCrossEntropy(x, weight, labels: Tensor([1, 1] as [Int64])) }
            let rows: [Float] = try losses.rows.values()
            #expect(rows[0].isNaN, "\(bad)")
        }
    }

    @Test(arguments: FormTests.tolerances.map(\.0), [4, 8]) func matricesInFewBitsAreTheSame(dtype: DType, bits: Int)
        throws
    {
        for shape in [[11, 13], [1, 1], [64, 96]] {
            let matrix = try FusedOperation.matrix(bits: bits, on: .cpu, shape: shape)
            let ours = try withDeviceKernels { try matrix.dequantized(dtype) }
            #expect(try ours.equals(matrix.dequantized(dtype)), "\(shape)")
        }
    }
}
