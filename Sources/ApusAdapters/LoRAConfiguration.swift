import ApusJSON
package import ApusNN

/// LoRA, as PEFT's `LoraConfig` describes it.
package struct LoRAConfiguration: AdapterMethod {
    package static let peftType = "LORA"
    package static let tunerType = "lora"

    package enum Initialization: Sendable, Equatable {
        /// A by Kaiming's rule, B zero (`true`).
        case standard
        /// A from N(0, 1/r²), B zero (`"gaussian"`).
        case gaussian
        /// Both random (`false`), for tests: the adapted model differs from the base model at once.
        case random
        /// The base matrix's singular values (`"pissa"`, `"pissa_niter_16"`); computed whole under either name.
        case pissa(name: String)
        /// The base matrix's QR decomposition (`"olora"`).
        case olora
        /// What rounding the base matrix has lost (`"loftq"`).
        case loftq
        /// Principal components of the layers' inputs (`"eva"`).
        case eva
        /// Singular values beside the correlation of the layers' inputs (`"corda"`).
        case corda
        /// Singular vectors of the base matrix's gradient (`"lora_ga"`).
        case gradients
        /// A way that leaves the base matrix as it is and whose first values the file's replace.
        case stored(name: String)
    }

    package var rank = 8
    package var alpha = 8.0
    package var dropout = 0.0
    package var usesRankStabilization = false
    /// DoRA: directions and lengths of the weights' rows apart.
    package var isDecomposed = false
    /// Whether B has a bias.
    package var hasBias = false
    package var selection = LayerSelection()
    /// Patterns on module paths to other ranks and alphas, in order.
    var rankPattern = PathPatterns()
    var alphaPattern = PathPatterns()
    package var initialization = Initialization.standard
    var start = LoRAStartSettings()
    /// What a file says of how the adapter began, by PEFT's keys.
    var startKeys = JSONObject()
    /// Pieces of the model's layers that follow one another; nil takes the layers as they are.
    var replication: LayerReplication?
    /// Weights to adapt, by the ends of their names.
    var parameters: [String] = []
    /// Where the model has experts; nil before it is known, or without any.
    var experts: ExpertPlaces?
    /// Whether the file holds a pair of matrices for each expert; nil where there is none.
    var holdsEachExpert: Bool?
    /// The learning rate of B over that of A.
    ///
    /// Hayou et al. 2024, <https://arxiv.org/abs/2402.12354>.
    package var rateRatio: Double?
    /// Tokens that are trained by themselves.
    var tokens: TokenTargets?
    /// Whether a table of words and the head that is tied to it are trained as one (`ensure_weight_tying`).
    var ensuresTies = false
    /// The table and heads of which a file adapts one and means all; nil before the model is known, or without any.
    var tied: (table: String, heads: [String])?
    package var base = AdapterBase()

    package init() {}

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        alpha = try settings.number(Self.alphaOption)
        dropout = try settings.number(Self.dropoutOption)
        usesRankStabilization = try settings.flag(Self.rankStabilizationOption)
        isDecomposed = try settings.flag(Self.decompositionOption)
        selection = try LayerSelection(settings, DefaultTargets.lora)
        hasBias = try settings.flag(Self.shiftOption)
        base.biases = try TrainedBiases(rawValue: settings.text(Self.biasOption)) ?? .none
        let patterns = try ConfigurationReader(settings, [Self.rankPatternOption, Self.alphaPatternOption])
        rankPattern = try PathPatterns(patterns, Self.rankPatternOption.name, ofCounts: true)
        alphaPattern = try PathPatterns(patterns, Self.alphaPatternOption.name, ofCounts: false)
        initialization = try Initialization(settings.text(Self.initializationOption))
        start = try LoRAStartSettings(settings)
        startKeys = start.json(initialization)
        replication = try settings[Self.replicationOption].stringValue.map {
            try LayerReplication(text: $0, place: "--layer_replication")
        }
        parameters = (settings[Self.parametersOption].arrayValue ?? []).compactMap(\.stringValue)
        rateRatio = settings[Self.rateRatioOption].doubleValue
        tokens = try TokenTargets(settings[Self.tokensOption], place: "--trainable_token_indices")
        ensuresTies = try settings.flag(Self.tyingOption)
        try checkCombination("--use_dora", "--init_weights")
    }

    package mutating func train(_ settings: AdapterSettings) throws {
        rateRatio = settings[Self.rateRatioOption].doubleValue
    }

    /// Of tables of words LoRA+ trains with a rate of its own.
    package func rateFactor(of name: String, shape: [Int], rate: Double) -> Double {
        guard let rateRatio else { return 1 }
        if name.contains("lora_embedding_") { return Self.embeddingRate / rate }
        return name.contains("lora_B") || shape.count == 1 ? rateRatio : 1
    }

    package static let embeddingRate = 1e-6

    package var summary: String {
        "Rank \(rank), alpha \(pythonNumber(alpha).serialized())" + (isDecomposed ? ", DoRA" : "")
    }

    func rank(of path: String) -> Int { rankPattern[path].map { Int($0) } ?? rank }

    /// α / r, or α / √r.
    func scale(of path: String) -> Double {
        let alpha = alphaPattern[path] ?? alpha
        let rank = Double(rank(of: path))
        return alpha / (usesRankStabilization ? rank.squareRoot() : rank)
    }

    package func draw(_ parts: [AdapterPart]) throws { try TokenParts.draw(parts) }

    package var changesBase: Bool {
        switch initialization {
        case .pissa, .olora, .loftq, .corda, .gradients: true
        case .standard, .gaussian, .random, .eva, .stored: false
        }
    }

    package func prepareBase(_ parts: [AdapterPart]) throws {
        for part in parts {
            guard let linear = part.host as? Linear, let lora = part.adapter as? LoRA else { continue }
            switch initialization {
            case .pissa: try lora.take(.singularValues, from: linear)
            case .olora: try lora.take(.orthogonal, from: linear)
            case .loftq: try lora.round(start.rounding, linear)
            case .standard, .gaussian, .random, .stored, .eva, .corda, .gradients: return
            }
        }
    }

    package var startsFromData: Bool { [.eva, .corda, .gradients].contains(initialization) }

    /// What of a checkpoint's file holds for training, where data have decided it.
    package var isShapedByData: Bool { initialization == .eva }

    package func start(
        _ parts: [AdapterPart], from passes: StartPasses, seed: UInt64
    ) throws -> (method: any AdapterMethod, parts: [AdapterPart])? {
        switch initialization {
        case .eva:
            let method = try startFromComponents(passes, parts)
            return (method, parts.filter { !($0.adapter is LoRA) || method.selection.targets.contains($0.path) })
        case .corda: try startFromCorrelations(passes, parts)
        case .gradients: try startFromGradients(passes, parts, seed: seed)
        case .standard, .gaussian, .random, .pissa, .olora, .loftq, .stored: break
        }
        return nil
    }

    package func participants(_ parts: [AdapterPart], totalSteps: Int) throws -> [any StepParticipant] {
        try checkTrainable()
        return initialization.storesChange ? [try ChangedBase(parts)] : []
    }

    package func layerPlan(layers: Int) throws -> LayerPlan? { try replication?.plan(layers: layers) }

    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        try TokenParts.start(parts)
        for part in parts {
            switch (part.host, part.adapter) {
            case (let linear as Linear, let adapter as DoRA): try adapter.start(on: linear)
            case (let table as Embedding, let adapter as LoRAEmbedding): try adapter.start(on: table)
            default: break
            }
        }
    }

    package var notice: String? {
        guard case .stored(name: "lora_ga") = initialization else { return nil }
        return
            "init_lora_weights lora_ga: the base weights are taken as they are, as PEFT takes them when it loads such an "
            + "adapter; those it was trained on differed unless it was saved with path_initial_model_for_weight_conversion"
    }
}
