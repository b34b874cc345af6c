package import ApusJSON
package import ApusNN
package import ApusTorch
package import ApusWeights

/// `W x + b + (W ⊙ B A) x`: a change of high rank, since it has the base matrix in it.
///
/// Huang et al. 2025, <https://openreview.net/forum?id=TwJrTz9cRS>.
package final class HiRA: LinearAdapter {
    @Parameter("hira_A") private var a: Tensor  // [r, in]
    @Parameter("hira_B") private var b: Tensor  // [out, r]

    private let rank: Int
    private let dropout: Double
    private let stream: UInt64

    init(name: String, for base: Linear, rank: Int, dropout: Double, isGaussian: Bool, stream: UInt64) {
        self.rank = rank
        self.dropout = dropout
        self.stream = stream
        super.init(name: name)
        $a.declare([rank, base.inputs], isGaussian ? .normal(deviation: 1 / Double(rank)) : .kaimingUniform)
        $b.declare([base.outputs, rank])  // the adapted model starts as the base model
    }

    package override var summary: String { "HiRA(rank \(rank))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let kept = try AdapterChance.dropped(x.to(a.dtype), dropout, stream: stream, context)
        let y = try below?(x) ?? base.plain(x)
        return try y + linear(kept, base.matrix.to(a.dtype) * matmul(b, a)).to(y.dtype)
    }

    /// `W ⊙ B A`, and W where it is kept in another type.
    package override func keptCount(on base: Linear) -> Int {
        base.inputs * base.outputs * (base.$weight.tensor?.dtype == .float32 ? 1 : 2)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = try matrix.to(matrix.dtype.atLeastFloat32)
        return try (wide + wide * matmul(b.to(wide.dtype), a.to(wide.dtype))).to(matrix.dtype)
    }
}

/// HiRA, as PEFT's `HiraConfig` describes it.
package struct HiRAConfiguration: MatrixMethod {
    package static let peftType = "HIRA"
    package static let tunerType = "hira"
    package static let title = "HiRA"
    package static let takesTransposed = true

    static let rankOption = AdapterOption(
        "hira_r", .integer(AdapterOption.counts), default: 32, "Rank r of the adapter.", decidesCount: true)
    static let dropoutOption = AdapterOption("hira_dropout", .number(0..<1), default: 0, "Dropout before the adapter.")
    static let startOption = AdapterOption(
        "hira_init_weights", .choice(["true", "gaussian"]), default: "true",
        "How A is drawn: by Kaiming's rule (true), or from N(0, 1/r²).")
    package static let options = [rankOption, dropoutOption, startOption]

    package var selection = LayerSelection()
    private var rank = 32
    /// Of a file; PEFT 0.20 reads it and gives every layer the rank r, so that only the tensors tell.
    private var ranks = PathPatterns()
    /// The ranks of a file's tensors, by layer.
    private var stored: [String: Int] = [:]
    private var dropout = 0.0
    private var start: JSONValue = true
    /// PEFT's `fan_in_fan_out`, which it looks for in the layer itself.
    private var saysTransposed = false
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        dropout = try settings.number(Self.dropoutOption)
        start = try settings.text(Self.startOption) == "gaussian" ? "gaussian" : true
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        rank = try reader.count("r", default: 32)
        ranks = try PathPatterns(reader, "rank_pattern", ofCounts: true)
        dropout = try reader.probability("hira_dropout")
        start = json["init_weights"] ?? true
        saysTransposed = try reader.flag("fan_in_fan_out")
        selection = try LayerSelection(reader)
        base = try reader.base()
    }

    package mutating func read(_ store: any TensorStore) throws {
        for name in store.tensorNames where name.hasSuffix(".hira_A") {
            let path = name.dropLast(".hira_A".count).dropFirst(Self.modelPrefix.count)
            stored[String(path)] = try store.shape(of: name).first
        }
    }

    package var summary: String { "Rank \(rank)" }

    package func adapter(for linear: Linear, at path: String, named name: String) -> LinearAdapter {
        HiRA(
            name: name, for: linear, rank: max(stored[path] ?? rank, 1), dropout: dropout,
            isGaussian: start == "gaussian", stream: AdapterStream.key(name, path))
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "fan_in_fan_out": .bool(saysTransposed),
            "hira_dropout": .double(dropout), "init_weights": start,
            "r": .int(rank), "rank_pattern": ranks.json,
        ]
    }
}
