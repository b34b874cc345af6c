package import ApusJSON
package import ApusNN
package import ApusTorch

/// `y + α / r · Σₙ Bₙ Λₙ A Γₙ drop(x)`: a sum of random low-rank matrices of full rank together, scaled by trained
/// diagonals.
///
/// A and B are shared by all layers, which take the part of their size; A is on the smaller side of a layer.
/// Albert et al. 2025, <https://arxiv.org/abs/2502.00987>.
package final class RandLoRA: LinearAdapter {
    @Parameter("randlora_lambda") var lambda: Tensor  // [r, n]
    @Parameter("randlora_gamma") var gamma: Tensor  // [n, min(in, out)]

    private let bases: Shared<RandLoRABases>
    private let scale: Double
    private let dropout: Double
    private let stream: UInt64

    init(
        name: String, for base: Linear, _ bases: RandLoRABases, scale: Double, dropout: Double, startsAsBase: Bool,
        stream: UInt64
    ) {
        self.bases = Shared(bases)
        self.scale = scale
        self.dropout = dropout
        self.stream = stream
        super.init(name: name)
        let (small, large) = (min(base.inputs, base.outputs), max(base.inputs, base.outputs))
        let count = RandLoRABases.count(small, rank: bases.rank)
        $lambda.declare([bases.rank, count], startsAsBase ? .zeros : .normal(deviation: 1))
        $gamma.declare([count, small], .constant(1 / Double(startsAsBase ? max(count, small) : large)))
    }

    package override var summary: String { "RandLoRA(rank \(bases.part.rank))" }

    /// PEFT's files repeat the shared matrices for each layer.
    package override var repeatedNames: [String] { ["randlora_A", "randlora_B"] }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        var kept = x
        if context.isTraining, dropout > 0 {
            kept = try ApusTorch.dropout(x, probability: dropout, key: streamKey(context.randomKey, stream))
        }
        let (first, second) = try factors(base.inputs, base.outputs)
        return try summed(
            below?(x) ?? base.plain(x), linear(linear(kept.to(first.dtype), first), second) * scale)
    }

    /// The scaled A, before and after its second diagonal, and the part of B.
    package override func keptCount(on base: Linear) -> Int {
        let small = min(base.inputs, base.outputs)
        let rows = RandLoRABases.count(small, rank: bases.part.rank) * bases.part.rank
        return rows * (base.inputs + base.outputs + small)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let (first, second) = try factors(matrix.shape[1], matrix.shape[0])
        return try (matrix.to(wide) + matmul(second.to(wide), first.to(wide)) * scale).to(matrix.dtype)
    }

    /// What the input meets first, [r n, in], and then, [out, r n].
    ///
    /// The rows of the scaled A count ranks first and the columns of B count bases first, as in PEFT.
    private func factors(_ inputs: Int, _ outputs: Int) throws -> (first: Tensor, second: Tensor) {
        let (small, large) = (min(inputs, outputs), max(inputs, outputs))
        let shared = bases.part
        let count = gamma.shape[0]
        let a = try shared.a.narrowed(2, start: 0, length: small)  // [r, 1, small]
        let b = try shared.b.narrowed(0, start: 0, length: large).narrowed(1, start: 0, length: count)
        let scaled = try (lambda.unsqueezed(2) * a * gamma.unsqueezed(0)).reshaped([-1, small])  // [r n, small]
        let flat = try b.reshaped([large, -1])  // [large, n r]
        return try small == inputs ? (scaled, flat) : (flat.transposed(0, 1), scaled.transposed(0, 1))
    }
}

/// The random matrices of RandLoRA, as large as the largest layer needs them.
package final class RandLoRABases: SharedAdapter {
    @Constant("randlora_A") var a: Tensor  // [r, 1, small]
    @Constant("randlora_B") var b: Tensor  // [large, n, r]

    let rank: Int
    private let small: Int
    private let isStored: Bool

    init(name: String, rank: Int, inputs: Int, outputs: Int, isStored: Bool) {
        self.rank = rank
        self.isStored = isStored
        small = min(inputs, outputs)
        super.init(name: name)
        $a.declare([rank, 1, small])
        $b.declare([max(inputs, outputs), Self.count(small, rank: rank), rank])
    }

    package override var storesConstants: Bool { isStored }

    /// So many bases together have full rank.
    static func count(_ small: Int, rank: Int) -> Int { (small + rank - 1) / rank }

    func draw(_ key: UInt64, _ sparsity: RandLoRAConfiguration.Sparsity) throws {
        let generator = try Generator(seed: key)
        let (a, b): (Tensor, Tensor)
        switch sparsity {
        case .none:
            // In bfloat16, as PEFT draws them wherever there is that type.
            a = try dense([rank, 1, small], generator)
            let shape = $b.shape ?? []
            b = try concatenated((0..<shape[1]).map { _ in try dense([shape[0], 1, rank], generator) }, axis: 1)
        case .some:
            (a, b) = (try ternary($a.shape ?? [], 3, generator), try ternary($b.shape ?? [], 3, generator))
        case .much:
            let ratio = Double(small).squareRoot()
            (a, b) = (try ternary($a.shape ?? [], ratio, generator), try ternary($b.shape ?? [], ratio, generator))
        }
        try $a.fill((a / a.standardDeviation()).to(.float32))
        try $b.fill((b / b.standardDeviation()).to(.float32))
    }

    /// U(-1/√fan, 1/√fan).
    private func dense(_ shape: [Int], _ generator: Generator) throws -> Tensor {
        let tensor = try Tensor.zeros(shape, dtype: .bfloat16)
        let slope = 5.0.squareRoot()
        let gain = (2 / (1 + slope * slope)).squareRoot()
        let bound = 3.0.squareRoot() * (gain / Double(shape[2]).squareRoot())
        try tensor.fillUniform(-bound, bound, generator: generator)
        return tensor
    }

    /// -1 and 1 with a chance of 1 / 2s each, else 0.
    private func ternary(_ shape: [Int], _ ratio: Double, _ generator: Generator) throws -> Tensor {
        let chance = try Tensor.zeros(shape)
        try chance.fillUniform(0, 1, generator: generator)
        let isHigh = try Tensor.full([1], 1 - 1 / (2 * ratio)).isLess(than: chance)
        return try isHigh.to(.float32) - chance.isLess(than: 1 / (2 * ratio)).to(.float32)
    }
}

/// RandLoRA, as PEFT's `RandLoraConfig` describes it.
package struct RandLoRAConfiguration: AdapterMethod {
    package static let peftType = "RANDLORA"
    package static let tunerType = "randlora"

    static let rankOption = AdapterOption(
        "randlora_rank", .integer(AdapterOption.counts), default: 32,
        "Rank of each random matrix; a higher one trains fewer parameters.", decidesCount: true)
    static let alphaOption = AdapterOption(
        "randlora_alpha", .number(.leastNonzeroMagnitude..<1e30), default: 640,
        "The adapter is scaled by alpha / r.")
    static let dropoutOption = AdapterOption(
        "randlora_dropout", .number(0..<1), default: 0.0, "Dropout before the adapter.")
    static let keyOption = AdapterOption(
        "randlora_projection_prng_key", .integer(0...Int(Int32.max)), default: 0,
        "Seed that the random matrices are drawn from.")
    static let sparsityOption = AdapterOption(
        "randlora_sparsity", .choice(["none", "sparse", "very_sparse"]), default: "none",
        "Random matrices of -1, 0 and 1: a third of them not 0 (sparse), or one in √width (very_sparse).")
    package static let options = [
        rankOption, alphaOption, dropoutOption, keyOption, sparsityOption, VeRAConfiguration.saveOption,
    ]

    enum Sparsity: Sendable, Equatable { case none, some, much }

    private var rank = 32
    private var alpha = 640.0
    private var dropout = 0.0
    private var key = 0
    private var sparsity = Sparsity.none
    /// `sparse` of a file beside `very_sparse`, which decides.
    private var saysSparse = false
    private var startsAsBase = true
    private var savesProjection = true
    private var selection = LayerSelection()
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        alpha = try settings.number(Self.alphaOption)
        dropout = try settings.number(Self.dropoutOption)
        key = try settings.integer(Self.keyOption)
        let words: [String: Sparsity] = ["sparse": .some, "very_sparse": .much]
        sparsity = words[try settings.text(Self.sparsityOption)] ?? .none
        saysSparse = sparsity == .some
        savesProjection = try settings.flag(VeRAConfiguration.saveOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        rank = try reader.count("r", default: 32)
        alpha = try reader.number("randlora_alpha", default: 640)
        dropout = try reader.probability("randlora_dropout")
        key = try reader.integer("projection_prng_key", default: 0)
        saysSparse = try reader.flag("sparse")
        sparsity = try reader.flag("very_sparse") ? .much : saysSparse ? .some : .none
        startsAsBase = try reader.flag("init_weights", default: true)
        savesProjection = try reader.flag("save_projection", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
    }

    package var summary: String { "Rank \(rank), alpha \(pythonNumber(alpha).serialized())" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let hosts = try selection.linearHosts(of: "RandLoRA", on: model, leaving: base.storedModules, heads: heads)
        let bases = RandLoRABases(
            name: name, rank: rank, inputs: hosts.map(\.linear.inputs).max() ?? 0,
            outputs: hosts.map(\.linear.outputs).max() ?? 0, isStored: savesProjection)
        return [AdapterPart(shared: bases, of: model)]
            + hosts.map { path, linear in
                let adapter = RandLoRA(
                    name: name, for: linear, bases, scale: alpha / Double(rank), dropout: dropout,
                    startsAsBase: startsAsBase, stream: AdapterStream.key(name, path))
                linear.adapters.append(adapter)
                return AdapterPart(path: path, host: linear, adapter: adapter)
            }
    }

    package func draw(_ parts: [AdapterPart]) throws {
        for part in parts { try (part.adapter as? RandLoRABases)?.draw(UInt64(key), sparsity) }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = selection.file(parts)
        file["init_weights"] = .bool(startsAsBase)
        file["projection_prng_key"] = .int(key)
        file["r"] = .int(rank)
        file["randlora_alpha"] = pythonNumber(alpha)
        file["randlora_dropout"] = .double(dropout)
        file["save_projection"] = .bool(savesProjection)
        file["sparse"] = .bool(saysSparse)
        file["very_sparse"] = .bool(sparsity == .much)
        return base.json(Self.peftType, file)
    }
}
