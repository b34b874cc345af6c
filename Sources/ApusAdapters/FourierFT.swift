package import ApusJSON
package import ApusNN
import ApusTorch

/// `(W + s · Re F⁻¹(E)) x + b`: E [out, in] is zero but for n trained entries of the spectrum at random places.
///
/// Gao et al. 2024, <https://arxiv.org/abs/2405.03003>.
package final class FourierFT: MatrixDelta {
    @Parameter("fourierft_spectrum") var spectrum: Tensor  // [n]
    @Constant("indices") private var places: Tensor  // [n]

    private let inputs: Int
    private let outputs: Int
    private let scale: Double

    init(name: String, for base: Linear, count: Int, scale: Double, initializer: Initializer) {
        (inputs, outputs) = (base.inputs, base.outputs)
        self.scale = scale
        super.init(name: name)
        $spectrum.declare([count], initializer)
        $places.declare([count])
    }

    package override var summary: String { "FourierFT(\($spectrum.count))" }

    override func delta() throws -> Tensor {
        let wide = try spectrum.to(spectrum.dtype.atLeastFloat32)
        return try inverseFourier(sparse(wide, at: places, outputs, inputs)) * scale  // [out, in]
    }

    func draw(_ seed: UInt64, _ random: inout RandomPlaces) throws {
        try $places.fill(random.places($spectrum.count, of: inputs * outputs, seed: seed))
    }
}

/// FourierFT, as PEFT's `FourierFTConfig` describes it.
package struct FourierFTConfiguration: AdapterMethod {
    package static let peftType = "FOURIERFT"
    package static let tunerType = "fourierft"

    static let countOption = AdapterOption(
        "fourier_n_frequency", .integer(AdapterOption.counts), default: 2000,
        "Entries trained of each layer's spectrum.", decidesCount: true)
    static let scaleOption = AdapterOption(
        "fourier_scaling", .number(-1e30..<1e30), default: 300.0, "The adapter is scaled by this.")
    static let seedOption = AdapterOption(
        "random_loc_seed", .integer(0...Int(Int32.max)), default: 777, "Seed of the places that are trained.")
    package static let options = [countOption, scaleOption, seedOption]

    private var count = 1000
    private var pattern = PathPatterns()
    private var scale = 150.0
    private var seed = 777
    private var startsAsBase = false
    private var selection = LayerSelection()
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        count = try settings.integer(Self.countOption)
        scale = try settings.number(Self.scaleOption)
        seed = try settings.integer(Self.seedOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.fourierFT, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        count = try reader.count("n_frequency", default: 1000)
        pattern = try PathPatterns(reader, "n_frequency_pattern", ofCounts: true)
        scale = try reader.number("scaling", default: 150)
        seed = try reader.integer("random_loc_seed", default: 777)
        startsAsBase = try reader.flag("init_weights")
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
    }

    package var summary: String { "\(count) entries of the spectrum, scaled by \(pythonNumber(scale).serialized())" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let hosts = try selection.linearHosts(of: "FourierFT", on: model, leaving: base.storedModules, heads: heads)
        return try hosts.map { path, linear in
            let count = pattern[path].map { Int($0) } ?? count
            try checkPlaces(count, in: linear, path, option: Self.countOption)
            let adapter = FourierFT(
                name: name, for: linear, count: count, scale: scale,
                initializer: startsAsBase ? .zeros : .normal(deviation: 1))
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    package func draw(_ parts: [AdapterPart]) throws {
        var random = RandomPlaces()
        for part in parts { try (part.adapter as? FourierFT)?.draw(UInt64(seed), &random) }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = selection.file(parts, excludes: true)
        file["init_weights"] = .bool(startsAsBase)
        file["n_frequency"] = .int(count)
        file["n_frequency_pattern"] = pattern.json
        file["random_loc_seed"] = .int(seed)
        file["scaling"] = .double(scale)
        return base.json(Self.peftType, file)
    }
}

/// Refuses more places than a matrix has elements.
func checkPlaces(_ count: Int, in linear: Linear, _ path: String, option: AdapterOption) throws {
    guard count <= linear.inputs * linear.outputs else {
        throw AdapterError(
            "--\(option.name) \(count) is more than the \(linear.inputs * linear.outputs) elements of \(path); give a lower "
                + "number, or leave the layer out")
    }
}
