package import ApusJSON
package import ApusNN
package import ApusTorch

/// `y + b ⊙ B (d ⊙ A drop(x))`: random matrices that all layers share, scaled by two trained vectors.
///
/// Of A and B a layer takes the part of its size. Kopiczko et al. 2023, <https://arxiv.org/abs/2310.11454>.
package final class VeRA: LinearAdapter {
    @Parameter("vera_lambda_b") var outputScale: Tensor  // [out]
    @Parameter("vera_lambda_d") var rankScale: Tensor  // [r]

    private let projection: Shared<VeRAProjection>
    private let dropout: Double
    private let stream: UInt64

    init(
        name: String, for base: Linear, _ projection: VeRAProjection, start: VeRAConfiguration.Start, dropout: Double,
        stream: UInt64
    ) {
        self.projection = Shared(projection)
        self.dropout = dropout
        self.stream = stream
        super.init(name: name)
        switch start {
        case .constant(let first):
            $outputScale.declare([base.outputs])
            $rankScale.declare([projection.rank], .constant(first))
        case .random:
            $outputScale.declare([base.outputs], .ones)
            $rankScale.declare([projection.rank], .normal(deviation: 1))
        }
    }

    package override var summary: String { "VeRA(rank \(projection.part.rank))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        var kept = x
        if context.isTraining, dropout > 0 {
            kept = try ApusTorch.dropout(x, probability: dropout, key: streamKey(context.randomKey, stream))
        }
        let (a, b) = try matrices(base.inputs, base.outputs)
        let low = try rankScale * linear(kept.to(rankScale.dtype), a)  // [T, r]
        return try summed(below?(x) ?? base.plain(x), outputScale * linear(low, b))
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let (a, b) = try matrices(matrix.shape[1], matrix.shape[0])
        let delta = try matmul(
            outputScale.to(wide).unsqueezed(1) * b.to(wide), rankScale.to(wide).unsqueezed(1) * a.to(wide))
        return try (matrix.to(wide) + delta).to(matrix.dtype)
    }

    /// A [r, in] and B [out, r] of a layer.
    private func matrices(_ inputs: Int, _ outputs: Int) throws -> (a: Tensor, b: Tensor) {
        let shared = projection.part
        return (
            try shared.a.narrowed(1, start: 0, length: inputs), try shared.b.narrowed(0, start: 0, length: outputs)
        )
    }
}

/// The matrices of VeRA, as large as the largest layer needs them.
package final class VeRAProjection: SharedAdapter {
    @Constant("vera_A") var a: Tensor  // [r, in]
    @Constant("vera_B") var b: Tensor  // [out, r]

    let rank: Int
    private let isStored: Bool

    init(name: String, rank: Int, inputs: Int, outputs: Int, isStored: Bool) {
        self.rank = rank
        self.isStored = isStored
        super.init(name: name)
        $a.declare([rank, inputs])
        $b.declare([outputs, rank])
    }

    package override var storesConstants: Bool { isStored }

    /// U(-√(6 / fan), √(6 / fan)), one matrix after the other.
    func draw(_ key: UInt64) throws {
        let generator = try Generator(seed: key)
        for slot in [$a, $b] {
            let shape = slot.shape ?? []
            let bound = 3.0.squareRoot() * (2.0.squareRoot() / Double(shape.last ?? 1).squareRoot())
            try slot.fill(Initializer.uniform(bound: bound).made(shape, generator: generator))
        }
    }
}

/// VeRA, as PEFT's `VeraConfig` describes it.
package struct VeRAConfiguration: AdapterMethod {
    package static let peftType = "VERA"
    package static let tunerType = "vera"

    static let rankOption = AdapterOption(
        "vera_rank", .integer(AdapterOption.counts), default: 256, "Rank of the shared matrices.", decidesCount: true)
    static let keyOption = AdapterOption(
        "vera_projection_prng_key", .integer(0...Int(Int32.max)), default: 0,
        "Seed that the shared matrices are drawn from.")
    static let dropoutOption = AdapterOption(
        "vera_dropout", .number(0..<1), default: 0.0, "Dropout before the adapter.")
    static let startOption = AdapterOption(
        "vera_d_initial", .number(-1e30..<1e30), default: 0.1, "First value of the scales of the ranks.")
    static let saveOption = AdapterOption(
        "save_projection", .boolean, default: true,
        "Store the shared random matrices too, instead of drawing them again from their seed.")
    package static let options = [rankOption, keyOption, dropoutOption, startOption, saveOption]

    /// First values.
    enum Start: Sendable, Equatable {
        /// b zero and d constant: the adapted model begins as the base model.
        case constant(Double)
        /// b one and d random, for tests.
        case random
    }

    private var rank = 256
    private var key = 0
    private var dropout = 0.0
    private var first = 0.1
    private var startsAsBase = true
    private var savesProjection = true
    private var selection = LayerSelection()
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        key = try settings.integer(Self.keyOption)
        dropout = try settings.number(Self.dropoutOption)
        first = try settings.number(Self.startOption)
        savesProjection = try settings.flag(Self.saveOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.vera, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        rank = try reader.count("r", default: 256)
        key = try reader.integer("projection_prng_key", default: 0)
        dropout = try reader.probability("vera_dropout")
        first = try reader.number("d_initial", default: 0.1)
        startsAsBase = try reader.flag("init_weights", default: true)
        savesProjection = try reader.flag("save_projection", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
    }

    package var summary: String { "Rank \(rank)" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let hosts = try selection.linearHosts(of: "VeRA", on: model, leaving: base.storedModules, heads: heads)
        let projection = VeRAProjection(
            name: name, rank: rank, inputs: hosts.map(\.linear.inputs).max() ?? 0,
            outputs: hosts.map(\.linear.outputs).max() ?? 0, isStored: savesProjection)
        return [AdapterPart(shared: projection, of: model)]
            + hosts.map { path, linear in
                let adapter = VeRA(
                    name: name, for: linear, projection, start: startsAsBase ? .constant(first) : .random,
                    dropout: dropout, stream: AdapterStream.key(name, path))
                linear.adapters.append(adapter)
                return AdapterPart(path: path, host: linear, adapter: adapter)
            }
    }

    package func draw(_ parts: [AdapterPart]) throws {
        for part in parts { try (part.adapter as? VeRAProjection)?.draw(UInt64(key)) }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = selection.file(parts)
        file["d_initial"] = .double(first)
        file["init_weights"] = .bool(startsAsBase)
        file["projection_prng_key"] = .int(key)
        file["r"] = .int(rank)
        file["save_projection"] = .bool(savesProjection)
        file["vera_dropout"] = .double(dropout)
        return base.json(Self.peftType, file)
    }
}
