import Foundation
import Testing

@testable import ApusTorch

/// Each fused operation against its plain form: values, gradients, and finite differences in float64.
struct FusedTests {
    func random(_ shape: [Int], _ seed: UInt64, dtype: DType = .float32) throws -> Tensor {
        let x = try Tensor.empty(shape, dtype: dtype)
        try x.fillNormal(generator: Generator(seed: seed))
        try x.setRequiresGradient(true)
        return x
    }

    func difference(_ a: Tensor, _ b: Tensor) throws -> Double {
        try withoutGradients { try abs(a.to(.float64) - b.to(.float64)).max().item() }
    }

    /// Values and gradients of `fused` equal those of `plain` on the same inputs.
    func expectEqual(
        _ inputs: [Tensor], tolerance: Double = 2e-5, fused: ([Tensor]) throws -> Tensor,
        plain: ([Tensor]) throws -> Tensor, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        func run(_ body: ([Tensor]) throws -> Tensor) throws -> (Tensor, [Tensor]) {
            for input in inputs { input.clearGradient() }
            let y = try body(inputs)
            let direction = try Tensor.empty(y.shape, dtype: y.dtype)
            try direction.fillNormal(generator: Generator(seed: 99))
            try (y * direction).sum().backward()
            return (y, try inputs.map { try #require($0.gradient, "no gradient").cloned() })
        }
        let (a, gradientsA) = try run(fused)
        let (b, gradientsB) = try run(plain)
        #expect(try difference(a, b) <= tolerance, sourceLocation: sourceLocation)
        for (x, y) in zip(gradientsA, gradientsB) {
            let scale = try max(1, abs(y).max().item())
            #expect(try difference(x, y) / scale <= tolerance, sourceLocation: sourceLocation)
        }
    }

    /// The gradient of `body` in float64 against central differences.
    func expectGradient(
        _ inputs: [Tensor], _ body: ([Tensor]) throws -> Tensor, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for input in inputs { input.clearGradient() }
        try body(inputs).sum().backward()
        for input in inputs {
            let analytic: [Double] = try #require(input.gradient).values()
            let values: [Double] = try input.values()
            for index in stride(from: 0, to: values.count, by: max(1, values.count / 7)) {
                func value(_ step: Double) throws -> Double {
                    var moved = values
                    moved[index] += step
                    let replaced = try Tensor(moved, shape: input.shape)
                    return try withoutGradients {
                        try body(inputs.map { $0 === input ? replaced : $0 }).sum().item()
                    }
                }
                let numeric = try (value(1e-6) - value(-1e-6)) / 2e-6
                #expect(
                    Swift.abs(numeric - analytic[index]) <= 1e-5 + 1e-3 * Swift.abs(numeric),
                    sourceLocation: sourceLocation)
            }
        }
    }

    @Test func linearEqualsItsPlainForm() throws {
        let inputs = try [random([7, 12], 1), random([5, 12], 2), random([5], 3)]
        try expectEqual(inputs) {
            try linear($0[0], $0[1], $0[2])
        } plain: {
            try matmul($0[0], $0[1].transposed(0, 1)) + $0[2]
        }
        try expectGradient([random([3, 4], 1, dtype: .float64), random([5, 4], 2, dtype: .float64)]) {
            try linear($0[0], $0[1])
        }
    }

    @Test(arguments: [0.0, 0.3]) func loraLinearEqualsItsPlainForm(probability: Double) throws {
        let inputs = try [
            random([9, 12], 1), random([10, 12], 2), random([10], 3), random([4, 12], 4), random([10, 4], 5),
        ]
        try expectEqual(inputs) {
            try loraLinear($0[0], $0[1], $0[2], a: $0[3], b: $0[4], scale: 0.7, dropout: probability, key: 42)
        } plain: {
            let kept = try dropout($0[0], probability: probability, key: 42)
            let base = try matmul($0[0], $0[1].transposed(0, 1)) + $0[2]
            return try base + matmul(matmul(kept, $0[3].transposed(0, 1)), $0[4].transposed(0, 1)) * 0.7
        }
        let wide = try [(3, 4), (5, 4), (2, 4), (5, 2)].enumerated().map {
            try random([$1.0, $1.1], UInt64($0), dtype: .float64)
        }
        try expectGradient(wide) {
            try loraLinear($0[0], $0[1], nil, a: $0[2], b: $0[3], scale: 2, dropout: probability, key: 7)
        }
    }

    @Test func rmsNormEqualsItsPlainForm() throws {
        let inputs = try [random([6, 37], 1), random([37], 2)]
        try expectEqual(inputs) {
            try rmsNorm($0[0], $0[1], epsilon: 1e-6)
        } plain: {
            let variance = try $0[0].power(2).mean(-1, keepAxis: true) + 1e-6
            return try $0[0] * variance.power(-0.5) * $0[1]
        }
        try expectGradient([random([2, 19], 1, dtype: .float64), random([19], 2, dtype: .float64)]) {
            try rmsNorm($0[0], $0[1], epsilon: 1e-6).power(2)
        }
    }

    @Test func swigluEqualsItsPlainForm() throws {
        let inputs = try [random([6, 40], 1), random([6, 40], 2)]
        try expectEqual(inputs) {
            try swiglu(gate: $0[0] * 9, up: $0[1])
        } plain: {
            try silu($0[0] * 9) * $0[1]
        }
        try expectGradient([random([3, 5], 1, dtype: .float64), random([3, 5], 2, dtype: .float64)]) {
            try swiglu(gate: $0[0], up: $0[1])
        }
    }

    @Test func rotaryEmbeddingEqualsItsPlainForm() throws {
        let angles = try withoutGradients { try random([5, 3], 4).detached() }
        let (c, s) = (try cos(angles), try sin(angles))
        try expectEqual([random([5, 2, 6], 1)]) {
            try rotated($0[0], cosines: c, sines: s)
        } plain: {
            let a = try $0[0].narrowed(2, start: 0, length: 3)
            let b = try $0[0].narrowed(2, start: 3, length: 3)
            let (c, s) = (try c.unsqueezed(1), try s.unsqueezed(1))
            return try concatenated([a * c - b * s, b * c + a * s], axis: 2)
        }
    }

    /// Attention by its formula, one sequence after the other, with an explicit mask.
    func plainAttention(_ q: Tensor, _ k: Tensor, _ v: Tensor, _ bounds: [Int32], causal: Bool, scale: Double) throws
        -> Tensor
    {
        let groups = q.shape[1] / k.shape[1]
        let parts = try zip(bounds, bounds.dropFirst()).map { start, end in
            let (start, length) = (Int(start), Int(end - start))
            func heads(_ x: Tensor, _ repeats: Int) throws -> Tensor {
                let part = try x.narrowed(0, start: start, length: length).transposed(0, 1)
                return try stacked(Array(repeating: part, count: repeats), axis: 1)
                    .reshaped([-1, length, x.shape[2]])
            }
            var scores = try matmul(heads(q, 1), heads(k, groups).transposed(1, 2)) * scale
            if causal {
                let positions = try Tensor.arange(0..<length)
                let later = try positions.unsqueezed(1).isLess(than: positions.unsqueezed(0))
                scores = try scores.masked(by: later, with: -.infinity)
            }
            return try matmul(softmax(scores), heads(v, groups)).transposed(0, 1)
        }
        return try concatenated(parts)
    }

    @Test(arguments: [true, false]) func attentionEqualsItsPlainForm(causal: Bool) throws {
        let bounds: [Int32] = [0, 4, 5, 12]
        let inputs = try [random([12, 4, 8], 1), random([12, 2, 8], 2), random([12, 2, 8], 3)]
        try expectEqual(inputs) {
            try attention($0[0], $0[1], $0[2], queryBounds: bounds, keyBounds: bounds, isCausal: causal, scale: 0.35)
        } plain: {
            try plainAttention($0[0], $0[1], $0[2], bounds, causal: causal, scale: 0.35)
        }
    }

    @Test func lateQueriesSeeTheWholePast() throws {
        let (q, k, v) = (try random([9, 2, 8], 1), try random([9, 2, 8], 2), try random([9, 2, 8], 3))
        let whole = try attention(q, k, v, queryBounds: [0, 9], keyBounds: [0, 9], isCausal: true, scale: 0.3)
        for length in [1, 4] {
            let late = try attention(
                q.narrowed(0, start: 9 - length, length: length), k, v, queryBounds: [0, Int32(length)],
                keyBounds: [0, 9], isCausal: true, scale: 0.3)
            #expect(try difference(late, whole.narrowed(0, start: 9 - length, length: length)) < 1e-6)
        }
    }

    @Test(arguments: [3, 100]) func linearCrossEntropyEqualsItsPlainForm(chunk: Int) throws {
        let labels = try Tensor([3, 0, 30, 12, 12, 7, 1] as [Int64])
        let weights = try Tensor([1, 0.5, 1, 2, 1, 0, 1] as [Float])
        let inputs = try [random([7, 10], 1), random([31, 10], 2)]
        try expectEqual(inputs) {
            try linearCrossEntropy($0[0], $0[1], labels: labels, rowWeights: weights, chunk: chunk).loss
        } plain: {
            let all = try logSoftmax(matmul($0[0], $0[1].transposed(0, 1)))
            return try -(all.gathered(1, labels.unsqueezed(1)).squeezed(1) * weights).sum()
        }
        let (_, correct) = try linearCrossEntropy(inputs[0], inputs[1], labels: labels, chunk: chunk)
        let guesses: [Int] = try matmul(inputs[0], inputs[1].transposed(0, 1)).argmax(1).values()
        let hits = try zip(guesses, labels.values(as: Int.self)).filter { $0 == $1 }.count
        #expect(try Int(correct.item()) == hits)
        #expect(throws: TorchError.self) {
            try linearCrossEntropy(inputs[0], inputs[1], labels: Tensor([3, 0, 31, 12, 12, 7, 1] as [Int64]))
        }
    }

    /// Many small gradients are not lost beside a sum that has grown large.
    @Test func theHeadsGradientIsSummedInFloat32() throws {
        let rows = 2048
        let (x, weight) = (try Tensor.ones([rows, 1], dtype: .bfloat16), try Tensor.zeros([2, 1], dtype: .bfloat16))
        try weight.setRequiresGradient(true)
        let labels = try Tensor(Array(repeating: Int64(0), count: rows))
        try linearCrossEntropy(x, weight, labels: labels, chunk: 4).loss.backward()
        // Each row gives ½ to one class and takes it from the other.
        #expect(try #require(weight.gradient).values(as: Double.self) == [-1024, 1024])
    }

    @Test func dropoutKeepsTheRightShareAndRepeats() throws {
        let x = try Tensor.ones([100, 1000])
        let y = try dropout(x, probability: 0.25, key: 5)
        let kept = try Double(y.values(as: Float.self).filter { $0 != 0 }.count) / 100_000
        #expect(Swift.abs(kept - 0.75) < 0.005)
        #expect(try Swift.abs(y.mean().item() - 1) < 0.01)
        #expect(try y.equals(dropout(x, probability: 0.25, key: 5)))
        #expect(try !y.equals(dropout(x, probability: 0.25, key: 6)))
        #expect(throws: TorchError.self) { try dropout(x, probability: 1, key: 0) }
    }

    @Test func fusedOperationsFollowTheirPlainFormInBFloat16() throws {
        let (x, w) = (try random([64, 96], 1), try random([96], 2))
        let narrow = try rmsNorm(x.to(.bfloat16), w.to(.bfloat16), epsilon: 1e-6)
        #expect(try difference(narrow, rmsNorm(x, w, epsilon: 1e-6)) < 0.06)
        let gated = try swiglu(gate: x.to(.bfloat16), up: x.to(.bfloat16))
        #expect(try difference(gated, swiglu(gate: x, up: x)) < 0.15)
    }

    @Test func aCheckpointedPartHasTheSameGradients() throws {
        let w = try random([6, 6], 2)
        try expectEqual([random([3, 6], 1), w]) { inputs in
            try checkpointed(inputs[0]) { try tanh(linear($0, w)) }
        } plain: {
            try tanh(linear($0[0], $0[1]))
        }
        let error = #expect(throws: TorchError.self) {
            _ = try checkpointed(w) { try matmul($0, Tensor.zeros([2, 2])) }
        }
        #expect(error?.message.contains("6x6") == true)
    }

    @Test func tenThousandStepsLeakNothing() throws {
        let (x, w) = (try random([64, 64], 1), try random([64, 64], 2))
        func run(_ steps: Int) throws {
            for _ in 0..<steps {
                w.clearGradient()
                try swiglu(gate: linear(x, w), up: x).power(2).sum().backward()
            }
        }
        try run(500)
        let (tensors, memory) = (Torch.liveTensors, try residentBytes())
        try run(10_000)
        #expect(Torch.liveTensors == tensors)
        // One leaked matrix a step would be 160 MB.
        #expect(try residentBytes() - memory < 8 << 20)
    }

    func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 4096
    }
}
