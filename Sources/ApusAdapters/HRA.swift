package import ApusJSON
package import ApusNN
package import ApusTorch

/// `W (x Rᵀ) + b`, R = H₁ … H_r with `H = I − 2 u uᵀ / ‖u‖²`: the input is reflected on r planes, one after another.
///
/// With `apply_GS` the u are made orthogonal first. Yuan et al. 2024, <https://arxiv.org/abs/2405.17484>.
package final class HRA: LinearAdapter {
    @Parameter("hra_u") fileprivate var directions: Tensor  // [in, r]

    private let rank: Int
    fileprivate let isOrthogonal: Bool

    init(name: String, for base: Linear, rank: Int, isOrthogonal: Bool) {
        self.rank = rank
        self.isOrthogonal = isOrthogonal
        super.init(name: name)
        let columns = isPaired ? rank / 2 : rank
        $directions.declare([base.inputs, rank], .uniform(bound: 1 / Double(columns).squareRoot()))
    }

    package override var summary: String { "HRA(rank \(rank))" }

    /// Whether the reflections begin as pairs, of which each undoes itself.
    fileprivate var isPaired: Bool { rank % 2 == 0 && !isOrthogonal }

    /// Makes pairs of the drawn directions.
    fileprivate func start() throws {
        guard isPaired else { return }
        let half = try directions.narrowed(1, start: 0, length: rank / 2)
        let pairs = try stacked([half, half], axis: 2).reshaped([-1, rank])  // u₁ u₁ u₂ u₂ …
        try $directions.fill(pairs.contiguous())
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let wide = directions.dtype.atLeastFloat32
        let reflected = try self.reflected(x.to(wide), by: directions.to(wide)).to(x.dtype)
        return try below?(reflected) ?? base.plain(reflected)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        return try reflected(matrix.to(wide), by: directions.to(wide), isTransposed: true).to(matrix.dtype)
    }

    /// `x Rᵀ`, or `x R`, without R: a product of reflections is `I − U T Uᵀ`, `T⁻¹` the part of `Uᵀ U` above its diagonal
    /// and half of that.
    ///
    /// Joffrain et al. 2006, <https://doi.org/10.1145/1141885.1141886>.
    private func reflected(_ x: Tensor, by directions: Tensor, isTransposed: Bool = false) throws -> Tensor {
        if isOrthogonal {
            let (q, _) = try directions.qrDecomposition()
            return try x - matmul(matmul(x, q), q.transposed(0, 1)) * 2  // [T, in]
        }
        let u = try directions / sqrt(directions.power(2).sum(0, keepAxis: true))  // [in, r]
        let products = try matmul(u.transposed(0, 1), u)  // [r, r]
        let counts = try Tensor.arange(0..<rank, device: u.device)
        let isAbove = try counts.unsqueezed(1).isLess(than: counts.unsqueezed(0)).to(u.dtype)
        let upper = try products * isAbove + Tensor.identity(rank, dtype: u.dtype, device: u.device) * 0.5
        let low = try matmul(x, u)  // [T, r]
        let scaled = try low.divided(byMatrix: isTransposed ? upper : upper.transposed(0, 1))
        return try x - matmul(scaled, u.transposed(0, 1))
    }
}

/// HRA, as PEFT's `HRAConfig` describes it.
package struct HRAConfiguration: MatrixMethod {
    package static let peftType = "HRA"
    package static let tunerType = "hra"
    package static let title = "HRA"

    static let rankOption = AdapterOption(
        "hra_r", .integer(AdapterOption.counts), default: 8,
        "Count of the reflections; even ones begin as the base model.", decidesCount: true)
    static let orthogonalOption = AdapterOption(
        "hra_apply_GS", .boolean, default: false, "Keep the directions of the reflections orthogonal.")
    package static let options = [rankOption, orthogonalOption]

    package var selection = LayerSelection()
    private var rank = 8
    private var isOrthogonal = false
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        isOrthogonal = try settings.flag(Self.orthogonalOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        rank = try reader.count("r", default: 8)
        isOrthogonal = try reader.flag("apply_GS")
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
    }

    package var summary: String { "\(rank) reflections" + (isOrthogonal ? ", orthogonal" : "") }

    package func adapter(for linear: Linear, at path: String, named name: String) throws -> LinearAdapter {
        guard !isOrthogonal || rank <= linear.inputs else {
            throw refusal(
                path, "\(rank) directions cannot be orthogonal in an input of \(linear.inputs); give a lower hra_r")
        }
        return HRA(name: name, for: linear, rank: rank, isOrthogonal: isOrthogonal)
    }

    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        for part in parts { try (part.adapter as? HRA)?.start() }
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "apply_GS": .bool(isOrthogonal), "bias": "none", "init_weights": .bool(startsAsBase), "r": .int(rank),
        ]
    }
}
