package import ApusJSON
package import ApusNN
import ApusTorch

/// `(W + S) x + b`: S is zero but for r (in + out) trained elements at random places.
///
/// Bhardwaj et al. 2024, <https://arxiv.org/abs/2406.13175>.
package final class SHiRA: MatrixDelta {
    @Parameter("shira_weight") var values: Tensor  // [n]
    @Constant("shira_indices") var places: Tensor  // [2, n], rows and columns

    private let inputs: Int
    private let outputs: Int

    init(name: String, for base: Linear, count: Int, initializer: Initializer) {
        (inputs, outputs) = (base.inputs, base.outputs)
        super.init(name: name)
        $values.declare([count], initializer)
        $places.declare([2, count])
    }

    package override var summary: String { "SHiRA(\($values.count))" }
    package override var storesConstants: Bool { true }

    package override func faultOfConstants() throws -> String? {
        let (rows, columns) = try (places.selected(0, 0), places.selected(0, 1))
        let isInside = try withoutGradients {
            try [rows.max().item() < Double(outputs), columns.max().item() < Double(inputs)]
                + [(-rows).max().item() <= 0, (-columns).max().item() <= 0]
        }
        return isInside.contains(false) ? "shira_indices name elements that the layer has not" : nil
    }

    override func delta() throws -> Tensor {
        let width = try Tensor.full([1], Double(inputs), dtype: .int64, device: places.device)
        let flat = try places.selected(0, 0).to(.int64) * width + places.selected(0, 1).to(.int64)  // [n]
        return try sparse(values, at: flat, outputs, inputs)
    }

    /// Random places in the order of the matrix's rows.
    func draw(_ seed: UInt64, _ random: inout RandomPlaces) throws {
        let drawn = try random.places($values.count, of: inputs * outputs, seed: seed).values(as: Int.self).sorted()
        let (rows, columns) = (drawn.map { Int32($0 / inputs) }, drawn.map { Int32($0 % inputs) })
        try $places.fill(Tensor(rows + columns, shape: [2, drawn.count]))
    }
}

/// SHiRA, as PEFT's `ShiraConfig` describes it.
package struct SHiRAConfiguration: AdapterMethod {
    package static let peftType = "SHIRA"
    package static let tunerType = "shira"

    static let rankOption = AdapterOption(
        "shira_rank", .integer(AdapterOption.counts), default: 32,
        "Train as many elements as LoRA of this rank has.", decidesCount: true)
    static let seedOption = AdapterOption(
        "shira_random_seed", .integer(0...Int(Int32.max)), "Seed of the places; without one PyTorch's own is taken.")
    package static let options = [rankOption, seedOption]

    /// What a generator of PyTorch begins with that was given no seed.
    private static let defaultSeed: UInt64 = 67_280_421_310_721

    private var rank = 32
    private var seed: Int?
    /// A file's own kind of places; they are stored.
    private var maskType = "random"
    private var startsAsBase = true
    private var selection = LayerSelection()
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        seed = settings[Self.seedOption].intValue
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.shira, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        rank = try reader.count("r", default: 32)
        seed = try reader.optional("random_seed", "a whole number of at least 0") {
            $0.intValue.flatMap { $0 >= 0 ? $0 : nil }
        }
        maskType = try reader.text("mask_type") ?? "random"
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base()
    }

    package var summary: String { "As many elements as rank \(rank) has" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try selection.linearHosts(
            of: "SHiRA", on: model, leaving: base.storedModules, heads: heads, allowsTransposed: false
        ).map { path, linear in
            let count = rank * (linear.inputs + linear.outputs)
            guard count <= linear.inputs * linear.outputs else {
                throw AdapterError(
                    "--shira_rank \(rank) asks for \(count) elements of \(path), which has "
                        + "\(linear.inputs * linear.outputs); give a lower rank, or leave the layer out")
            }
            let adapter = SHiRA(
                name: name, for: linear, count: count, initializer: startsAsBase ? .zeros : .normal(deviation: 1))
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    package func draw(_ parts: [AdapterPart]) throws {
        var random = RandomPlaces()
        for part in parts {
            try (part.adapter as? SHiRA)?.draw(seed.map(UInt64.init) ?? Self.defaultSeed, &random)
        }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        base.json(
            Self.peftType,
            [
                "fan_in_fan_out": false, "init_weights": .bool(startsAsBase), "mask_type": .string(maskType),
                "r": .int(rank), "random_seed": seed.map(JSONValue.int) ?? .null,
                "target_modules": selection.json(parts.map(\.path)),
            ])
    }
}
