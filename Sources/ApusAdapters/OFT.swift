package import ApusJSON
package import ApusNN
package import ApusTorch

/// `W (x R) + b`: R turns the input in blocks, each an orthogonal matrix that a skew-symmetric one stands for.
///
/// Qiu et al. 2023, <https://arxiv.org/abs/2306.07280>; Qiu et al. 2025, <https://arxiv.org/abs/2506.19847>.
package final class OFT: LinearAdapter {
    @Parameter("oft_R.weight") private var weight: Tensor  // [N, b (b − 1) / 2], or [1, …] for all blocks alike

    private let form: OFTConfiguration.Form
    private let size: Int
    private let count: Int
    private let dropout: Double
    private let stream: UInt64
    /// Where the element of a matrix lies among those above its diagonal, their negatives, and a zero.
    private let places: IndexTable

    init(name: String, for base: Linear, size: Int, dropout: Double, form: OFTConfiguration.Form, stream: UInt64) {
        self.form = form
        self.size = size
        self.dropout = dropout
        self.stream = stream
        count = form.sharesBlocks ? 1 : base.inputs / size
        let triangle = size * (size - 1) / 2
        var positions = [Int](repeating: 2 * triangle, count: size * size)
        var next = 0
        for row in 0..<size {
            for column in row + 1..<max(size, row + 1) {
                positions[row * size + column] = next
                positions[column * size + row] = triangle + next
                next += 1
            }
        }
        places = IndexTable(positions)
        super.init(name: name)
        $weight.declare([count, triangle])  // zeros: nothing is turned
    }

    package override var summary: String { "OFT(\(count) × \(size))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        if form.isConstrained, isRecordingGradients {
            // PEFT brings the trained values themselves back into the ball, in each pass.
            try withoutGradients { try weight.copy(from: constrained(weight)) }
        }
        var blocks = try rotations(weight)
        if context.isTraining, count > 1 {
            let key = streamKey(context.randomKey, stream)
            blocks = try BlockRotation.dropped(
                blocks, AdapterChance.chosen(Int(dropout * Double(count)), of: count, key: key))
        }
        let turned = try BlockRotation.rotated(x.to(blocks.dtype), by: blocks).to(x.dtype)
        return try below?(turned) ?? base.plain(turned)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let blocks = try rotations(weight.to(wide)).transposed(1, 2)
        return try BlockRotation.rotated(matrix.to(wide), by: blocks).to(matrix.dtype)
    }

    /// R of each block, [N, b, b].
    private func rotations(_ weight: Tensor) throws -> Tensor {
        let weight = try form.isConstrained && !isRecordingGradients ? constrained(weight) : weight
        let zero = try Tensor.zeros([count, 1], dtype: weight.dtype, device: weight.device)
        let parts = try concatenated([weight, -weight, zero], axis: 1)
        let q = try parts.indexed(1, places.on(weight.device)).reshaped([count, size, size])
        return try form.terms.map { try Self.series(q, terms: $0) } ?? BlockRotation.cayley(q)
    }

    /// `(I + Q)(I − Q)⁻¹ ≈ I + 2 Q + 2 Q² + … + Qᵏ⁻¹`, k terms of Neumann's series; with fewer than four, as PEFT's.
    private static func series(_ q: Tensor, terms: Int) throws -> Tensor {
        var sum = try Tensor.identity(q.shape[1], dtype: q.dtype, device: q.device).expanded(q.shape)
        guard terms > 1 else { return sum }
        sum = try sum + q * 2
        guard terms > 2 else { return sum }
        var power = try matmul(q, q)
        sum = try sum + power * 2
        for _ in 0..<max(terms - 4, 0) {
            power = try matmul(power, q)
            sum = try sum + power * 2
        }
        return try sum + matmul(power, q)
    }

    /// The values with no block's norm above ε / √N.
    private func constrained(_ weight: Tensor) throws -> Tensor {
        // PEFT divides in float32.
        let bound = Double(Float(form.epsilon) / Float(count).squareRoot())
        let norms = try sqrt(weight.power(2).sum(1, keepAxis: true) * 2)  // of the skew-symmetric matrices
        let ones = try Tensor.ones(norms.shape, dtype: norms.dtype, device: norms.device)
        let factors = try select(norms.isGreater(than: ones * bound), ones * bound / norms, ones)
        return try weight * factors
    }
}

/// OFT, as PEFT's `OFTConfig` describes it.
package struct OFTConfiguration: MatrixMethod {
    package static let peftType = "OFT"
    package static let tunerType = "oft"
    package static let title = "OFT"

    static let sizeOption = AdapterOption(
        "oft_block_size", .integer(0...(1 << 20)), default: 32,
        "Size of the blocks that are turned, or the nearest that divides the layer's input; 0 takes oft_r.",
        decidesCount: true)
    static let countOption = AdapterOption(
        "oft_r", .integer(0...(1 << 20)), default: 0, "Count of the blocks, where oft_block_size is 0.",
        decidesCount: true, onlyWith: [AdapterOption.Condition("oft_block_size", "0")])
    static let dropoutOption = AdapterOption(
        "oft_module_dropout", .number(0..<1), default: 0, "Part of the blocks that is not turned.")
    static let constraintOption = AdapterOption(
        "oft_coft", .boolean, default: false, "Keep the rotations small (COFT).")
    static let epsilonOption = AdapterOption(
        "oft_eps", .number(.leastNonzeroMagnitude..<1e30), default: 6e-5, "How small: the bound of COFT.",
        onlyWith: [AdapterOption.Condition("oft_coft", "true")])
    static let shareOption = AdapterOption(
        "oft_block_share", .boolean, default: false, "Turn all blocks of a layer alike.", decidesCount: true)
    static let seriesOption = AdapterOption(
        "oft_use_cayley_neumann", .boolean, default: true, "Compute rotations by a series, not exactly.")
    static let termsOption = AdapterOption(
        "oft_num_cayley_neumann_terms", .integer(AdapterOption.counts), default: 5, "Terms of that series.",
        onlyWith: [AdapterOption.Condition("oft_use_cayley_neumann", "true")])
    package static let options = [
        sizeOption, countOption, dropoutOption, constraintOption, epsilonOption, shareOption, seriesOption, termsOption,
    ]

    /// What rotations are made of the trained values.
    struct Form: Sendable, Equatable {
        var isConstrained = false
        var epsilon = 6e-5
        var sharesBlocks = false
        var usesSeries = true
        var termCount = 5

        var terms: Int? { usesSeries ? termCount : nil }
    }

    package var selection = LayerSelection()
    private var blockSize = 32
    private var blockCount = 0
    private var dropout = 0.0
    private var form = Form()
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        blockSize = try settings.integer(Self.sizeOption)
        blockCount = try settings.integer(Self.countOption)
        dropout = try settings.number(Self.dropoutOption)
        form.isConstrained = try settings.flag(Self.constraintOption)
        form.epsilon = try settings.number(Self.epsilonOption)
        form.sharesBlocks = try settings.flag(Self.shareOption)
        form.usesSeries = try settings.flag(Self.seriesOption)
        form.termCount = try settings.integer(Self.termsOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
        try checkSizes("--oft_block_size", "--oft_r")
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        guard json["oft_block_size"] != nil else {
            throw reader.refusal(
                "\"oft_block_size\" is missing: this is OFT as PEFT had it until 0.13, which stood for other matrices; train "
                    + "it again, or merge it with that version")
        }
        blockSize = try reader.integer("oft_block_size", default: 32)
        blockCount = try reader.integer("r", default: 0)
        dropout = try reader.probability("module_dropout")
        form.isConstrained = try reader.flag("coft")
        form.epsilon = try reader.number("eps", default: 6e-5)
        form.sharesBlocks = try reader.flag("block_share")
        form.usesSeries = try reader.flag("use_cayley_neumann", default: true)
        form.termCount = try reader.integer("num_cayley_neumann_terms", default: 5)
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
        try checkSizes("\(file): \"oft_block_size\"", "\"r\"")
        if json["use_cayley_neumann"] == true, try reader.isOlder(than: (0, 18)) {
            throw reader.refusal(
                "PEFT before 0.18 summed the series of \"use_cayley_neumann\" otherwise, so that its adapters would compute "
                    + "something else here; train it again, or merge it with that version")
        }
    }

    private func checkSizes(_ size: String, _ count: String) throws {
        guard (blockSize == 0) != (blockCount == 0) else {
            throw AdapterError(
                "\(size) is \(blockSize) and \(count) is \(blockCount): one of the two must be 0, since their product is "
                    + "the layer's input")
        }
    }

    package var summary: String { blockSize > 0 ? "Blocks of \(blockSize)" : "\(blockCount) blocks" }

    package func adapter(for linear: Linear, at path: String, named name: String) -> LinearAdapter {
        let size =
            blockSize > 0
            ? Self.divisor(of: linear.inputs, near: blockSize)
            : linear.inputs / Self.divisor(of: linear.inputs, near: blockCount)
        return OFT(
            name: name, for: linear, size: size, dropout: dropout, form: form, stream: AdapterStream.key(name, path))
    }

    /// The divisor that is nearest to a number, the smaller of two; PEFT takes it with a warning.
    static func divisor(of dimension: Int, near number: Int) -> Int {
        guard number < dimension else { return dimension }
        let lower = (1...number).last { dimension % $0 == 0 } ?? 1
        let higher = (number...dimension).first { dimension % $0 == 0 } ?? dimension
        return number - lower <= higher - number ? lower : higher
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "bias": "none", "block_share": .bool(form.sharesBlocks), "coft": .bool(form.isConstrained),
            "eps": .double(form.epsilon), "fan_in_fan_out": false,
            "init_weights": .bool(startsAsBase), "module_dropout": .double(dropout),
            "num_cayley_neumann_terms": .int(form.termCount), "oft_block_size": .int(blockSize), "r": .int(blockCount),
            "use_cayley_neumann": .bool(form.usesSeries),
        ]
    }
}
