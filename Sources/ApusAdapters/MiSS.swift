package import ApusJSON
package import ApusNN
package import ApusTorch

/// `W x + b + Bᵀ Σᵢ xᵢ`, the input cut into pieces xᵢ of r channels: one small matrix repeated along the input.
///
/// `bat`: blocks of W are added to in place of it, `Wᵢⱼ (I + Bᵢ) + Bᵢ`; `mini`: B is repeated along the output too. Kang
/// and Yin 2024, <https://arxiv.org/abs/2409.15371>.
package final class MiSS: LinearAdapter {
    @Parameter("miss_block") private var block: Tensor  // [r, out], [out / r, r, r] of `bat`, [r, m] of `mini`

    private let form: MiSSConfiguration.Form
    private let rank: Int
    private let dropout: Double
    private let stream: UInt64

    init(
        name: String, for base: Linear, form: MiSSConfiguration.Form, rank: Int, width: Int, dropout: Double,
        stream: UInt64
    ) {
        self.form = form
        self.rank = rank
        self.dropout = dropout
        self.stream = stream
        super.init(name: name)
        // Zeros: the adapted model starts as the base model.
        switch form {
        case .whole: $block.declare([rank, base.outputs])
        case .blocks: $block.declare([base.outputs / rank, rank, rank])
        case .mini: $block.declare([rank, width])
        }
    }

    package override var summary: String { "MiSS(\(($block.shape ?? []).map(String.init).joined(separator: " × ")))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let y = try below?(x) ?? base.plain(x)
        let wide = try x.to(block.dtype)
        guard form != .blocks else {
            return try y + linear(wide, change(of: base.matrix.to(block.dtype), block)).to(y.dtype)
        }
        let (count, rest) = base.inputs.quotientAndRemainder(dividingBy: rank)
        var whole = wide
        if rest > 0 {
            let zeros = try Tensor.zeros([x.shape[0], rank - rest], dtype: block.dtype, device: x.device)
            whole = try concatenated([wide, zeros], axis: 1)
        }
        let kept = try AdapterChance.dropped(whole, dropout, stream: stream, context)
        let sums = try kept.reshaped([-1, count + (rest > 0 ? 1 : 0), rank]).sum(1)  // [T, r]
        return try y + repeated(matmul(sums, block), base.outputs).to(y.dtype)
    }

    /// Of `bat` the blocks of W and what is added to it.
    package override func keptCount(on base: Linear) -> Int {
        form == .blocks ? 2 * base.inputs * base.outputs : 0
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = try matrix.to(matrix.dtype.atLeastFloat32)
        return try (wide + change(of: wide, block.to(wide.dtype))).to(matrix.dtype)
    }

    /// What is added to a matrix [out, in].
    private func change(of matrix: Tensor, _ block: Tensor) throws -> Tensor {
        let (outputs, inputs) = (matrix.shape[0], matrix.shape[1])
        if form == .blocks {
            let split = try matrix.reshaped([outputs / rank, rank, inputs / rank, rank])
                .permuted([2, 0, 1, 3])  // [in / r, out / r, r, r]
            return try (matmul(split, block) + block).permuted([1, 2, 0, 3]).reshaped([outputs, inputs])
        }
        let rows = try repeated(block, outputs).transposed(0, 1)  // [out, r]
        let pieces = (inputs + rank - 1) / rank
        return try rows.unsqueezed(1).expanded([outputs, pieces, rank]).reshaped([outputs, pieces * rank])
            .narrowed(1, start: 0, length: inputs)
    }

    /// The last axis repeated until it has so many channels.
    private func repeated(_ x: Tensor, _ channels: Int) throws -> Tensor {
        let (rows, width) = (x.shape[0], x.shape[1])
        guard width < channels else { return x }
        return try x.unsqueezed(1).expanded([rows, channels / width, width]).reshaped([rows, channels])
    }
}

/// MiSS, as PEFT's `MissConfig` describes it.
package struct MiSSConfiguration: MatrixMethod {
    package static let peftType = "MISS"
    package static let tunerType = "miss"
    package static let title = "MiSS"
    package static let formerPEFTTypes = [
        "BONE":
            "PEFT has it no more and calls what came of it MISS; rename its tensors from bone_block to miss_block and "
            + "\"peft_type\" to MISS, or merge it with a PEFT before 0.20"
    ]

    static let rankOption = AdapterOption(
        "miss_r", .integer(AdapterOption.counts), default: 64, "Channels of the input that share a row of the adapter.",
        decidesCount: true)
    static let dropoutOption = AdapterOption("miss_dropout", .number(0..<1), default: 0, "Dropout before the adapter.")
    static let widthOption = AdapterOption(
        "miss_mini_r", .integer(AdapterOption.counts), default: 1,
        "Channels of the output that differ, with miss_init_weights mini.", decidesCount: true)
    static let formOption = AdapterOption(
        "miss_init_weights", .choice(["true", "bat", "mini"]), default: "true",
        "Form of the adapter: true, bat (it multiplies the weights too), mini (smaller).", decidesCount: true)
    package static let options = [rankOption, dropoutOption, widthOption, formOption]

    enum Form: Sendable, Equatable { case whole, blocks, mini }

    package var selection = LayerSelection()
    private var rank = 64
    private var dropout = 0.0
    private var width = 1
    /// PEFT's `init_weights`, which is the form.
    private var start: JSONValue = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        dropout = try settings.number(Self.dropoutOption)
        width = try settings.integer(Self.widthOption)
        let name = try settings.text(Self.formOption)
        start = name == "true" ? true : .string(name)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
        guard form != .blocks || dropout == 0 else {
            throw AdapterError(
                "--miss_dropout \(dropout): --miss_init_weights bat changes the weights themselves and has no dropout before "
                    + "it; leave one of the two out")
        }
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        rank = try reader.count("r", default: 64)
        dropout = try reader.probability("miss_dropout")
        width = try reader.count("mini_r", default: 1)
        start = json["init_weights"] ?? true
        guard [true, false, "bat", "mini"].contains(start) else {
            throw reader.refusal("\"init_weights\" must be true, false, bat or mini, it is \(start.serialized())")
        }
        selection = try LayerSelection(reader)
        base = try reader.base(storesBiases: false)
    }

    private var form: Form {
        switch start {
        case "bat": .blocks
        case "mini": .mini
        default: .whole
        }
    }

    package var summary: String { "Rank \(rank)" + (form == .whole ? "" : ", \(start.stringValue ?? "")") }

    package func adapter(for linear: Linear, at path: String, named name: String) throws -> LinearAdapter {
        switch form {
        case .blocks where linear.inputs % rank != 0 || linear.outputs % rank != 0:
            throw refusal(
                path,
                "bat cuts the matrix into squares of \(rank), which its \(linear.outputs) × \(linear.inputs) cannot be; give "
                    + "a miss_r that divides both")
        case .mini where linear.outputs % width != 0:
            throw refusal(
                path,
                "mini repeats \(width) channels, which do not divide its \(linear.outputs); give another miss_mini_r")
        default: break
        }
        return MiSS(
            name: name, for: linear, form: form, rank: rank, width: width, dropout: dropout,
            stream: AdapterStream.key(name, path))
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "bias": "none", "init_weights": start, "mini_r": .int(width), "miss_dropout": .double(dropout),
            "r": .int(rank),
        ]
    }
}
