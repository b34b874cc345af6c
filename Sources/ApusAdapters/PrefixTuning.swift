package import ApusJSON
package import ApusNN
package import ApusTorch

// n places, L layers, K key/value heads, E head size, C = K · E, H the width of the projection.

/// Trained keys and values in front of every layer's own.
///
/// Either the table [n, L · 2 · C] itself, or two layers that make it of vectors [n, C]:
/// `W₂ tanh(W₁ e + b₁) + b₂`. Li and Liang 2021, <https://arxiv.org/abs/2101.00190>.
package final class PrefixEmbedding: AttentionAdapter {
    @Parameter("prompt_embeddings") private var table: Tensor?  // [n, L · 2 · C]
    @Parameter("embedding.weight") private var vectors: Tensor?  // [n, C]
    @Parameter("transform.0.weight") private var inner: Tensor?  // [H, C]
    @Parameter("transform.0.bias") private var innerBias: Tensor?
    @Parameter("transform.2.weight") private var outer: Tensor?  // [L · 2 · C, H]
    @Parameter("transform.2.bias") private var outerBias: Tensor?

    private let heads: Int
    private let headSize: Int
    private let layers: Int
    /// The number of the first layer that asks.
    private let first: Int
    /// How many of the table's layers lie between those of two layers that follow one another.
    private let step: Int

    /// - Parameters:
    ///   - projection: The width H of the layer between; nil trains the table itself.
    ///   - startsAtZero: Whether keys and values begin as zeros, and are not drawn.
    init(name: String, count: Int, host: any PromptHost, projection: Int?, startsAtZero: Bool) {
        heads = host.sizes.keyValueHeads
        headSize = host.sizes.headSize
        layers = host.configuredLayers
        first = host.sequenceLayers.lowerBound
        // PEFT hands the table out twice over, two layers at a time: one for attention to the own sequence, and one for
        // attention across, which takes none.
        step = host.hasEncoder ? 2 : 1
        super.init(name: name, count: count)
        let width = heads * headSize
        let all = layers * 2 * width
        guard let projection else {
            $table.declare([count, all], startsAtZero ? .zeros : .normal(deviation: 1))
            return
        }
        $vectors.declare([count, width], .normal(deviation: 1))
        $inner.declare([projection, width], .kaimingUniform)
        $innerBias.declare([projection], .uniform(bound: 1 / Double(width).squareRoot()))
        $outer.declare([all, projection], startsAtZero ? .zeros : .kaimingUniform)
        $outerBias.declare([all], startsAtZero ? .zeros : .uniform(bound: 1 / Double(projection).squareRoot()))
    }

    package override func keysAndValues(
        ofLayer layer: Int, _ context: ForwardContext
    ) throws -> (keys: Tensor, values: Tensor) {
        let width = heads * headSize
        let own = (layer - first) * step % layers
        func part(_ place: Int) throws -> Tensor {
            try rows(start: (2 * own + place) * width, count: width).reshaped([count, heads, headSize])
        }
        return (try part(0), try part(1))
    }

    /// Columns of the table, made of what is trained.
    private func rows(start: Int, count columns: Int) throws -> Tensor {
        guard let vectors, let inner, let outer, let outerBias else {
            guard let table else { preconditionFailure("a prefix has a table, or what makes one") }
            return try table.narrowed(1, start: start, length: columns)
        }
        return try linear(
            tanh(linear(vectors, inner, innerBias)), outer.narrowed(0, start: start, length: columns),
            outerBias.narrowed(0, start: start, length: columns))
    }

    package override var isStoredAsTrained: Bool { $table.isDeclared }

    /// The table, whatever makes it.
    package override func stored() throws -> [(name: String, tensor: Tensor)] {
        guard let outer else { return try super.stored() }
        return [("prompt_embeddings", try withoutGradients { try rows(start: 0, count: outer.shape[0]) })]
    }
}

/// Prefix tuning, as PEFT's `PrefixTuningConfig` describes it.
package struct PrefixTuningConfiguration: AdapterMethod {
    package static let peftType = "PREFIX_TUNING"
    package static let tunerType = "prefix_tuning"
    package static let modelPrefix = promptPrefix
    package static let hangsOnLayers = false

    static let projectionOption = AdapterOption(
        "prefix_projection", .boolean, default: false, "Make the prefix by two layers while training.",
        decidesCount: true)
    static let widthOption = AdapterOption(
        "encoder_hidden_size", .integer(AdapterOption.counts),
        "Width between the layers that make the prompt; by default that of the prompt.", decidesCount: true)
    static let startOption = AdapterOption(
        "prefix_init_weights", .choice(["random", "zero"]), default: "random", "Start of the prefix.")
    package static let options = [PromptSizes.countOption, projectionOption, widthOption, startOption]

    private var sizes: PromptSizes
    private var isProjected = false
    private var hiddenWidth: Int?
    private var startsAtZero = false
    /// Whether the file's table is what there is, and not what makes it.
    private let isFlat: Bool
    /// Whether PEFT makes keys for every head of the model, also where heads share them.
    private var ignoresSharing = false
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        sizes = try PromptSizes(settings)
        isProjected = try settings.flag(Self.projectionOption)
        hiddenWidth = settings[Self.widthOption].intValue
        startsAtZero = try settings.text(Self.startOption) == "zero"
        isFlat = !isProjected
        ignoresSharing = ["falcon", "RefinedWeb", "RefinedWebModel"].contains(settings.modelType)
        guard isProjected || hiddenWidth == nil else {
            throw AdapterError("--encoder_hidden_size is read only with --prefix_projection true; give that too")
        }
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        sizes = try PromptSizes(reader)
        isProjected = try reader.flag("prefix_projection")
        hiddenWidth = try reader.optional("encoder_hidden_size", "a positive whole number", \.intValue)
        startsAtZero = try reader.text("init_weights") == "zero"
        isFlat = true
        base = try reader.base()
    }

    package var summary: String { "\(sizes.count) keys and values in front, in each layer" }

    /// PEFT refuses it as well.
    package mutating func train(_ settings: AdapterSettings) throws {
        guard !isProjected else {
            throw AdapterError(
                "--adapters: the file of a prefix with prefix_projection holds the prefix and not the layers that make it, "
                    + "so that training cannot go on from it. Resume the run, or start a new one")
        }
    }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let (path, host) = try sizes.host(in: model, for: base.taskType, ofAttention: true)
        guard host.isCausal else {
            throw AdapterError(
                "prefix_tuning puts keys and values in front of a text, and encoders of the BERT family do not read them in "
                    + "transformers; take --tuner_type prompt_tuning or p_tuning")
        }
        guard !ignoresSharing || host.sizes.keyValueHeads == host.sizes.heads else {
            throw AdapterError(
                "prefix_tuning: several heads of this Falcon share a key, and PEFT makes one for each; take --tuner_type "
                    + "prompt_tuning, p_tuning or lora")
        }
        guard host.sequenceLayers.count <= host.configuredLayers else {
            throw AdapterError(
                "prefix_tuning: the decoder of this model has \(host.sequenceLayers.count) layers and its encoder "
                    + "\(host.configuredLayers), for which alone PEFT makes keys and values; take --tuner_type prompt_tuning, "
                    + "p_tuning or lora")
        }
        let width = host.sizes.keyValueHeads * host.sizes.headSize
        let adapter = PrefixEmbedding(
            name: name, count: sizes.count, host: host, projection: isFlat ? nil : hiddenWidth ?? width,
            startsAtZero: startsAtZero)
        host.prompts.append(adapter)
        return [AdapterPart(path: path, host: host, adapter: adapter, prefix: "")]
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = sizes.json(parts, ofAttention: true)
        file["encoder_hidden_size"] = hiddenWidth.map(JSONValue.int) ?? file["token_dim"] ?? .null
        file["init_weights"] = startsAtZero ? "zero" : JSONValue.null
        file["prefix_projection"] = .bool(isProjected)
        return base.json(Self.peftType, file)
    }
}
