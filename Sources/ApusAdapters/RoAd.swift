package import ApusJSON
package import ApusNN
package import ApusTorch

/// `R (W x + b)`: pairs of output channels are turned in their plane, and scaled.
///
/// `R y = α₁ cos θ₁ ⊙ y + α₂ sin θ₂ ⊙ y′`, y′ the output with the halves of each group exchanged and one of them negated.
/// Liao and Monz 2024, <https://arxiv.org/abs/2409.00119>.
package final class RoAd: LinearAdapter {
    @Parameter("road_theta") private var angles: Tensor  // [out / 2], [out], or [2 · out]
    @Parameter("road_alpha") private var scales: Tensor  // the same

    private let variant: RoAdConfiguration.Variant
    private let group: Int

    init(name: String, for base: Linear, variant: RoAdConfiguration.Variant, group: Int) {
        self.variant = variant
        self.group = group
        super.init(name: name)
        let count = base.outputs * variant.numbers / 2
        $angles.declare([count])
        $scales.declare([count], .ones)
    }

    package override var summary: String { "RoAd(\(variant.rawValue))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let y = try below?(x) ?? base.plain(x)
        return try turned(y.to(angles.dtype)).to(y.dtype)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = try matrix.to(matrix.dtype.atLeastFloat32)
        return try turned(wide.transposed(0, 1)).transposed(0, 1).contiguous().to(matrix.dtype)
    }

    package override func merged(intoBias bias: Tensor) throws -> Tensor {
        try turned(bias.to(bias.dtype.atLeastFloat32).unsqueezed(0)).squeezed(0).to(bias.dtype)
    }

    /// R on the last axis of [T, out].
    private func turned(_ y: Tensor) throws -> Tensor {
        let (angles, scales) = try (angles.to(y.dtype), scales.to(y.dtype))
        let (first, second): (Tensor, Tensor)  // [out]
        switch variant {
        case .one:
            func doubled(_ x: Tensor) throws -> Tensor {
                let halves = try x.reshaped([-1, 1, group / 2])
                return try concatenated([halves, halves], axis: 1).reshaped([-1])
            }
            let (angles, scales) = try (doubled(angles), doubled(scales))
            (first, second) = try (scales * cos(angles), scales * sin(angles))
        case .two: (first, second) = try (scales * cos(angles), scales * sin(angles))
        case .four:
            func part(_ x: Tensor, _ index: Int) throws -> Tensor {
                try x.reshaped([-1, 2, group]).selected(1, index).reshaped([-1])
            }
            first = try part(scales, 0) * cos(part(angles, 0))
            second = try part(scales, 1) * sin(part(angles, 1))
        }
        let halves = try y.reshaped([-1, y.shape[1] / group, 2, group / 2])
        let exchanged = try stacked([-halves.selected(2, 1), halves.selected(2, 0)], axis: 2).reshaped(y.shape)
        return try y * first + exchanged * second
    }
}

/// RoAd, as PEFT's `RoadConfig` describes it.
package struct RoAdConfiguration: MatrixMethod {
    package static let peftType = "ROAD"
    package static let tunerType = "road"
    package static let title = "RoAd"

    /// How many numbers a pair of channels has: an angle and a scale for both, for each, or for each element of R.
    enum Variant: String, CaseIterable, Sendable {
        case one = "road_1"
        case two = "road_2"
        case four = "road_4"

        var numbers: Int {
            switch self {
            case .one: 1
            case .two: 2
            case .four: 4
            }
        }
    }

    static let variantOption = AdapterOption(
        "road_variant", .choice(Variant.allCases.map(\.rawValue)), default: "road_1",
        "Angles and scales for each pair of channels: one, two, or four.", decidesCount: true)
    static let groupOption = AdapterOption(
        "road_group_size", .integer(2...(1 << 20)), default: 64,
        "Size of the groups of channels whose halves are paired; even, and a divisor of the layer's output.")
    package static let options = [variantOption, groupOption]

    package var selection = LayerSelection()
    private var variant = Variant.one
    private var group = 64
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        variant = Variant(rawValue: try settings.text(Self.variantOption)) ?? .one
        group = try settings.integer(Self.groupOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
        try checkGroup("--road_group_size")
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        let name = try reader.text("variant") ?? "road_1"
        guard let variant = Variant(rawValue: name) else {
            throw reader.refusal("\"variant\" must be road_1, road_2 or road_4, it is \(name)")
        }
        self.variant = variant
        group = try reader.count("group_size", default: 64)
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base()
        try checkGroup("\(file): \"group_size\"")
    }

    private func checkGroup(_ place: String) throws {
        guard group % 2 == 0 else {
            throw AdapterError("\(place) \(group) is odd; groups have two halves, so give an even number")
        }
    }

    package var summary: String { "\(variant.rawValue), groups of \(group)" }

    package func adapter(for linear: Linear, at path: String, named name: String) throws -> LinearAdapter {
        guard linear.outputs % group == 0 else {
            throw refusal(
                path,
                "its output of \(linear.outputs) channels cannot be cut into groups of \(group); give a road_group_size that "
                    + "divides it, or leave the layer out of --target_modules")
        }
        return RoAd(name: name, for: linear, variant: variant, group: group)
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        base.json(Self.peftType, keys(parts))
    }

    /// PEFT's file has none of the keys that leave layers out.
    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "group_size": .int(group), "init_weights": .bool(startsAsBase),
            "target_modules": selection.json(parts.map(\.path)), "variant": .string(variant.rawValue),
        ]
    }
}
