import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

@Suite("Mixes, groups and packs against datasets, transformers and binpacking")
struct MixingTests {
    private let expected: JSONValue

    init() throws {
        expected = try expectedOrders()
    }

    private func cases(_ name: String) throws -> [JSONValue] { try #require(expected[name]?.arrayValue) }

    private func check(_ values: [Int], _ entry: JSONValue) throws {
        #expect(values.prefix(12).map { JSONValue.int($0) } == entry["head"]?.arrayValue)
        #expect(values.count == entry["count"]?.intValue)
        #expect(digest(values) == entry["digest"]?.intValue)
    }

    private func number(_ entry: JSONValue, _ key: String) throws -> Int { try #require(entry[key]?.intValue) }

    /// The lengths of make_datasets.py.
    private func lengths(_ count: Int, seed: Int) -> [Int32] {
        (0..<count).map { Int32(1 + (seed * 7919 + $0 * ($0 + 31) * 17 + $0 / 7) % 299) }
    }

    @Test func dataSetsAreMixedAsDatasetsDoes() throws {
        for entry in try cases("interleavings") {
            let folder = try TemporaryFolder()
            let sizes = try #require(entry["sizes"]?.arrayValue).compactMap(\.intValue)
            let files = try sizes.enumerated().map { number, size in
                let rows = (0..<size).map { #"{"query": "q", "response": "a", "id": \#(number * 10000 + $0)}"# }
                return try folder.write(rows.joined(separator: "\n"), to: "\(number).jsonl")
            }
            var loader = DatasetLoader()
            loader.shufflesTraining = entry["shuffle"] == true
            loader.interleaving = try Interleaving(
                probabilities: try #require(entry["probabilities"]?.arrayValue).compactMap(\.doubleValue),
                stopping: try #require(StoppingStrategy(rawValue: entry["stopping"]?.stringValue ?? "")))
            let train = try loader.load(files).train
            try check((0..<train.count).map { try #require(try train.row(at: $0)["id"]?.intValue) }, entry)
        }
    }

    @Test func mixesThatCannotEndAreRefused() throws {
        #expect(throws: DatasetError.self) { try Interleaving(probabilities: [0.5, 0.4], stopping: .allExhausted) }
        #expect(throws: DatasetError.self) { try Interleaving(probabilities: [1.5, -0.5], stopping: .allExhausted) }
        let mix = try Interleaving(probabilities: [0, 1], stopping: .allExhausted)
        #expect(throws: DatasetError.self) { try mix.order(of: [1, 1], seed: 0) }
        #expect(throws: DatasetError.self) { try mix.check(datasetCount: 3) }
        #expect(throws: DatasetError.self) {
            try Interleaving(probabilities: [0.5, 0.5], stopping: .firstExhausted).order(of: [1, 0], seed: 0)
        }
    }

    @Test func aBufferShufflesAsDatasetsDoes() throws {
        for entry in try cases("bufferShuffles") {
            var buffer = ShuffleBuffer<Int>(
                size: try number(entry, "size"), seed: UInt32(try number(entry, "seed")))
            var upstream = (0..<(try number(entry, "count"))).makeIterator()
            var order: [Int] = []
            while let next = buffer.next({ upstream.next() }) { order.append(next) }
            try check(order, entry)
        }
    }

    @Test func lengthsAreGroupedAsTransformersDoes() throws {
        for entry in try cases("lengthGroups") {
            let (count, seed) = (try number(entry, "items"), try number(entry, "seed"))
            let grouping = LengthGrouping(
                lengths: lengths(count, seed: seed), batchSize: try number(entry, "batch"))
            let order = EpochOrder(method: .torch, seed: UInt64(seed), grouping: grouping)
            try check(order.permutation(epoch: 0, count: count).map { Int($0) }, entry)
        }
    }

    @Test func packsAreThoseOfSwift() throws {
        for entry in try cases("packings") {
            let lengths = lengths(try number(entry, "items"), seed: try number(entry, "seed"))
            let packs = SamplePacking.packs(
                lengths: lengths, capacity: try number(entry, "capacity"), strategy: .binPacking)
            #expect(packs.count == entry["packs"]?.intValue)
            try check(packs.flatMap { $0.map(Int.init) + [-1] }, entry)
        }
    }

    @Test func packsInOrderAreFilledInOrder() {
        let packs = SamplePacking.packs(lengths: [3, 4, 2, 9, 1, 1, 8, 5], capacity: 8, strategy: .sequential)
        #expect(packs == [[0, 1], [2], [3], [4, 5], [6], [7]])
        // Without the sample of 9, 24 tokens are in 5 packs of 8.
        #expect(
            SamplePacking.report(of: packs, lengths: [3, 4, 2, 9, 1, 1, 8, 5], capacity: 8)
                == "packing: 8 samples in 6 packs: 5 of at most 8 tokens, 60.0 % full, and 1 of one sample that is longer "
                + "than 8 tokens")
        #expect(
            SamplePacking.report(of: [[0, 1], [2]], lengths: [3, 4, 5], capacity: 8)
                == "packing: 3 samples in 2 packs of at most 8 tokens, 75.0 % full")
        #expect(
            SamplePacking.report(of: [[0], [1]], lengths: [9, 9], capacity: 8)
                == "packing: 2 samples in 2 packs: 2 of one sample that is longer than 8 tokens")
        #expect(SamplePacking.packs(lengths: [], capacity: 8, strategy: .binPacking).isEmpty)
        let many = SamplePacking.packs(
            lengths: Array(repeating: 3, count: 2500), capacity: 9, strategy: .sequential)
        #expect(many.count == 834)
        #expect(many.joined().map { Int($0) } == Array(0..<2500))
    }

    @Test func aPlanOfPacksHasTheirSamples() throws {
        var plan = try BatchPlan(
            sampleCount: 3, batchSize: 2, epochs: 1, order: EpochOrder(method: .sequential, seed: 0),
            packs: [[0, 3], [1], [2, 4, 5]])
        #expect(plan.batches(ofStep: 0) == [[0, 3, 1]])
        #expect(plan.batches(ofStep: 1) == [[2, 4, 5]])
        #expect(plan.totalSteps == 2)
        var stream = try BatchPlan(streamedBatchSize: 2, accumulation: 2, steps: 5)
        #expect(stream.batches(ofStep: 1) == [[4, 5], [6, 7]])
        #expect(stream.epochsDone(afterSteps: 5) == 1)
        #expect(!stream.endsEpoch(afterSteps: 4))
    }

    /// Texts and weights that ms-swift's own functions gave.
    @Test func partsOfAnswersWeighWhatSwiftSays() throws {
        let file = packageRoot.appending(path: "Tests/Fixtures/datasets/loss_scales.json")
        let cases = try #require(try JSONValue(parsing: Data(contentsOf: file)).arrayValue)
        #expect(cases.count > 300)
        var repeated = 0
        for entry in cases {
            let scale = try #require(LossScale(rawValue: entry["chain"]?.stringValue ?? ""))
            let text = try #require(entry["text"]?.stringValue)
            var parts: [(String, Float)] = []
            for part in scale.modifiers.parts(of: text, content: nil, query: entry["query"]?.stringValue) {
                if part.text.isEmpty { continue }
                if let last = parts.last, last.1 == part.weight {
                    parts[parts.count - 1].0 += part.text
                } else {
                    parts.append((part.text, part.weight))
                }
            }
            // Where another such mark follows, ms-swift takes the whole rest for a part of the first.
            let marks = ["</think>", "</mm:think>", "<|channel>thought", "<think>"]
            if parts.first?.1 == 0, parts.count > 1, marks.contains(where: parts[1].0.hasPrefix) {
                repeated += 1
                continue
            }
            let made = JSONValue.array(parts.map { [.string($0.0), .double(Double($0.1))] })
            #expect(made == entry["parts"], "\(entry["chain"] ?? .null): \(text.debugDescription)")
        }
        #expect(repeated < 30)
    }
}
