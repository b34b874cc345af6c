import Foundation
import Testing

@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Losses over tokens against the Trainer's and ms-swift's (Scripts/fixtures/make_token_losses.py).
struct TokenLossTests {
    private let file: SafetensorsFile

    init() throws {
        file = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("token-losses/losses.safetensors").path)
    }

    private func tensor(_ name: String, _ dtype: DType = .float64) throws -> Tensor {
        try file.tensor(name, dtype: dtype, device: .cpu).tensor.cloned()
    }

    /// Hidden states [2 · 9, D], and rows and labels of what is predicted, as a flat batch has them.
    private func targets() throws -> (rows: [Int32], labels: [Int32]) {
        let labels: [Int64] = try tensor("labels", .int64).values()
        var (rows, wanted): ([Int32], [Int32]) = ([], [])
        for place in labels.indices where place % 9 > 0 && labels[place] >= 0 {
            rows.append(Int32(place) - 1)
            wanted.append(Int32(labels[place]))
        }
        return (rows, wanted)
    }

    @Test(
        arguments: [("smoothed", TokenLossForm.smoothed(0.15)), ("dynamic", .dynamic)],
        ["kernel", "composed", "logits"])
    func followsItsFormula(of loss: (name: String, form: TokenLossForm), way: String) throws {
        let (hidden, head) = (try tensor("hidden").reshaped([18, -1]).cloned(), try tensor("head"))
        try hidden.setRequiresGradient(true)
        try head.setRequiresGradient(true)
        let (places, labels) = try targets()
        let rows = try hidden.indexed(0, Tensor(places))
        func fused() throws -> TokenLosses {
            try linearCrossEntropy(rows, head, labels: Tensor(labels), chunk: 3, form: loss.form)
        }
        let losses =
            switch way {
            case "kernel": try fused()
            case "composed": try withComposedForms { try fused() }
            default: try crossEntropy(matmul(rows, head.transposed(0, 1)), labels: Tensor(labels), form: loss.form)
            }
        let mean = try losses.sum / Double(labels.count)
        try mean.backward()
        #expect(try abs(mean.item() - tensor("\(loss.name).loss").item()) <= 1e-6)
        #expect(try abs(losses.rows.sum().item() - losses.sum.item()) <= 1e-9)
        let gradient = try #require(hidden.gradient).reshaped([2, 9, -1])
        #expect(try relativeDifference(gradient, tensor("\(loss.name).hidden")) <= 1e-6)
        #expect(try relativeDifference(#require(head.gradient), tensor("\(loss.name).head")) <= 1e-6)
    }

    @Test func smoothedClasses() throws {
        let (hidden, head) = (try tensor("hidden"), try tensor("head"))
        try hidden.setRequiresGradient(true)
        try head.setRequiresGradient(true)
        let classes: [Int64] = try tensor("classes", .int64).values()
        let scores = try matmul(hidden.selected(1, 0), head.transposed(0, 1))
        let mean = try crossEntropy(scores, labels: Tensor(classes), form: .smoothed(0.15)).sum / Double(classes.count)
        try mean.backward()
        #expect(try abs(mean.item() - tensor("classes.loss").item()) <= 1e-6)
        #expect(try relativeDifference(#require(hidden.gradient), tensor("classes.hidden")) <= 1e-6)
        #expect(try relativeDifference(#require(head.gradient), tensor("classes.head")) <= 1e-6)
    }

    /// A head with an adapter, a bias or a cap makes its logits in parts: the same losses, hits and gradients.
    @Test(arguments: [TokenLossForm.crossEntropy, .smoothed(0.15), .dynamic])
    func headsInParts(form: TokenLossForm) throws {
        let (width, vocabulary, count) = (12, 37, 300)
        func head(bias: Bool) throws -> VocabularyHead {
            let head = VocabularyHead(
                width: width, vocabulary: vocabulary, bias: bias, initializer: .normal(deviation: 0.5))
            try head.materialize(dtype: .float32, device: .cpu, seed: 3)
            return head
        }
        let (bare, biased) = (try head(bias: false), try head(bias: true))
        let generator = try Generator(seed: 7)
        let values = try Tensor.zeros([count, width])
        try values.fillNormal(generator: generator)
        let labels = try Tensor((0..<count).map { Int32($0 * 7 % vocabulary) })
        let weights = try Tensor((0..<count).map { Float($0 % 3) })
        let context = ForwardContext(bounds: [0, Int32(count)])
        var found: [(losses: TokenLosses, gradient: Tensor)] = []
        for head in [bare, biased] {
            let rows = try values.cloned()
            try rows.setRequiresGradient(true)
            let losses = try head.crossEntropy(rows, labels: labels, weights: weights, form: form, context)
            try losses.sum.backward()
            found.append((losses, try #require(rows.gradient)))
        }
        #expect(try relativeDifference(found[1].losses.rows, found[0].losses.rows) <= 1e-5)
        #expect(try found[1].losses.hits.equals(found[0].losses.hits))
        #expect(try relativeDifference(found[1].gradient, found[0].gradient) <= 1e-5)
    }

    /// Noise on words lies within α / √(L D) of its sequence, fills that range evenly, and follows its key.
    @Test func noiseOnWords() throws {
        let (width, bounds): (Int, [Int32]) = (64, [0, 50, 250])
        let zeros = try Tensor.zeros([250, width])
        func noise(_ key: UInt64) throws -> Tensor { try zeros.noised(by: 5, bounds: bounds, key: key) }
        let first = try noise(1)
        #expect(try first.equals(noise(1)))
        #expect(try !first.equals(noise(2)))
        for (start, end) in zip(bounds, bounds.dropFirst()) {
            let length = Int(end - start)
            let limit = 5 / (Double(length * width)).squareRoot()
            let part = try first.narrowed(0, start: Int(start), length: length)
            let largest = try abs(part).max().item()
            #expect(largest <= limit * 1.000001 && largest > limit * 0.99)
            // Of a uniform distribution on [-a, a] the mean is 0 and the variance a² / 3.
            let count = Double(length * width)
            #expect(try Swift.abs(part.mean().item()) < 4 * limit / (3 * count).squareRoot())
            #expect(try Swift.abs(part.power(2).mean().item() / (limit * limit / 3) - 1) < 0.1)
        }
    }
}
