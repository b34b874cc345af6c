import ApusMetrics
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Sentence encoders and rerankers against transformers, PEFT and the published formulas
/// (Scripts/fixtures/make_sentences.py).
struct SentenceParityTests {
    static let embedders = ["bert-embedding", "qwen2-embedding"]
    static let rerankers = ["bert-reranker", "qwen2-reranker"]

    /// One model of the fixtures with its groups.
    struct Case {
        let fixture: Fixture
        let path: String
        private let hasSegments: Bool

        init(_ name: String) throws {
            path = "sentences/\(name)"
            fixture = try Fixture(path)
            hasSegments = name.hasPrefix("bert")
        }

        func model(_ task: ModelTask) throws -> any TextModel {
            let model = try Models.registry.model(Fixture.json("\(path)/config.json"), for: task)
            try model.loadWeights(ModelWeights(folder: fixture.folder.path), dtype: .float32, device: .cpu)
            try model.setTrainable(true)
            return model
        }

        var pooling: SentencePooling.Mode {
            fixture.expected["pooling"]?.stringValue.flatMap(SentencePooling.Mode.init) ?? .mean
        }

        func number(_ key: String) -> Double { fixture.expected[key]?.doubleValue ?? .nan }

        /// All groups as one flat batch.
        ///
        /// - Parameter label: The key of a pair's label.
        func batch(anchored: Bool, label: String = "label") -> TokenBatch {
            func numbers(_ value: JSONValue?) -> [Int32] {
                (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
            }
            let groups = (fixture.expected["groups"]?.arrayValue ?? []).map { group in
                let texts = (group["texts"]?.arrayValue ?? []).map {
                    GroupedDataset.Text(ids: numbers($0["ids"]), segments: hasSegments ? numbers($0["segments"]) : nil)
                }
                let anchors = anchored ? 1 : 0
                let positives = group["positives"]?.intValue ?? 0
                return GroupedDataset.Group(
                    anchor: anchored ? texts[0] : nil, positives: Array(texts[anchors..<anchors + positives]),
                    negatives: Array(texts[(anchors + positives)...]),
                    label: group[label]?.doubleValue.map { Float($0) })
            }
            return TokenBatch(groups: groups, questions: groups.indices.map(Int32.init))
        }
    }

    /// Compares every gradient with the fixture's and clears it.
    func checkGradients(
        _ fixture: Fixture, _ slots: [(name: String, slot: ParameterSlot)], _ loss: String
    ) throws -> Double {
        let stored = Set(fixture.tensors.tensorNames)
        var worst = 0.0
        let wanted = try slots.filter { stored.contains("grad.\(loss).\($0.name)") }.map {
            ($0.name, $0.slot, try fixture.tensor("grad.\(loss).\($0.name)"))
        }
        #expect(!wanted.isEmpty)
        #expect(slots.count { $0.slot.tensor?.gradient != nil } == wanted.count, "\(loss)")
        let largest = try wanted.map { try abs($0.2).max().item() as Double }.max() ?? 0
        for (name, slot, expected) in wanted {
            let gradient = try #require(slot.tensor?.gradient, "\(name) has no gradient")
            slot.tensor?.clearGradient()
            // These shift all scores of a softmax alike, which has no effect: their gradients are rounding alone.
            guard !name.hasSuffix("key.bias"), loss != "listwise_reranker" || name != "classifier.bias" else {
                #expect(try difference(gradient, expected) <= 1e-6 * largest, "\(loss): \(name)")
                continue
            }
            let distance = try relativeDifference(gradient, expected)
            #expect(distance <= 1e-5, "\(loss): \(name)")
            worst = max(worst, distance)
        }
        return worst
    }

    func losses(_ test: Case) -> [(name: String, kind: SentenceLoss, label: String)] {
        [
            ("cosine_similarity", .cosineSimilarity, "label"),
            ("contrastive", .contrastive(margin: test.number("margin")), "near"),
            ("infonce", .infoNCE(temperature: test.number("temperature")), "label"),
        ]
    }

    @Test(arguments: embedders) func everyPoolingGivesTheSameVectors(name: String) throws {
        let test = try Case(name)
        let model = try test.model(.hiddenStates)
        let batch = test.batch(anchored: true)
        for mode in SentencePooling.Mode.allCases where mode != .weightedMean {
            let vectors = try SentenceEmbedder(model, SentencePooling([mode], normalizes: false))(
                batch, model.context(for: batch))
            #expect(try difference(vectors, test.fixture.tensor("vectors.\(mode.rawValue)")) <= 1e-5, "\(mode)")
        }
        let both = SentencePooling([.firstToken, .mean], normalizes: false)
        let wide = try both(model.hiddenStates(batch, model.context(for: batch)), batch)
        #expect(wide.shape == [batch.sequenceCount, 2 * model.sizes.width])
        let normalized = try SentenceEmbedder(model, SentencePooling([test.pooling], normalizes: true))(
            batch, model.context(for: batch))
        #expect(try difference(normalized, test.fixture.tensor("vectors.normalized")) <= 1e-5)
    }

    @Test(arguments: embedders) func lossesAndGradientsFollowTheFormulas(name: String) throws {
        let test = try Case(name)
        let model = try test.model(.hiddenStates)
        for normalizes in [false, true] {
            let embedder = SentenceEmbedder(model, SentencePooling([test.pooling], normalizes: normalizes))
            for (loss, kind, label) in losses(test) {
                let batch = test.batch(anchored: true, label: label)
                let part = try SentencePairs(embedder, kind).loss(batch, model.context(for: batch))
                let mean = try part.sum / Double(part.targets)
                let wanted = try #require(test.fixture.expected["losses"]?[loss]?.doubleValue)
                #expect(try abs(mean.item() - wanted) <= 1e-5, "\(loss)")
                try mean.backward()
                let worst = try checkGradients(test.fixture, model.parameters(), loss)
                print("parity \(name) \(loss): loss \(try abs(mean.item() - wanted)), gradients \(worst)")
            }
        }
    }

    @Test(arguments: embedders) func adaptersOfPEFTGiveTheSameVectors(name: String) throws {
        let test = try Case(name)
        let model = try test.model(.hiddenStates)
        let fixture = try Fixture("\(test.path)/lora")
        let configuration = try AdapterFiles.method(in: fixture.folder.path)
        #expect(configuration.base.taskType == "FEATURE_EXTRACTION")
        let attached = try configuration.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.load(from: fixture.folder.path, device: .cpu)
        try attached.setTrainable(true)
        let embedder = SentenceEmbedder(model, SentencePooling([test.pooling], normalizes: false))
        let batch = test.batch(anchored: true)
        let part = try SentencePairs(embedder, .infoNCE(temperature: test.number("temperature"))).loss(
            batch, model.context(for: batch))
        let outputs = try #require(part.outputs)
        #expect(try difference(outputs, fixture.tensor("vectors.\(test.pooling.rawValue)")) <= 1e-5)
        let mean = try part.sum / Double(part.targets)
        #expect(try abs(mean.item() - #require(fixture.expected["losses"]?["infonce"]?.doubleValue)) <= 1e-5)
        try mean.backward()
        let worst = try checkGradients(fixture, attached.parameters, "infonce")
        try attached.merge()
        let merged = try withoutGradients { try embedder(batch, model.context(for: batch)) }
        #expect(try difference(merged, outputs) <= 1e-5)
        print("parity \(name) with LoRA: gradients \(worst)")
    }

    /// What `all-linear` chooses on a bare model is what PEFT chooses, pooler included.
    @Test(arguments: embedders) func allLinearIsWhatPEFTTakes(name: String) throws {
        let test = try Case(name)
        var configuration = LoRAConfiguration()
        configuration.rank = 2
        let model = try test.model(.hiddenStates)
        let attached = try configuration.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        let stored = try SafetensorsFile(path: test.fixture.folder.path + "/lora/adapter_model.safetensors")
        #expect(Set(attached.parameters.map(\.name)) == Set(stored.tensorNames))
    }

    @Test(arguments: rerankers) func rerankersFollowTheFormulas(name: String) throws {
        let test = try Case(name)
        let model = try #require(try test.model(.sequenceClassification(labels: 1)) as? SequenceClassifier)
        let batch = test.batch(anchored: false)
        for (loss, isListwise) in [("pointwise_reranker", false), ("listwise_reranker", true)] {
            let part = try DocumentScores(model, isListwise: isListwise).loss(batch, model.context(for: batch))
            #expect(try difference(#require(part.outputs), test.fixture.tensor("scores")) <= 1e-5)
            let mean = try part.sum / Double(part.targets)
            let wanted = try #require(test.fixture.expected["losses"]?[loss]?.doubleValue)
            #expect(try abs(mean.item() - wanted) <= 1e-5, "\(loss)")
            try mean.backward()
            let worst = try checkGradients(test.fixture, model.parameters(), loss)
            print("parity \(name) \(loss): loss \(try abs(mean.item() - wanted)), gradients \(worst)")
        }
    }

    /// A batch whose questions have one document each teaches a listwise loss nothing, and breaks nothing.
    @Test func listsOfOneHaveNoLoss() throws {
        let test = try Case("bert-reranker")
        let model = try #require(try test.model(.sequenceClassification(labels: 1)) as? SequenceClassifier)
        let text = GroupedDataset.Text(ids: [3, 4, 5], segments: [0, 1, 1])
        let batch = TokenBatch(groups: [GroupedDataset.Group(positives: [text])], questions: [0])
        let part = try DocumentScores(model, isListwise: true).loss(batch, model.context(for: batch))
        #expect(part.targets == 0)
        #expect(try part.sum.item() == 0)
        try part.sum.backward()
    }

    /// The gradient of a vector of length zero is finite.
    @Test func aVectorOfZerosHasADirectionOfZeros() throws {
        let zeros = try Tensor.zeros([2, 3])
        try zeros.setRequiresGradient(true)
        let sum = try zeros.rowsNormalized().sum()
        try sum.backward()
        #expect(try sum.item() == 0)
        #expect(try #require(zeros.gradient).isFinite().to(.float32).mean().item() == 1)
    }
}

private let realFolders: (model: String, expected: String)? = {
    let environment = ProcessInfo.processInfo.environment
    guard let model = environment["APUS_SENTENCE_MODEL"], let expected = environment["APUS_SENTENCES"] else {
        return nil
    }
    return (model, expected)
}()

/// A real sentence encoder on STS-B against transformers (Scripts/parity/sentences.py).
///
/// Runs when APUS_SENTENCE_MODEL names the folder of the model and APUS_SENTENCES one with the expectations.
struct RealSentenceTests {
    @Test(.enabled(if: realFolders != nil, "APUS_SENTENCE_MODEL and APUS_SENTENCES are not set"))
    func vectorsAndSpearmanEqualTransformers() throws {
        let folders = try #require(realFolders)
        let config = try Fixture.parse("\(folders.model)/config.json")
        let model = try Models.registry.model(config, for: .hiddenStates)
        try model.loadWeights(ModelWeights(folder: folders.model), dtype: .float32, device: .cpu)
        let embedder = SentenceEmbedder(model, SentencePooling([.mean], normalizes: true))
        let expected = try Fixture.parse("\(folders.expected)/expected.json")
        let rows = try #require(expected["rows"]?.arrayValue)
        func vectors(_ side: Int) throws -> [[Double]] {
            try stride(from: 0, to: rows.count, by: 64).flatMap { start in
                let part = rows[start..<min(start + 64, rows.count)].map { row in
                    (row.arrayValue?[side].arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
                }
                let batch = TokenBatch(part)
                return try withoutGradients { try embedder(batch, model.context(for: batch)).rows() }
            }
        }
        let ours = try [vectors(0), vectors(1)]
        let file = try SafetensorsFile(path: "\(folders.expected)/expected.safetensors")
        var worst = 0.0
        for (side, name) in ["first", "second"].enumerated() {
            let theirs = try file.tensor(name, dtype: .float32, device: .cpu).tensor.rows()
            for (a, b) in zip(ours[side], theirs) { worst = zip(a, b).map { Swift.abs($0 - $1) }.reduce(worst, max) }
        }
        #expect(worst <= 1e-5)
        let scores = rows.compactMap { $0.arrayValue?[2].doubleValue }
        let spearman = try #require(
            try EmbeddingMetrics(left: ours[0], right: ours[1], labels: scores).values.first {
                $0.name == "spearman"
            }?.value)
        let wanted = try #require(expected["spearman"]?.doubleValue)
        #expect(Swift.abs(spearman - wanted) <= 1e-5)
        print("STS-B: \(rows.count) pairs, vectors differ by \(worst), Spearman \(spearman) and \(wanted)")
    }
}
