package import ApusJSON
package import ApusNN
import ApusTorch

/// `y + s · (W₁ ⊗ W₂) x`: a Kronecker product of two small matrices, each whole or of low rank.
///
/// W₁ is [out₁, in₁] and W₂ [out₂, in₂], out = out₁ · out₂ and in = in₁ · in₂. Yeh et al. 2024,
/// <https://arxiv.org/abs/2309.14859>.
package final class LoKr: LycorisAdapter {
    @Parameter("lokr_w1") private var whole1: Tensor?  // [out₁, in₁]
    @Parameter("lokr_w1_a") private var left1: Tensor?  // [out₁, r]
    @Parameter("lokr_w1_b") private var right1: Tensor?  // [r, in₁]
    @Parameter("lokr_w2") private var whole2: Tensor?  // [out₂, in₂]
    @Parameter("lokr_w2_a") private var left2: Tensor?  // [out₂, r]
    @Parameter("lokr_w2_b") private var right2: Tensor?  // [r, in₂]

    /// (in₁, in₂) and (out₁, out₂).
    private let inputs: (Int, Int)
    private let outputs: (Int, Int)

    init(
        name: String, for base: Linear, settings: LycorisSettings, path: String, factor: Int, decomposesBoth: Bool,
        startsInSecond: Bool
    ) {
        inputs = Self.factors(of: base.inputs, near: factor)
        outputs = Self.factors(of: base.outputs, near: factor)
        super.init(name: name, settings: settings, path: path)
        let rank = settings.rank(of: path)
        // One of the two is zero, so that the adapted model starts as the base model.
        if decomposesBoth, 2 * rank < max(outputs.0, inputs.0) {
            $left1.declare([outputs.0, rank], startsInSecond ? .kaimingUniform : .zeros)
            $right1.declare([rank, inputs.0], .kaimingUniform)
        } else {
            $whole1.declare([outputs.0, inputs.0], startsInSecond ? .kaimingUniform : .zeros)
        }
        if 2 * rank < max(outputs.1, inputs.1) {
            $left2.declare([outputs.1, rank], .kaimingUniform)
            $right2.declare([rank, inputs.1], startsInSecond ? .zeros : .kaimingUniform)
        } else {
            $whole2.declare([outputs.1, inputs.1], startsInSecond ? .zeros : .kaimingUniform)
        }
    }

    package override var summary: String { "LoKr(\(outputs.0)×\(inputs.0) ⊗ \(outputs.1)×\(inputs.1))" }

    /// W₂ on the inner axis of the input, W₁ on the outer one; the Kronecker product is never made.
    override func change(_ x: Tensor) throws -> Tensor {
        func applied(_ x: Tensor, _ whole: Tensor?, _ left: Tensor?, _ right: Tensor?) throws -> Tensor {
            if let left, let right { return try linear(linear(x, right), left) }
            return try whole.map { try linear(x, $0) } ?? x
        }
        let type = (whole2 ?? left2)?.dtype ?? x.dtype
        let inner = try applied(x.to(type).reshaped([-1, inputs.1]), whole2, left2, right2)  // [T · in₁, out₂]
        let turned = try inner.reshaped([-1, inputs.0, outputs.1]).transposed(1, 2)  // [T, out₂, in₁]
        let outer = try applied(turned.reshaped([-1, inputs.0]), whole1, left1, right1)  // [T · out₂, out₁]
        return try outer.reshaped([-1, outputs.1, outputs.0]).transposed(1, 2)
            .reshaped([-1, outputs.0 * outputs.1])  // [T, out]
    }

    override func matrix(in dtype: DType) throws -> Tensor {
        func product(_ whole: Tensor?, _ left: Tensor?, _ right: Tensor?) throws -> Tensor? {
            if let left, let right { return try matmul(left.to(dtype), right.to(dtype)) }
            return try whole?.to(dtype)
        }
        guard let first = try product(whole1, left1, right1), let second = try product(whole2, left2, right2) else {
            preconditionFailure("each factor is whole or of low rank")
        }
        let kronecker =
            try first.reshaped([outputs.0, 1, inputs.0, 1]) * second.reshaped([1, outputs.1, 1, inputs.1])
        return try kronecker.reshaped([outputs.0 * outputs.1, inputs.0 * inputs.1])
    }

    /// Two numbers, the smaller first, whose product is a dimension: `factor` and what is left, where that divides;
    /// else the largest divisor not above `factor` nor the square root, for which -1 sets no other bound.
    ///
    /// By the rule of LyCORIS, which decides the shapes in files.
    static func factors(of dimension: Int, near factor: Int) -> (Int, Int) {
        if factor > 0, dimension % factor == 0 { return (factor, dimension / factor) }
        let bound = factor == -1 ? dimension : factor
        var (small, large) = (1, dimension)
        while small < large {
            let next = (small + 1...dimension).first { dimension % $0 == 0 } ?? dimension
            guard next + dimension / next <= small + large, next <= bound else { break }
            (small, large) = (next, dimension / next)
        }
        return (min(small, large), max(small, large))
    }
}

/// LoKr, as PEFT's `LoKrConfig` describes it.
package struct LoKrConfiguration: MatrixMethod {
    package static let peftType = "LOKR"
    package static let tunerType = "lokr"
    package static let title = "LoKr"

    static let bothOption = AdapterOption(
        "lokr_decompose_both", .boolean, default: false, "Make the first factor of low rank too.", decidesCount: true)
    static let factorOption = AdapterOption(
        "lokr_decompose_factor", .integer(-1...(1 << 20)), default: -1,
        "Size of the first factor; -1 takes what is next to the square root.", decidesCount: true)
    static let scaleOption = AdapterOption(
        "lokr_rank_dropout_scale", .boolean, default: false, "Scale up what lokr_rank_dropout leaves.")
    static let startOption = AdapterOption(
        "lokr_init_weights", .choice(["true", "lycoris"]), default: "true",
        "Which factor starts as zero: the first (true), or the second (lycoris).")
    package static let options =
        LycorisSettings.options(tunerType) + [bothOption, factorOption, scaleOption, startOption]

    package var selection = LayerSelection()
    private var settings: LycorisSettings
    private var decomposesBoth = false
    private var factor = -1
    private var start: JSONValue = true
    package var base = AdapterBase()

    package init(_ given: AdapterSettings) throws {
        settings = try LycorisSettings(given, Self.tunerType)
        settings.scalesDropout = try given.flag(Self.scaleOption)
        decomposesBoth = try given.flag(Self.bothOption)
        factor = try given.integer(Self.factorOption)
        start = try given.text(Self.startOption) == "lycoris" ? "lycoris" : true
        selection = LayerSelection(try given.targets.resolved(DefaultTargets.lora, given.modelType))
        try check("--lokr_decompose_factor")
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        settings = try LycorisSettings(reader)
        settings.scalesDropout = try reader.flag("rank_dropout_scale")
        decomposesBoth = try reader.flag("decompose_both")
        factor = try reader.optional("decompose_factor", "a whole number", \.intValue) ?? -1
        start = json["init_weights"] ?? true
        guard [true, false, "lycoris"].contains(start) else {
            throw reader.refusal("\"init_weights\" must be true, false or lycoris, it is \(start.serialized())")
        }
        selection = try LayerSelection(reader)
        base = try reader.base()
        try check("\(file): \"decompose_factor\"")
    }

    private func check(_ place: String) throws {
        guard factor == -1 || AdapterOption.counts.contains(factor) else {
            throw AdapterError("\(place) \(factor) is no size; give -1 or a positive number")
        }
    }

    package var summary: String { settings.summary }

    package func adapter(for linear: Linear, at path: String, named name: String) -> LinearAdapter {
        LoKr(
            name: name, for: linear, settings: settings, path: path, factor: factor, decomposesBoth: decomposesBoth,
            startsInSecond: start == "lycoris")
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        settings.keys.merging([
            "decompose_both": .bool(decomposesBoth), "decompose_factor": .int(factor), "init_weights": start,
            "rank_dropout_scale": .bool(settings.scalesDropout),
        ])
    }
}
