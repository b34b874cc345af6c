import Foundation

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// A tiny model with what `transformers` computes from it (Scripts/fixtures/make_models.py).
struct Fixture {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    let folder: URL
    let expected: JSONValue
    let tensors: SafetensorsFile

    init(_ path: String) throws {
        folder = Self.root.appendingPathComponent(path)
        expected = try Self.json("\(path)/expected.json")
        tensors = try SafetensorsFile(path: folder.appendingPathComponent("expected.safetensors").path)
    }

    static func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Data(contentsOf: root.appendingPathComponent(path)))
    }

    static func parse(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: path)))
    }

    static func model(
        _ name: String, config: String = "config.json", dtype: DType = .float32, plan: LayerPlan? = nil
    ) throws -> CausalLanguageModel {
        let json = try json("models/\(name)/\(config)")
        let model = try Models.registry.model(plan?.expanded(json) ?? json)
        let store = try ModelWeights(folder: root.appendingPathComponent("models/\(name)").path)
        try model.loadWeights(plan.map { PlannedStore(store, plan: $0) } ?? store, dtype: dtype, device: .cpu)
        return model
    }

    func tensor(_ name: String) throws -> Tensor { try tensors.tensor(name, dtype: .float32, device: .cpu).tensor }

    /// The fixture's sequences as one flat batch, or one of them.
    func batch(_ only: Int? = nil) -> TokenBatch {
        TokenBatch(Self.sequences(expected, only))
    }

    static func sequences(_ json: JSONValue, _ only: Int? = nil) -> [(ids: [Int32], isTarget: [Bool])] {
        let ids = json["sequences"]?.arrayValue ?? []
        let labels = json["labels"]?.arrayValue ?? []
        return zip(ids, labels).enumerated().filter { only == nil || $0.offset == only }.map { _, pair in
            (
                (pair.0.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) },
                (pair.1.arrayValue ?? []).map { $0.intValue != -100 }
            )
        }
    }
}

/// The largest absolute difference of two tensors.
func difference(_ a: Tensor, _ b: Tensor) throws -> Double {
    try withoutGradients { try abs(a.to(.float64) - b.to(.float64)).max().item() }
}

/// The largest absolute value.
func magnitude(_ x: Tensor) throws -> Double { try withoutGradients { try abs(x).max().item() } }

/// The largest difference relative to the largest value of `b`, over whole tensors.
func relativeDifference(_ a: Tensor, _ b: Tensor) throws -> Double {
    try difference(a, b) / max(1e-12, magnitude(b))
}

extension CausalLanguageModel {
    /// Logits of every position and the loss over all targets, by the ways training takes.
    func outputs(_ batch: TokenBatch, checkpoints: Bool = false) throws -> (logits: Tensor, loss: Tensor) {
        let context = try context(for: batch, checkpointsLayers: checkpoints)
        let hidden = try hiddenStates(batch, context)
        let rows = try hidden.indexed(0, Tensor(batch.targets.rows))
        let loss = try head.crossEntropy(rows, labels: Tensor(batch.targets.labels), context).sum
        return (try logits(hidden, context), try loss / Double(batch.targets.count))
    }
}
