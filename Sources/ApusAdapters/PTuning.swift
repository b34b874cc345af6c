package import ApusJSON
package import ApusNN
package import ApusTorch

// n places, D width, H hidden width of the encoder.

/// What makes the vectors of a prompt while it is trained: a network on top of trained vectors.
package enum PromptEncoder: String, Sendable {
    /// `W₃ relu(W₂ relu(W₁ e))`, with biases.
    case layers = "MLP"
    /// `W₂ relu(W₁ LSTM(e))`, with an LSTM that reads the places both ways.
    case recurrent = "LSTM"
}

/// Vectors in front of those of the words, made by a network.
///
/// Liu et al. 2021, <https://arxiv.org/abs/2103.10385>.
package final class EncodedPrompt: TablePrompt {
    @Parameter("embedding.weight") private var table: Tensor  // [n, D], or [2n, D] where an encoder reads
    @Child("lstm_head") private var recurrent: BidirectionalLSTM?
    @Child("mlp_head") private var head: PromptHead

    /// - Parameters:
    ///   - layers: How many LSTMs lie on each other.
    ///   - dropout: Between them.
    init(
        name: String, places: Int, host: any PromptHost, encoder: PromptEncoder, hidden: Int, layers: Int,
        dropout: Double, stream: UInt64
    ) {
        let width = host.embedding.width
        super.init(name: name, places: places, hasEncoder: host.hasEncoder)
        $table.declare([rowCount, width], .normal(deviation: 1))
        switch encoder {
        case .layers:
            recurrent = nil
            head = PromptHead([width, hidden, hidden, width])
        case .recurrent:
            recurrent = BidirectionalLSTM(
                inputs: width, hidden: hidden, layers: layers, dropout: dropout, stream: stream)
            head = PromptHead([2 * hidden, 2 * hidden, width])
        }
    }

    override func vectors(_ context: ForwardContext) throws -> Tensor {
        try encoded(key: context.isTraining ? context.randomKey : nil)
    }

    private func encoded(key: UInt64?) throws -> Tensor { try head(recurrent?(table, key: key) ?? table) }

    package override var isStoredAsTrained: Bool { false }

    package override func stored() throws -> [(name: String, tensor: Tensor)] {
        [("prompt_embeddings", try withoutGradients { try encoded(key: nil) })]
    }
}

/// Linear layers with relu between them, under the names of PyTorch's `Sequential`: 0, 2, 4.
final class PromptHead: Module {
    @Child("0") private var first: DenseLayer
    @Child("2") private var second: DenseLayer
    @Child("4") private var third: DenseLayer?

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its widths") }

    init(_ widths: [Int]) {
        super.init()
        first = DenseLayer(widths[0], widths[1])
        second = DenseLayer(widths[1], widths[2])
        third = widths.count > 3 ? DenseLayer(widths[2], widths[3]) : nil
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try second(relu(first(x)))
        return try third?(relu(y)) ?? y
    }
}

/// P-tuning, as PEFT's `PromptEncoderConfig` describes it.
package struct PTuningConfiguration: AdapterMethod {
    package static let peftType = "P_TUNING"
    package static let tunerType = "p_tuning"
    package static let modelPrefix = promptPrefix
    package static let hangsOnLayers = false

    /// Networks of more layers are slips.
    private static let mostLayers = 64

    static let encoderOption = AdapterOption(
        "encoder_reparameterization_type", .choice(["MLP", "LSTM"]), default: "MLP",
        "The network that makes the prompt while training.", decidesCount: true)
    static let layersOption = AdapterOption(
        "encoder_num_layers", .integer(1...mostLayers), default: 2,
        "LSTMs on each other; an MLP has three layers.",
        decidesCount: true)
    static let dropoutOption = AdapterOption(
        "encoder_dropout", .number(0..<1), default: 0.0, "Dropout between the LSTMs.")
    package static let options = [
        PromptSizes.countOption, PrefixTuningConfiguration.widthOption, encoderOption, layersOption, dropoutOption,
    ]

    private var sizes: PromptSizes
    private var encoder = PromptEncoder.layers
    private var hiddenWidth: Int?
    private var layers = 2
    private var dropout = 0.0
    /// Whether the file's table is what there is, and not what makes it.
    private let isFlat: Bool
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        sizes = try PromptSizes(settings)
        encoder = PromptEncoder(rawValue: try settings.text(Self.encoderOption)) ?? .layers
        hiddenWidth = settings[PrefixTuningConfiguration.widthOption].intValue
        layers = try settings.integer(Self.layersOption)
        dropout = try settings.number(Self.dropoutOption)
        isFlat = false
        guard encoder == .recurrent || (layers == 2 && dropout == 0) else {
            throw AdapterError(
                "--encoder_num_layers and --encoder_dropout are read only with --encoder_reparameterization_type LSTM; an MLP "
                    + "has three layers and drops nothing")
        }
        guard layers > 1 || dropout == 0 else {
            throw AdapterError("--encoder_dropout lies between LSTMs, and --encoder_num_layers is 1; leave it out")
        }
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        sizes = try PromptSizes(reader)
        let name = try reader.text("encoder_reparameterization_type") ?? "MLP"
        guard let encoder = PromptEncoder(rawValue: name) else {
            throw reader.refusal(
                "\"encoder_reparameterization_type\" is \"\(name)\", which is not known; known are MLP, LSTM")
        }
        self.encoder = encoder
        hiddenWidth = try reader.optional("encoder_hidden_size", "a positive whole number", \.intValue)
        layers = try reader.count("encoder_num_layers", default: 2)
        guard layers <= Self.mostLayers else {
            throw reader.refusal("\"encoder_num_layers\" must be at most \(Self.mostLayers), it is \(layers)")
        }
        dropout = try reader.number("encoder_dropout", default: 0)
        isFlat = true
        base = try reader.base()
    }

    package var summary: String { "\(sizes.count) vectors in front, of an \(encoder.rawValue)" }

    package mutating func train(_ settings: AdapterSettings) throws {
        throw AdapterError(
            "--adapters: the file of p_tuning holds the prompt and not the network that makes it, so that training cannot go "
                + "on from it. Resume the run, or start a new one")
    }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let (path, host) = try sizes.host(in: model, for: base.taskType, ofAttention: false)
        let width = host.embedding.width
        let adapter: InputAdapter =
            isFlat
            ? PromptEmbedding(name: name, places: sizes.count, host: host)
            : EncodedPrompt(
                name: name, places: sizes.count, host: host, encoder: encoder, hidden: hiddenWidth ?? width,
                layers: layers, dropout: dropout, stream: AdapterStream.key(name, path))
        host.prompts.append(adapter)
        return [AdapterPart(path: path, host: host, adapter: adapter, prefix: "")]
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = sizes.json(parts, ofAttention: false)
        file["encoder_dropout"] = .double(dropout)
        file["encoder_hidden_size"] = hiddenWidth.map(JSONValue.int) ?? file["token_dim"] ?? .null
        file["encoder_num_layers"] = .int(layers)
        file["encoder_reparameterization_type"] = .string(encoder.rawValue)
        return base.json(Self.peftType, file)
    }
}
