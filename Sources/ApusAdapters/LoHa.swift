package import ApusJSON
package import ApusNN
import ApusTorch

/// `y + s · ((A₁ B₁) ⊙ (A₂ B₂)) x`: the product, element by element, of two matrices of low rank.
///
/// Hyeon-Woo et al. 2022, <https://arxiv.org/abs/2108.06098>.
package final class LoHa: LycorisAdapter {
    @Parameter("hada_w1_a") private var left1: Tensor  // [out, r]
    @Parameter("hada_w1_b") private var right1: Tensor  // [r, in]
    @Parameter("hada_w2_a") private var left2: Tensor  // [out, r]
    @Parameter("hada_w2_b") private var right2: Tensor  // [r, in]

    private let rank: Int

    init(name: String, for base: Linear, settings: LycorisSettings, path: String) {
        rank = settings.rank(of: path)
        super.init(name: name, settings: settings, path: path)
        $left1.declare([base.outputs, rank], .kaimingUniform)
        $right1.declare([rank, base.inputs], .kaimingUniform)
        $left2.declare([base.outputs, rank], .kaimingUniform)
        $right2.declare([rank, base.inputs])  // the adapted model starts as the base model
    }

    package override var summary: String { "LoHa(rank \(rank))" }

    /// What of the product's two ways is taken: its factors of the rank r², or Δ and the two that it is the product of.
    package override func keptCount(on base: Linear) -> Int {
        let (ofFactors, ofMatrix) = (rank * rank * (base.inputs + base.outputs), base.inputs * base.outputs)
        return ofFactors < ofMatrix ? ofFactors : 3 * ofMatrix
    }

    /// The product has the rank r²: `Σᵢⱼ (a₁ᵢ ⊙ a₂ⱼ)(b₁ᵢ ⊙ b₂ⱼ)ᵀ`; where that is little, Δ itself is never made.
    override func change(_ x: Tensor) throws -> Tensor {
        let (outputs, inputs) = (left1.shape[0], right1.shape[1])
        guard rank * rank * (inputs + outputs) < inputs * outputs else {
            return try linear(x.to(left1.dtype), matrix(in: left1.dtype))
        }
        let right = try right1.unsqueezed(1) * right2.unsqueezed(0)  // [r, r, in]
        let left = try left1.unsqueezed(2) * left2.unsqueezed(1)  // [out, r, r]
        let low = try linear(x.to(left1.dtype), right.reshaped([rank * rank, inputs]))  // [T, r²]
        return try linear(low, left.reshaped([outputs, rank * rank]))  // [T, out]
    }

    override func matrix(in dtype: DType) throws -> Tensor {
        try matmul(left1.to(dtype), right1.to(dtype)) * matmul(left2.to(dtype), right2.to(dtype))
    }
}

/// LoHa, as PEFT's `LoHaConfig` describes it.
package struct LoHaConfiguration: MatrixMethod {
    package static let peftType = "LOHA"
    package static let tunerType = "loha"
    package static let title = "LoHa"
    package static let options = LycorisSettings.options(tunerType)

    package var selection = LayerSelection()
    private var settings: LycorisSettings
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ given: AdapterSettings) throws {
        settings = try LycorisSettings(given, Self.tunerType)
        selection = LayerSelection(try given.targets.resolved(DefaultTargets.lora, given.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        settings = try LycorisSettings(reader)
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base()
    }

    package var summary: String { settings.summary }

    package func adapter(for linear: Linear, at path: String, named name: String) -> LinearAdapter {
        LoHa(name: name, for: linear, settings: settings, path: path)
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        settings.keys.merging(["init_weights": .bool(startsAsBase)])
    }
}
