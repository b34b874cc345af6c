import Foundation
import Testing

@testable import ApusTorch
@testable import ApusWeights

/// Attention as models of transformers compute it, values and gradients (Scripts/fixtures/make_attention.py).
struct AttentionParityTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var isCausal = true
        let options: AttentionOptions

        var testDescription: String { name }
    }

    static func gemma2(window: Int?) -> AttentionOptions {
        var options = AttentionOptions(scale: 0.4, window: window)
        options.softCap = 2.5
        return options
    }

    /// Of 6 heads: those of 4 and every other of 8.
    static var bloom: AttentionOptions {
        var options = AttentionOptions(headSize: 8)
        options.slopes = [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]
        return options
    }

    static func t5(ofBothSides: Bool) -> AttentionOptions {
        var options = AttentionOptions(scale: 1)
        options.buckets = DistanceBuckets(count: 16, reach: 24, ofBothSides: ofBothSides)
        return options
    }

    static let cases = [
        Case(name: "gemma2", options: gemma2(window: nil)), Case(name: "gemma2-window", options: gemma2(window: 4)),
        Case(name: "gemma2-late", options: gemma2(window: 4)), Case(name: "bloom", options: bloom),
        Case(name: "t5-encoder", isCausal: false, options: t5(ofBothSides: true)),
        Case(name: "t5-decoder", options: t5(ofBothSides: false)),
    ]

    @Test(arguments: cases, [DType.float64, .float32]) func valuesAndGradients(of test: Case, dtype: DType) throws {
        let file = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("attention/\(test.name).safetensors").path)
        func tensor(_ name: String) throws -> Tensor {
            try file.tensor(name, dtype: .float64, device: .cpu).tensor
        }
        let names = ["q", "k", "v"] + (test.options.buckets == nil ? [] : ["biases"])
        let inputs = try names.map { name in
            let input = try tensor(name).to(dtype)
            try input.setRequiresGradient(true)
            return input
        }
        let (queries, keys) = (Int32(inputs[0].shape[0]), Int32(inputs[1].shape[0]))
        let y = try attention(
            inputs[0], inputs[1], inputs[2], queries: SequenceSpans([0, queries]), keys: SequenceSpans([0, keys]),
            isCausal: test.isCausal, test.options, biases: inputs.count > 3 ? inputs[3] : nil)
        try y.backward(tensor("direction").to(dtype))
        // BLOOM takes its slopes off positions, which differ from distances by a rounding.
        let bound = dtype == .float64 ? 1e-6 : 1e-5
        func distance(_ ours: Tensor, _ theirs: Tensor) throws -> Double {
            try withoutGradients {
                try abs(ours.to(.float64) - theirs).max().item() / Swift.max(1, abs(theirs).max().item())
            }
        }
        #expect(try distance(y, tensor("y")) <= bound)
        for (name, input) in zip(names, inputs) {
            #expect(try distance(#require(input.gradient), tensor("gradient.\(name)")) <= bound, "\(name)")
        }
    }
}
