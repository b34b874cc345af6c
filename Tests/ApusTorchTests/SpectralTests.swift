import Testing

@testable import ApusTorch

/// Random orders, Fourier transforms and the transpose of a convolution, against their definitions and PyTorch.
struct SpectralTests {
    /// `torch.randperm(n, generator=torch.Generator().manual_seed(777))`.
    @Test func ordersArePyTorchs() throws {
        func order(_ count: Int) throws -> [Int] {
            try Generator(seed: 777).permutation(of: count).values(as: Int.self)
        }
        #expect(try order(12) == [11, 7, 3, 8, 0, 2, 9, 6, 4, 10, 5, 1])
        let long = try order(100_000)
        #expect(Array(long.prefix(5)) == [85735, 8325, 37745, 38544, 55035])
        #expect(long.sorted() == Array(0..<100_000))
    }

    @Test func inverseTransformsAndDeviations() throws {
        let x = try Tensor([1, 2, 0, 0, -1, 3] as [Double], shape: [2, 3])
        let values = try inverseFourier(x).values(as: Double.self)
        let wanted = [5.0 / 6, -1.0 / 6, -1.0 / 6, 1.0 / 6, 1.0 / 6, 1.0 / 6]
        #expect(zip(values, wanted).allSatisfy { abs($0 - $1) <= 1e-15 })
        #expect(try abs(x.standardDeviation().item() - 1.4719601443879744) <= 1e-15)
    }

    /// The sums of the definition, of odd and even blocks, and their derivatives for both sides.
    @Test(arguments: [3, 4]) func correlationsAreTheirSums(block: Int) throws {
        let (rows, inputs, outputs) = (3, 2, 4)
        let x = try Tensor.zeros([rows, inputs, block], dtype: .float64)
        let w = try Tensor.zeros([outputs, inputs, block], dtype: .float64)
        let g = try Tensor.zeros([rows, outputs, block], dtype: .float64)
        let generator = try Generator(seed: 5)
        for tensor in [x, w, g] { try tensor.fillNormal(generator: generator) }
        let (xs, ws, gs) = try (x.values(as: Double.self), w.values(as: Double.self), g.values(as: Double.self))
        for tensor in [x, w] { try tensor.setRequiresGradient(true) }
        let y = try circularCorrelation(x, w)
        try (y * g).sum().backward()
        var (sums, forX, forW) = (
            [Double](repeating: 0, count: gs.count), [Double](repeating: 0, count: xs.count),
            [Double](repeating: 0, count: ws.count)
        )
        for t in 0..<rows {
            for m in 0..<outputs {
                for n in 0..<inputs {
                    for (k, i) in (0..<block).flatMap({ k in (0..<block).map { (k, $0) } }) {
                        let out = (t * outputs + m) * block + k
                        let (into, by) = (
                            (t * inputs + n) * block + i, (m * inputs + n) * block + (i - k + block) % block
                        )
                        sums[out] += xs[into] * ws[by]
                        forX[into] += gs[out] * ws[by]
                        forW[by] += gs[out] * xs[into]
                    }
                }
            }
        }
        func check(_ tensor: Tensor?, _ wanted: [Double]) throws {
            let values = try #require(tensor).values(as: Double.self)
            #expect(zip(values, wanted).allSatisfy { Swift.abs($0 - $1) <= 1e-12 })
        }
        try check(y.detached(), sums)
        try check(x.gradient, forX)
        try check(w.gradient, forW)
    }

    @Test func convolutionsAreTransposed() throws {
        let x = try Tensor([1, 2] as [Float], shape: [1, 1, 1, 2])
        let filter = try Tensor([1, 10, 100] as [Float], shape: [1, 1, 1, 3])
        let spread = try transposedConvolution(x, filter, stride: 2)
        #expect(spread.shape == [1, 1, 1, 5])
        #expect(try spread.values(as: Float.self) == [1, 10, 102, 20, 200])
    }
}
