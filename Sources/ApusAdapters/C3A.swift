package import ApusJSON
package import ApusNN
package import ApusTorch

/// `y + C x / in`: C consists of blocks b × b in which each row is the one above, moved on by a place.
///
/// `(C x)[m b + k] = Σₙ Σᵢ c[m, n, (i - k) mod b] · x[n b + i]`, through Fourier transforms.
/// Chen et al. 2024, <https://arxiv.org/abs/2407.19342>.
package final class C3A: LinearAdapter {
    @Parameter("c3a_kernel") var kernel: Tensor  // [out/b, in/b, b]

    private let block: Int

    init(name: String, for base: Linear, block: Int, initializer: Initializer) {
        self.block = block
        super.init(name: name)
        $kernel.declare([base.outputs / block, base.inputs / block, block], initializer)
    }

    package override var summary: String { "C3A(blocks of \(block))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let wide = kernel.dtype.atLeastFloat32
        let blocks = try x.to(wide).reshaped([-1, base.inputs / block, block])  // [T, in/b, b]
        let turned = try circularCorrelation(blocks, kernel.to(wide)).reshaped([-1, base.outputs])  // [T, out]
        return try summed(below?(x) ?? base.plain(x), turned / Double(base.inputs))
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let (outputs, inputs) = (matrix.shape[0], matrix.shape[1])
        let order = (0..<block).flatMap { k in (0..<block).map { Int32(($0 - k + block) % block) } }
        let turned = try kernel.to(wide).indexed(2, Tensor(order, device: matrix.device))
            .reshaped([outputs / block, inputs / block, block, block])  // [m, n, k, i]
            .permuted([0, 2, 1, 3]).reshaped([outputs, inputs])  // [out, in]
        return try (matrix.to(wide) + turned / Double(inputs)).to(matrix.dtype)
    }
}

/// C³A, as PEFT's `C3AConfig` describes it.
package struct C3AConfiguration: AdapterMethod {
    package static let peftType = "C3A"
    package static let tunerType = "c3a"

    static let blockOption = AdapterOption(
        "c3a_block_size", .integer(AdapterOption.counts), default: 256,
        "Size b of the blocks, by which the sizes of the layers must divide.", decidesCount: true)
    static let startOption = AdapterOption(
        "c3a_init_weights", .choice(["xavier_uniform", "kaiming_uniform", "gaussian", "true"]),
        default: "xavier_uniform", "Start of the blocks: random by one of three rules, or zero (true).")
    package static let options = [blockOption, startOption]

    private var block = 256
    private var pattern = PathPatterns()
    /// PEFT's `init_weights`: a name, true for zeros or false for Xavier's rule.
    private var start: JSONValue = "xavier_uniform"
    private var selection = LayerSelection()
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        block = try settings.integer(Self.blockOption)
        let word = settings[Self.startOption]
        start = word == "true" ? true : word
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.c3a, settings.modelType))
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        block = try reader.count("block_size", default: 256)
        pattern = try PathPatterns(reader, "block_size_pattern", ofCounts: true)
        start = json["init_weights"] ?? "xavier_uniform"
        guard [true, false, "gaussian", "kaiming_uniform", "xavier_uniform"].contains(start) else {
            throw reader.refusal(
                "\"init_weights\" is \(start.serialized()); there are xavier_uniform, kaiming_uniform, gaussian, true, false"
            )
        }
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
    }

    package var summary: String { "Blocks of \(block)" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try selection.linearHosts(
            of: "C3A", on: model, leaving: base.storedModules, heads: heads, allowsTransposed: false
        ).map { path, linear in
            let block = pattern[path].map { Int($0) } ?? block
            guard linear.inputs.isMultiple(of: block), linear.outputs.isMultiple(of: block) else {
                throw AdapterError(
                    "--c3a_block_size \(block) does not divide the sizes of \(path), \(linear.outputs) × \(linear.inputs); "
                        + "give a size that divides those of all layers")
            }
            let adapter = C3A(name: name, for: linear, block: block, initializer: try initializer(linear))
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    private func initializer(_ linear: Linear) throws -> Initializer {
        switch start {
        case true: return .zeros
        case "gaussian": return .normal(deviation: 1)
        case "kaiming_uniform": return .uniform(bound: (1 / Double(linear.inputs)).squareRoot())
        case "xavier_uniform", false:
            return .uniform(bound: (6 / Double(linear.inputs + linear.outputs)).squareRoot())
        default:
            throw AdapterError(
                "init_weights \(start.serialized()) is not known to C3A; known are xavier_uniform, kaiming_uniform, "
                    + "gaussian, true, false")
        }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = selection.file(parts)
        file["fan_in_fan_out"] = nil
        file["block_size"] = .int(block)
        file["block_size_pattern"] = pattern.json
        file["init_weights"] = start
        return base.json(Self.peftType, file)
    }
}
