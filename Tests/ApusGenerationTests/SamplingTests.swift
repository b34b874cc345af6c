import ApusLanguageModel
import Foundation
import Testing

@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusTorch
@testable import ApusWeights

/// What is left to draw from, against the logits processors of transformers (Scripts/fixtures/make_generation.py).
struct SamplingTests {
    let file = try? GenerationFixture.json("processors.json")

    static func sampling(_ chain: JSONValue) -> Sampling {
        var sampling = Sampling()
        sampling.temperature = chain["temperature"]?.doubleValue ?? 1
        sampling.topK = chain["top_k"]?.intValue
        sampling.topP = chain["top_p"]?.doubleValue
        sampling.minP = chain["min_p"]?.doubleValue
        sampling.processors.repetitionPenalty = chain["repetition_penalty"]?.doubleValue ?? 1
        return sampling
    }

    /// Fewer tokens that can come than `top_k` asks for.
    @Test func fewAllowedTokens() throws {
        var sampling = Sampling()
        sampling.topK = 50
        let scores = try Tensor((0..<400).map { Float($0 % 7) })
        for draw in 0..<20 as Range<UInt64> {
            let token = try sampling.token(scores, at: .init(prompt: [1], answer: []), draw: draw, among: [3, 300, 77])
            #expect([3, 300, 77].contains(token))
        }
        // Processors that forbid all that is allowed.
        sampling.processors.suppressed = [3, 77, 300]
        for temperature in [0, 1.0] {
            sampling.temperature = temperature
            let token = try sampling.token(scores, at: .init(prompt: [1], answer: []), draw: 1, among: [3, 300, 77])
            #expect([3, 300, 77].contains(token))
        }
        sampling.processors.suppressed = (0..<390).map(Int32.init)
        #expect(try sampling.token(scores, at: .init(prompt: [1], answer: []), draw: 1) >= 390)
    }

    /// Nothing can be chosen by what is no number, nor where nothing is allowed.
    @Test(arguments: [0, 1.0]) func scoresThatAreNoNumbers(temperature: Double) throws {
        var sampling = Sampling()
        sampling.temperature = temperature
        let nothing = -Float.infinity
        let cases: [(Int?, [Float])] = [
            (nil, [0, Float.nan, 1]), (2, [Float.infinity, 0, 1]), (nil, [nothing, nothing]),
        ]
        for (topK, scores) in cases {
            sampling.topK = topK
            #expect(throws: ModelError.self, "\(scores)") {
                try sampling.token(Tensor(scores), at: .init(prompt: [1], answer: []), draw: 1)
            }
        }
        #expect(try sampling.token(Tensor([nothing, 3]), at: .init(prompt: [1], answer: []), draw: 1) == 1)
    }

    /// Scores over such a temperature have no room in float32: the likeliest token is all that is left.
    @Test(arguments: [0x1p-1063, 1e-45, 1e-40, 1e-38]) func theSmallestTemperatures(temperature: Double) throws {
        var sampling = Sampling()
        sampling.temperature = temperature
        for topK in [nil, 3] as [Int?] {
            sampling.topK = topK
            for scores in [[1, 9, 3, 2], [-9, -1, -3, -2], [-5, 0, -1, -2]] as [[Float]] {
                for draw in 0..<20 as Range<UInt64> {
                    let place = SamplingPlace(prompt: [1], answer: [])
                    #expect(try sampling.token(Tensor(scores), at: place, draw: draw) == 1)
                }
            }
        }
    }

    @Test func chainsLeaveTheTokensOfTransformers() throws {
        let chains = file?["chains"]?.arrayValue ?? []
        let ids = (file?["ids"]?.arrayValue ?? []).map { row in
            (row.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        let tensors = try GenerationFixture.tensors("processors.safetensors")
        let scores = try tensors.tensor("scores", dtype: .float32, device: .cpu).tensor
        #expect(chains.count == 15 && ids.count == 4)
        for (number, chain) in chains.enumerated() {
            let expected = try tensors.tensor("chain.\(number)", dtype: .float32, device: .cpu).tensor
            for row in ids.indices {
                let wanted: [Float] = try expected.selected(0, row).values()
                let got = try Self.sampling(chain).scores(
                    scores.selected(0, row), at: .init(prompt: ids[row], answer: []))
                #expect(Self.areEqual(got, wanted), "chain \(chain.serialized()), row \(row)")
            }
        }
    }

    @Test func topKKeepsAllThatEqualTheLast() throws {
        let tensors = try GenerationFixture.tensors("processors.safetensors")
        let ties = try tensors.tensor("ties", dtype: .float32, device: .cpu).tensor
        let expected = try tensors.tensor("ties.top_k7", dtype: .float32, device: .cpu).tensor
        var sampling = Sampling()
        sampling.topK = 7
        for row in 0..<2 {
            let wanted: [Float] = try expected.selected(0, row).values()
            let got = try sampling.scores(ties.selected(0, row), at: .init(prompt: [1], answer: []))
            #expect(got == wanted)
        }
    }

    /// The frequencies of many draws are the probabilities.
    @Test func drawsFollowTheProbabilities() throws {
        let scores = try Tensor([Float(log(0.5)), Float(log(0.3)), Float(log(0.15)), Float(log(0.05))])
        var sampling = Sampling()
        sampling.topP = 0.96
        var counts = [0, 0, 0, 0]
        for draw in 0..<20_000 {
            counts[Int(try sampling.token(scores, at: .init(prompt: [0], answer: []), draw: UInt64(draw)))] += 1
        }
        for (count, share) in zip(counts, [0.5, 0.3, 0.15, 0.05]) {
            #expect(abs(Double(count) / 20_000 - share) < 0.012)
        }
        sampling.topP = 0.9
        for draw in 0..<2000 {
            #expect(try sampling.token(scores, at: .init(prompt: [0], answer: []), draw: UInt64(draw)) != 3)
        }
    }

    @Test func greedyTakesTheBest() throws {
        let scores = try Tensor([Float(0.1), 3, -1, 2.9])
        var sampling = Sampling()
        sampling.temperature = 0
        #expect(try sampling.token(scores, at: .init(prompt: [0], answer: []), draw: 0) == 1)
        sampling.processors.suppressed = [1]
        #expect(try sampling.token(scores, at: .init(prompt: [0], answer: []), draw: 0) == 3)
    }

    /// The same infinities, and numbers within the rounding of fp32.
    static func areEqual(_ a: [Float], _ b: [Float]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || abs($0 - $1) <= 1e-6 * max(1, abs($1)) }
    }
}

extension Sampling {
    /// The scores of all tokens that are left, −∞ for the others.
    func scores(_ logits: Tensor, at place: SamplingPlace) throws -> [Float] {
        var values: [Float] = try logits.values()
        processors.process(&values, at: place)
        let left = try candidates(Tensor(values))
        var result = Array(repeating: -Float.infinity, count: values.count)
        for (id, score) in zip(left.ids, left.scores) { result[Int(id)] = score }
        return result
    }
}
