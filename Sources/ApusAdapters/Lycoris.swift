import ApusJSON
package import ApusNN
package import ApusTorch

/// `y + s · Δ(x)`, s = α / r, for a Δ that a few small matrices stand for.
///
/// While training, Δ is left out as a whole by chance, and outputs of it are (`module_dropout`, `rank_dropout`).
package class LycorisAdapter: LinearAdapter {
    private let settings: LycorisSettings
    fileprivate let scale: Double
    private let stream: UInt64

    init(name: String, settings: LycorisSettings, path: String) {
        self.settings = settings
        scale = settings.scale(of: path)
        stream = AdapterStream.key(name, path)
        super.init(name: name)
    }

    /// `x Δᵀ`, in the adapter's type: [T, out].
    func change(_ x: Tensor) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    /// Δ in a type: [out, in].
    func matrix(in dtype: DType) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let y = try below?(x) ?? base.plain(x)
        let key = streamKey(context.randomKey, stream)
        if context.isTraining, AdapterChance.happens(settings.moduleDropout, key: key) { return y }
        var added = try change(x) * scale
        if context.isTraining, settings.rankDropout > 0 {
            added = try added * outputsKept(base.outputs, dtype: added.dtype, device: x.device, key: streamKey(key, 1))
        }
        return try y + added.to(y.dtype)
    }

    /// Which outputs of Δ count in this pass, [out].
    private func outputsKept(_ count: Int, dtype: DType, device: Device, key: UInt64) throws -> Tensor {
        let probability = settings.rankDropout
        let ones = try Tensor.ones([count], dtype: dtype, device: device)
        let kept = try dropout(ones, probability: probability, key: key) * (1 - probability)
        // What is left is scaled by how much is left; where nothing is, nothing is divided by zero.
        return settings.scalesDropout ? try kept / (kept.mean() + 1e-30) : kept
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        return try (matrix.to(wide) + self.matrix(in: wide) * scale).to(matrix.dtype)
    }
}

/// What LoHa and LoKr are told alike.
struct LycorisSettings: Sendable, Equatable {
    var rank = 8
    var alpha = 8.0
    var rankDropout = 0.0
    var moduleDropout = 0.0
    /// Whether what is left of the outputs is scaled up.
    var scalesDropout = true
    var ranks = PathPatterns()
    var alphas = PathPatterns()
    /// About convolutions, of which there are none here; the file keeps it.
    private var usesEffectiveConvolution = false

    /// The options of a method, whose names begin with its own.
    static func options(_ method: String) -> [AdapterOption] {
        [
            AdapterOption(
                "\(method)_r", .integer(AdapterOption.counts), default: 8, "Rank r of the adapter.", decidesCount: true),
            AdapterOption(
                "\(method)_alpha", .number(.leastNonzeroMagnitude..<1e30), default: 8,
                "The adapter is scaled by alpha / r."),
            AdapterOption(
                "\(method)_rank_dropout", .number(0..<1), default: 0, "Part of the adapter's outputs that is left out."),
            AdapterOption(
                "\(method)_module_dropout", .number(0..<1), default: 0,
                "How often the adapter of a layer is left out as a whole."),
        ]
    }

    init(_ settings: AdapterSettings, _ method: String) throws {
        let options = Self.options(method)
        rank = try settings.integer(options[0])
        alpha = try settings.number(options[1])
        rankDropout = try settings.number(options[2])
        moduleDropout = try settings.number(options[3])
    }

    init(_ reader: ConfigurationReader) throws {
        rank = try reader.count("r", default: 8)
        alpha = try reader.number("alpha", default: 8)
        rankDropout = try reader.probability("rank_dropout")
        moduleDropout = try reader.probability("module_dropout")
        ranks = try PathPatterns(reader, "rank_pattern", ofCounts: true)
        alphas = try PathPatterns(reader, "alpha_pattern", ofCounts: false)
        usesEffectiveConvolution = try reader.flag("use_effective_conv2d")
    }

    func rank(of path: String) -> Int { ranks[path].map { Int($0) } ?? rank }
    func scale(of path: String) -> Double { (alphas[path] ?? alpha) / Double(rank(of: path)) }

    var summary: String { "Rank \(rank), alpha \(pythonNumber(alpha).serialized())" }

    var keys: JSONObject {
        [
            "alpha": pythonNumber(alpha), "alpha_pattern": alphas.json, "module_dropout": .double(moduleDropout),
            "r": .int(rank), "rank_dropout": .double(rankDropout), "rank_pattern": ranks.json,
            "use_effective_conv2d": .bool(usesEffectiveConvolution),
        ]
    }
}
