package import ApusJSON
package import ApusNN
import ApusTorch

/// `(W + s · T⁻¹(E)) x + b`: E is zero but for n trained wavelet coefficients at random places.
///
/// T⁻¹ is one step of the inverse wavelet transform over rows and columns; without it E itself is added.
/// Bilican et al. 2025, <https://arxiv.org/abs/2505.12532>.
package final class WaveFT: MatrixDelta {
    @Parameter("waveft_spectrum") var spectrum: Tensor  // [n]
    @Constant("waveft_indices") private var places: Tensor  // [n]

    private let inputs: Int
    private let outputs: Int
    private let scale: Double
    /// Nil where the coefficients are elements of the matrix.
    private let filter: WaveletFilter?

    init(name: String, for base: Linear, count: Int, scale: Double, filter: WaveletFilter?, startsAsBase: Bool) {
        (inputs, outputs) = (base.inputs, base.outputs)
        self.scale = scale
        self.filter = filter
        super.init(name: name)
        $spectrum.declare([count], startsAsBase ? .zeros : .normal(deviation: 0.01))
        $places.declare([count])
    }

    package override var summary: String { "WaveFT(\($spectrum.count))" }

    override func delta() throws -> Tensor {
        guard let filter else { return try sparse(spectrum, at: places, outputs, inputs) * scale }
        let (rows, columns) = (filter.padded(outputs), filter.padded(inputs))
        let matrix = try filter.synthesis(sparse(spectrum, at: places, rows, columns))
        // Odd sizes come out one too long.
        let top = (matrix.shape[0] - outputs) / 2
        let left = (matrix.shape[1] - inputs) / 2
        return try matrix.narrowed(0, start: top, length: outputs).narrowed(1, start: left, length: inputs) * scale
    }

    /// Places in the matrix, moved to the middle of the padded one.
    func draw(_ seed: UInt64, _ random: inout RandomPlaces) throws {
        let drawn = try random.places($spectrum.count, of: inputs * outputs, seed: seed)
        guard let filter else { return try $places.fill(drawn) }
        let (rows, columns) = (filter.padded(outputs), filter.padded(inputs))
        let (top, left) = ((rows - outputs) / 2, (columns - inputs) / 2)
        try $places.fill(
            Tensor(drawn.values(as: Int.self).map { ($0 / inputs + top) * columns + $0 % inputs + left }))
    }
}

/// WaveFT, as PEFT's `WaveFTConfig` describes it.
package struct WaveFTConfiguration: AdapterMethod {
    package static let peftType = "WAVEFT"
    package static let tunerType = "waveft"

    static let countOption = AdapterOption(
        "waveft_n_frequency", .integer(AdapterOption.counts), default: 2592,
        "Coefficients trained in each layer.", decidesCount: true)
    static let scaleOption = AdapterOption(
        "waveft_scaling", .number(-1e30..<1e30), default: 25.0, "The adapter is scaled by this.")
    static let familyOption = AdapterOption(
        "wavelet_family", .text, default: "db1", "db1 to db10, sym2 to sym10 or coif1 to coif3.",
        onlyWith: [AdapterOption.Condition("use_idwt", "true")])
    static let transformOption = AdapterOption(
        "use_idwt", .boolean, default: true, "Transform the coefficients; else they are elements.")
    static let proportionalOption = AdapterOption(
        "proportional_parameters", .boolean, default: false,
        "Give each layer coefficients by its size, and this many in the mean.", decidesCount: true)
    package static let options = [
        countOption, scaleOption, familyOption, transformOption, proportionalOption, FourierFTConfiguration.seedOption,
    ]

    private var count = 2592
    private var pattern = PathPatterns()
    private var scale = 25.0
    private var family = "db1"
    private var transforms = true
    private var isProportional = false
    private var seed = 777
    private var startsAsBase = true
    private var selection = LayerSelection()
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        count = try settings.integer(Self.countOption)
        scale = try settings.number(Self.scaleOption)
        family = try settings.text(Self.familyOption)
        transforms = try settings.flag(Self.transformOption)
        isProportional = try settings.flag(Self.proportionalOption)
        seed = try settings.integer(FourierFTConfiguration.seedOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.fourierFT, settings.modelType))
        try checkFamily("--wavelet_family")
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        count = try reader.count("n_frequency", default: 2592)
        pattern = try PathPatterns(reader, "n_frequency_pattern", ofCounts: true)
        scale = try reader.number("scaling", default: 25)
        family = try reader.text("wavelet_family") ?? "db1"
        transforms = try reader.flag("use_idwt", default: true)
        isProportional = try reader.flag("proportional_parameters")
        seed = try reader.integer("random_loc_seed", default: 777)
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
        try checkFamily("\(file): wavelet_family")
    }

    private func checkFamily(_ place: String) throws {
        guard WaveletFilter(family) == nil, transforms else { return }
        throw AdapterError(
            "\(place) \"\(family)\" is not there: PEFT has no coefficients of it, or others than the wavelet's; there are "
                + WaveletFilter.names.joined(separator: ", "))
    }

    package var summary: String { "\(count) coefficients of \(family), scaled by \(pythonNumber(scale).serialized())" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let hosts = try selection.linearHosts(of: "WaveFT", on: model, leaving: base.storedModules, heads: heads)
        let total = hosts.reduce(0) { $0 + $1.linear.inputs * $1.linear.outputs }
        return try hosts.map { path, linear in
            var own = pattern[path].map { Int($0) } ?? count
            if isProportional {
                let share = Double(linear.inputs * linear.outputs) / Double(total)
                own = max(1, Int((share * Double(count * hosts.count)).rounded(.toNearestOrEven)))
            }
            try checkPlaces(own, in: linear, path, option: Self.countOption)
            let adapter = WaveFT(
                name: name, for: linear, count: own, scale: scale, filter: transforms ? WaveletFilter(family) : nil,
                startsAsBase: startsAsBase)
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    package func draw(_ parts: [AdapterPart]) throws {
        var random = RandomPlaces()
        for part in parts { try (part.adapter as? WaveFT)?.draw(UInt64(seed), &random) }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = selection.file(parts, excludes: true)
        file["init_weights"] = .bool(startsAsBase)
        file["n_frequency"] = .int(count)
        file["n_frequency_pattern"] = pattern.json
        file["proportional_parameters"] = .bool(isProportional)
        file["random_loc_seed"] = .int(seed)
        file["scaling"] = .double(scale)
        file["use_idwt"] = .bool(transforms)
        file["wavelet_family"] = .string(family)
        return base.json(Self.peftType, file)
    }
}
