package import ApusJSON
package import ApusNN
package import ApusTorch

/// `W x + b + λ / r · B D A (n ⊙ x)`, D the inverse lengths of A's rows and B's columns: λ bounds how far it goes.
///
/// n holds the lengths of the base matrix's columns. Bini et al. 2025, <https://arxiv.org/abs/2503.18225>.
package final class DeLoRA: LinearAdapter {
    @Parameter("delora_A") private var a: Tensor  // [r, in]
    @Parameter("delora_B") private var b: Tensor  // [out, r]
    @Parameter("delora_lambda") private var bound: Tensor  // [1]
    @Constant("delora_w_norm") private var lengths: Tensor  // [in]

    private let rank: Int
    private let dropout: Double
    private let stream: UInt64

    init(name: String, for base: Linear, rank: Int, bound: Double, dropout: Double, stream: UInt64) {
        self.rank = rank
        self.dropout = dropout
        self.stream = stream
        super.init(name: name)
        $a.declare([rank, base.inputs], .kaimingUniform)
        $b.declare([base.outputs, rank])  // the adapted model starts as the base model
        $bound.declare([1], .constant(bound))
        $lengths.declare([base.inputs])
    }

    package override var summary: String { "DeLoRA(rank \(rank))" }

    /// A file has the lengths that it was trained with.
    package override var storesConstants: Bool { true }

    fileprivate func measure(_ base: Linear) throws {
        let matrix = try base.matrix
        try $lengths.fill(withoutGradients { try sqrt(matrix.to(matrix.dtype.atLeastFloat32).power(2).sum(0)) })
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let kept = try AdapterChance.dropped(x.to(a.dtype), dropout, stream: stream, context)
        let low = try linear(kept * lengths.to(a.dtype), a) * shares(a, b, bound)  // [T, r]
        let y = try below?(x) ?? base.plain(x)
        return try y + linear(low, b).to(y.dtype)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let (a, b) = try (a.to(wide), b.to(wide))
        let change = try matmul(b * shares(a, b, bound.to(wide)), a) * lengths.to(wide)  // [out, in]
        return try (matrix.to(wide) + change).to(matrix.dtype)
    }

    /// `λ / (r ‖aᵢ‖ ‖bᵢ‖)`, [r]; lengths count as 10⁻⁴ at least.
    private func shares(_ a: Tensor, _ b: Tensor, _ bound: Tensor) throws -> Tensor {
        func length(_ x: Tensor, along axis: Int) throws -> Tensor {
            let squares = try x.power(2).sum(axis)
            let least = try Tensor.full([rank], 1e-8, dtype: x.dtype, device: x.device)
            // Chosen before the root, which has no derivative at zero.
            return try sqrt(select(squares.isGreater(than: least), squares, least))
        }
        return try bound * (1 / Double(rank)) / (length(a, along: 1) * length(b, along: 0))
    }
}

/// DeLoRA, as PEFT's `DeloraConfig` describes it.
package struct DeLoRAConfiguration: MatrixMethod {
    package static let peftType = "DELORA"
    package static let tunerType = "delora"
    package static let title = "DeLoRA"

    static let rankOption = AdapterOption(
        "delora_r", .integer(AdapterOption.counts), default: 8, "Rank r of the adapter.", decidesCount: true)
    static let boundOption = AdapterOption(
        "delora_lambda", .number(.leastNonzeroMagnitude..<1e30), default: 15,
        "Bound of the change to begin with; it is trained.")
    static let dropoutOption = AdapterOption(
        "delora_module_dropout", .number(0..<1), default: 0, "Dropout before the adapter.")
    package static let options = [rankOption, boundOption, dropoutOption]

    package var selection = LayerSelection()
    private var rank = 8
    private var bound = 15.0
    private var dropout = 0.0
    private var ranks = PathPatterns()
    private var bounds = PathPatterns()
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        bound = try settings.number(Self.boundOption)
        dropout = try settings.number(Self.dropoutOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        rank = try reader.count("r", default: 8)
        bound = try reader.number("delora_lambda", default: 15)
        dropout = try reader.probability("module_dropout")
        ranks = try PathPatterns(reader, "rank_pattern", ofCounts: true)
        bounds = try PathPatterns(reader, "lambda_pattern", ofCounts: false)
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
    }

    package var summary: String { "Rank \(rank), bound \(pythonNumber(bound).serialized())" }

    package func adapter(for linear: Linear, at path: String, named name: String) -> LinearAdapter {
        DeLoRA(
            name: name, for: linear, rank: ranks[path].map { Int($0) } ?? rank, bound: bounds[path] ?? bound,
            dropout: dropout, stream: AdapterStream.key(name, path))
    }

    package func draw(_ parts: [AdapterPart]) throws {
        for part in parts {
            guard let linear = part.host as? Linear else { continue }
            try (part.adapter as? DeLoRA)?.measure(linear)
        }
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "bias": "none", "delora_lambda": pythonNumber(bound), "init_weights": .bool(startsAsBase),
            "lambda_pattern": bounds.json, "module_dropout": .double(dropout), "r": .int(rank),
            "rank_pattern": ranks.json,
        ]
    }
}
