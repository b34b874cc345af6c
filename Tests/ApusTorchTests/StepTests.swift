import ApusTorchTesting
import Testing

@testable import ApusTorch

/// The kernels of texts that go on by one token each: products of few rows, and attention of one query.
struct StepTests {
    func random(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
        let x = try Tensor.empty(shape, dtype: .float32)
        try x.fillNormal(generator: Generator(seed: seed))
        return x
    }

    /// Sums in float32 of numbers that are exact: against float64, then rounded once.
    ///
    /// The matrix is a part of a wider one, so that what lies behind a row's end must not be read.
    @Test(arguments: [DType.bfloat16, .float16], [1, 2, 3, 4, 15, 16, 17, 40, 64, 65])
    func productsOfFewRowsAreRoundedOnce(dtype: DType, rows: Int) throws {
        try withoutGradients {
            for (number, (inputs, outputs)) in [(8, 1), (31, 12), (32, 49), (100, 130), (896, 97)].enumerated() {
                let seed = UInt64(number) * 3
                let x = try random([rows, inputs], seed).to(dtype)
                let wide = try Tensor.full([outputs, inputs + 5], .nan, dtype: dtype)
                let matrix = try wide.narrowed(1, start: 0, length: inputs)
                try matrix.copy(from: random([outputs, inputs], seed + 1).to(dtype))
                let bias = try random([outputs], seed + 2).to(dtype)
                for offset in [nil, bias] {
                    var exact = try matmul(x.to(.float64), matrix.to(.float64).transposed(0, 1))
                    if let offset { exact = try exact + offset.to(.float64) }
                    let sums = try linear(x.to(.float32), matrix, offset)
                    let most = try abs(exact).max().item()
                    #expect(try abs(sums.to(.float64) - exact).max().item() <= 2e-6 * most, "\(inputs) × \(outputs)")
                    guard rows <= 16 else { continue }
                    #expect(try linear(x, matrix, offset).equals(sums.to(dtype)), "\(inputs) × \(outputs)")
                }
            }
        }
    }

    /// Adapters of the type of the weights and of float32; the sum of both products is rounded once.
    @Test(arguments: [DType.bfloat16, .float16], [1, 5, 16, 40])
    func lowRankTermsOfFewRows(dtype: DType, rows: Int) throws {
        try withoutGradients {
            let (inputs, outputs, rank) = (96, 130, 8)
            let x = try random([rows, inputs], 1).to(dtype)
            let (matrix, bias) = (try random([outputs, inputs], 2).to(dtype), try random([outputs], 3).to(dtype))
            for type in [dtype, .float32] {
                let (a, b) = (try random([rank, inputs], 4).to(type), try random([outputs, rank], 5).to(type))
                func times(_ x: Tensor, _ w: Tensor) throws -> Tensor {
                    try matmul(x, w.to(.float64).transposed(0, 1))
                }
                let wide = try x.to(.float64)
                let exact = try times(wide, matrix) + bias.to(.float64) + times(times(wide, a), b) * 0.7
                let y = try loraLinear(x, matrix, bias, a: a, b: b, scale: 0.7, dropout: 0, key: 0)
                #expect(y.dtype == dtype)
                let bound = dtype == .bfloat16 ? 0x1p-8 : 0x1p-11
                let excess = try abs(y.to(.float64) - exact) - abs(exact) * bound
                #expect(try excess.max().item() <= 1e-4, "adapter in \(type)")
            }
        }
    }

    @Test func aBiasOfAnotherLengthIsRefused() throws {
        let (x, matrix) = (try random([2, 32], 1).to(.bfloat16), try random([9, 32], 2).to(.bfloat16))
        for length in [1, 8, 10] {
            let bias = try random([length], 3).to(.bfloat16)
            #expect(throws: TorchError.self) { try withoutGradients { try linear(x, matrix, bias) } }
        }
    }

    /// Also over gaps between sequences, by heads of other sizes, and where a sequence is longer than the window.
    @Test(arguments: FormTests.tolerances)
    func oneQueryOfEachSequence(tolerance: (dtype: DType, bound: Double)) throws {
        try withoutGradients {
            for (heads, shared, size, valueSize) in [(14, 2, 64, 64), (4, 4, 16, 32), (6, 1, 80, 16)] {
                let spans = SequenceSpans(starts: [0, 40, 52], lengths: [33, 1, 70])
                let q = try random([3, heads, size], 1).to(tolerance.dtype)
                let k = try random([130, shared, size], 2).to(tolerance.dtype)
                let v = try random([130, shared, valueSize], 3).to(tolerance.dtype)
                for (window, isCausal) in [(nil, true), (nil, false), (9, true), (200, true)] as [(Int?, Bool)] {
                    var options = AttentionOptions(scale: 0.3)
                    options.window = window
                    func attended() throws -> Tensor {
                        try attention(
                            q, k, v, queries: SequenceSpans([0, 1, 2, 3]), keys: spans, isCausal: isCausal, options)
                    }
                    let (kernel, composed) = (try attended(), try withComposedForms { try attended() })
                    #expect(kernel.shape == [3, heads, valueSize] && kernel.dtype == tolerance.dtype)
                    #expect(try FormTests.distance(kernel, composed) <= tolerance.bound)
                }
            }
        }
    }
}
