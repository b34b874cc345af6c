import Foundation
import Testing

@testable import ApusTorch

/// What fused operations do beyond their formulas, which `FormTests` proves.
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

    @Test(arguments: [3, 100]) func linearCrossEntropyCountsHitsInAnyChunks(chunk: Int) throws {
        let labels = try Tensor([3, 0, 30, 12, 12, 7, 1] as [Int64])
        let (x, weight) = (try random([7, 10], 1), try random([31, 10], 2))
        let guesses: [Int] = try matmul(x, weight.transposed(0, 1)).argmax(1).values()
        let hits = try zip(guesses, labels.values(as: Int.self)).filter { $0 == $1 }.count
        let losses = try linearCrossEntropy(x, weight, labels: labels, chunk: chunk)
        #expect(try Int(losses.hits.sum().item()) == hits)
        #expect(try difference(losses.rows.sum(), losses.sum) < 1e-4)
        #expect(try difference(losses.sum, crossEntropySum(matmul(x, weight.transposed(0, 1)), labels)) < 1e-4)
    }

    @Test func aLabelThatIsNoIdIsNeverPassedOver() throws {
        let (x, weight) = (try Tensor.ones([2, 3]), try Tensor.ones([5, 3]))
        for label in [-1, 5] as [Int64] {
            #expect(throws: TorchError.self) {
                try linearCrossEntropy(x, weight, labels: Tensor([0, label]))
            }
        }
    }

    @Test func attentionRefusesWhatDoesNotFit() throws {
        let (q, k) = (try random([6, 4, 8], 1), try random([6, 2, 8], 2))
        func message(
            _ queries: [Int32] = [0, 6], _ keys: SequenceSpans = SequenceSpans([0, 6]), isCausal: Bool = true,
            biases: Tensor? = nil, sinks: Tensor? = nil, _ change: (inout AttentionOptions) -> Void = { _ in }
        ) -> String {
            var options = AttentionOptions(headSize: 8)
            change(&options)
            do {
                _ = try attention(
                    q, k, k, queries: SequenceSpans(queries), keys: keys, isCausal: isCausal, options, biases: biases,
                    sinks: sinks)
                return ""
            } catch { return "\(error)" }
        }
        #expect(message() == "")
        #expect(message([0, 5]).contains("do not fit 6 queries"))
        #expect(message([0, 3, 6]).contains("2 sequences of queries and 1 of keys"))
        #expect(message([0, 6], SequenceSpans([0, 7])).contains("end at 6 and 7"))
        #expect(message([0, 2, 6], SequenceSpans(starts: [0, 1], lengths: [2, 4])).contains("do not follow"))
        #expect(message([0, 6], SequenceSpans([0, 5])).contains("6 queries and 5 keys"))
        #expect(message([0, 6], SequenceSpans([0, 5]), isCausal: false) == "")
        #expect(message { $0.window = 0 }.contains("window of 0"))
        #expect(message { $0.softCap = 0 }.contains("soft cap"))
        #expect(message { $0.dropout = 1 }.contains("probability"))
        #expect(try message(sinks: Tensor.ones([2])).contains("one for each of 4 heads"))
        #expect(message { $0.slopes = [1, 2] }.contains("2 slopes for 4 heads"))
        let buckets = DistanceBuckets(count: 8, ofBothSides: true)
        #expect(message { $0.buckets = buckets }.contains("together"))
        #expect(try message(biases: Tensor.ones([8, 4])).contains("together"))
        #expect(try message(biases: Tensor.ones([8, 2])) { $0.buckets = buckets }.contains("[8, 4]"))
        #expect(
            try message(biases: Tensor.ones([2, 4])) { $0.buckets = DistanceBuckets(count: 2, ofBothSides: true) }
                .contains("cannot share out"))
    }

    /// Many small gradients are not lost beside a sum that has grown large.
    @Test func theHeadsGradientIsSummedInFloat32() throws {
        let rows = 2048
        let (x, weight) = (try Tensor.ones([rows, 1], dtype: .bfloat16), try Tensor.zeros([2, 1], dtype: .bfloat16))
        try weight.setRequiresGradient(true)
        let labels = try Tensor(Array(repeating: Int64(0), count: rows))
        try linearCrossEntropy(x, weight, labels: labels, chunk: 4).sum.backward()
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

    @Test func aCheckpointedPartMayHoldParametersAndFail() throws {
        let (x, w) = (try random([3, 6], 1), try random([6, 6], 2))
        try tanh(linear(x, w)).sum().backward()
        let wanted = try [x, w].map { try #require($0.gradient).cloned() }
        for input in [x, w] { input.clearGradient() }
        try checkpointed(x) { try tanh(linear($0, w)) }.sum().backward()
        for (input, gradient) in zip([x, w], wanted) {
            #expect(try difference(#require(input.gradient), gradient) < 1e-6)
        }
        let error = #expect(throws: TorchError.self) {
            _ = try checkpointed(w) { try matmul($0, Tensor.zeros([2, 2])) }
        }
        #expect(error?.message.contains("6x6") == true)
    }

    /// In a process of its own: other tests make tensors meanwhile.
    @Test func tenThousandStepsLeakNothing() async {
        await #expect(processExitsWith: .exitCode(0)) { exit(try FusedTests().leak()) }
    }

    /// What is left behind: 1 are tensors, 2 is memory, 0 is nothing.
    private func leak() throws -> Int32 {
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
        guard Torch.liveTensors == tensors else { return 1 }
        // One leaked matrix a step would be 160 MB.
        return try residentBytes() - memory < 8 << 20 ? 0 : 2
    }

    func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 4096
    }
}
