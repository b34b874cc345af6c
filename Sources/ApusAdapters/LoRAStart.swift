import ApusJSON
import ApusNN
package import ApusTorch

/// What the starts of LoRA take that need more than a name, by PEFT's keys.
package struct LoRAStartSettings: Sendable, Equatable {
    /// How much is kept of a matrix's numbers: `loftq_config`.
    struct Rounding: Sendable, Equatable {
        var bits = 4
        var iterations = 1
    }

    /// `eva_config`.
    struct Components: Sendable, Equatable {
        /// The most a layer's rank can grow.
        var growth = 2.0
        /// The cosine of a component from one pass to the next, from which on it counts as found.
        var threshold = 0.99
        /// Whether only tokens that are learned count.
        var countsLearnedAlone = true
        var isWhitened = false
        /// Whether alpha grows with the rank.
        var adjustsScale = true
    }

    /// `lora_ga_config`, and ms-swift's passes.
    struct Gradients: Sendable, Equatable {
        enum Direction: String, Sendable, CaseIterable {
            case alternating = "ArBr"
            case secondForA = "A2rBr"
            case firstForA = "ArB2r"
            case random
        }
        enum Scale: String, Sendable, CaseIterable {
            case stable, unit
            case weights = "weight_svd"
            case steps = "gd_scale"
        }

        var direction = Direction.firstForA
        var scale = Scale.stable
        var gamma = 16
        var batchSize = 2
        var passes = 2
    }

    /// Whether the components of least weight are taken, which keeps what the model knows of the data.
    enum Context: String, Sendable, CaseIterable {
        case instructions = "ipm"
        case knowledge = "kpm"
    }

    var rounding = Rounding()
    var components = Components()
    var gradients = Gradients()
    var context = Context.instructions
    /// Samples whose inputs are correlated.
    var samples = 256

    init() {}
}

extension LoRAStartSettings {
    private static let rounds = AdapterOption.Condition("init_weights", "loftq")
    private static let componentsAreFound = AdapterOption.Condition("init_weights", "eva")
    private static let correlates = AdapterOption.Condition("init_weights", "corda")
    private static let takesGradients = AdapterOption.Condition("init_weights", "lora-ga", "lora_ga")

    static let bitsOption = AdapterOption(
        "loftq_bits", .integer(4...8), default: 4, "Bits that --init_weights loftq leaves of the weights: 4 or 8.",
        onlyWith: [rounds])
    static let roundsOption = AdapterOption(
        "loftq_iter", .integer(1...64), default: 1, "Rounds of rounding and decomposing in --init_weights loftq.",
        onlyWith: [rounds])
    static let growthOption = AdapterOption(
        "eva_rho", .number(1..<1e6), default: 2, "Times a layer's rank can grow in --init_weights eva; 1 keeps ranks.",
        onlyWith: [componentsAreFound])
    static let thresholdOption = AdapterOption(
        "eva_tau", .number(0..<1), default: 0.99,
        "Likeness of a component from pass to pass from which on --init_weights eva has found it.",
        onlyWith: [componentsAreFound])
    static let learnedOption = AdapterOption(
        "eva_use_label_mask", .boolean, default: true, "Look at learned tokens alone in --init_weights eva.",
        onlyWith: [componentsAreFound])
    static let whitenOption = AdapterOption(
        "eva_whiten", .boolean, default: false, "Bring components to one size in --init_weights eva.",
        onlyWith: [componentsAreFound])
    static let adjustOption = AdapterOption(
        "eva_adjust_scaling_factors", .boolean, default: true, "Let alpha follow the ranks of --init_weights eva.",
        onlyWith: [componentsAreFound])
    static let contextOption = AdapterOption(
        "corda_method", .choice(Context.allCases.map(\.rawValue)), default: "ipm",
        "What --init_weights corda trains: what the data use most (ipm), or least (kpm).",
        onlyWith: [correlates])
    static let samplesOption = AdapterOption(
        "corda_samples", .integer(AdapterOption.counts), default: 256,
        "Samples whose inputs --init_weights corda correlates.",
        onlyWith: [correlates])
    static let directionOption = AdapterOption(
        "lora_ga_direction", .choice(Gradients.Direction.allCases.map(\.rawValue)), default: "ArB2r",
        "Singular vectors of the gradient that --init_weights lora-ga takes for A and B.",
        onlyWith: [takesGradients])
    static let scaleOption = AdapterOption(
        "lora_ga_scale", .choice(["stable", "unit", "weight_svd", "gd_scale", "weightS", "gd"]), default: "stable",
        "Size of the start of --init_weights lora-ga.",
        onlyWith: [takesGradients])
    static let gammaOption = AdapterOption(
        "lora_ga_stable_gamma", .integer(AdapterOption.counts), default: 16, "The γ of --lora_ga_scale stable.",
        onlyWith: [takesGradients, AdapterOption.Condition("lora_ga_scale", "stable")])
    static let batchOption = AdapterOption(
        "lora_ga_batch_size", .integer(AdapterOption.counts), default: 2,
        "Samples of a pass of --init_weights lora-ga.",
        onlyWith: [takesGradients])
    static let passesOption = AdapterOption(
        "lora_ga_iters", .integer(AdapterOption.counts), default: 2, "Passes of --init_weights lora-ga.",
        onlyWith: [takesGradients])

    package static let options = [
        bitsOption, roundsOption, growthOption, thresholdOption, learnedOption, whitenOption, adjustOption,
        contextOption, samplesOption, directionOption, scaleOption, gammaOption, batchOption, passesOption,
    ]

    init(_ settings: AdapterSettings) throws {
        rounding.bits = try settings.integer(Self.bitsOption)
        guard [4, 8].contains(rounding.bits) else {
            throw AdapterError("--loftq_bits \(rounding.bits): there are 4 and 8")
        }
        rounding.iterations = try settings.integer(Self.roundsOption)
        components.growth = try settings.number(Self.growthOption)
        components.threshold = try settings.number(Self.thresholdOption)
        components.countsLearnedAlone = try settings.flag(Self.learnedOption)
        components.isWhitened = try settings.flag(Self.whitenOption)
        components.adjustsScale = try settings.flag(Self.adjustOption)
        context = try Context(rawValue: settings.text(Self.contextOption)) ?? .instructions
        samples = try settings.integer(Self.samplesOption)
        gradients.direction = try Gradients.Direction(rawValue: settings.text(Self.directionOption)) ?? .firstForA
        let scale = try settings.text(Self.scaleOption)
        // ms-swift's words for two of PEFT's.
        gradients.scale =
            Gradients.Scale(rawValue: ["weightS": "weight_svd", "gd": "gd_scale"][scale] ?? scale) ?? .stable
        gradients.gamma = try settings.integer(Self.gammaOption)
        gradients.batchSize = try settings.integer(Self.batchOption)
        gradients.passes = try settings.integer(Self.passesOption)
    }

    /// Reads `loftq_config`; the other starts need nothing any more once there is a file.
    init(_ reader: ConfigurationReader) throws {
        guard let object = try reader.optional("loftq_config", "an object", \.objectValue) else { return }
        func count(_ key: String, _ allowed: ClosedRange<Int>, _ value: Int) throws -> Int {
            guard let given = object[key], !given.isNull else { return value }
            guard let count = given.intValue, allowed.contains(count) else {
                throw reader.refusal(
                    "\"\(key)\" of \"loftq_config\" is \(given.serialized()); it must be in \(allowed)")
            }
            return count
        }
        rounding.bits = try count("loftq_bits", 4...8, 4)
        rounding.iterations = try count("loftq_iter", 1...64, 1)
        guard [4, 8].contains(rounding.bits) else {
            throw reader.refusal("\"loftq_bits\" of \"loftq_config\" is \(rounding.bits); there are 4 and 8")
        }
    }

    /// The keys of PEFT's file that describe a start.
    func json(_ initialization: LoRAConfiguration.Initialization) -> JSONObject {
        switch initialization {
        case .loftq: ["loftq_config": ["loftq_bits": .int(rounding.bits), "loftq_iter": .int(rounding.iterations)]]
        case .eva:
            [
                "eva_config": [
                    "adjust_scaling_factors": .bool(components.adjustsScale), "label_mask_value": -100,
                    "rho": .double(components.growth), "tau": .double(components.threshold),
                    "use_label_mask": .bool(components.countsLearnedAlone), "whiten": .bool(components.isWhitened),
                ]
            ]
        case .corda:
            [
                "corda_config": [
                    "cache_file": nil, "corda_method": .string(context.rawValue), "covariance_file": nil,
                    "prune_temporary_fields": true, "use_float16_for_covariance": false, "verbose": false,
                ]
            ]
        case .gradients:
            [
                "lora_ga_config": [
                    "direction": .string(gradients.direction.rawValue), "scale": .string(gradients.scale.rawValue),
                    "stable_gamma": .int(gradients.gamma),
                ]
            ]
        case .standard, .gaussian, .random, .pissa, .olora, .stored: [:]
        }
    }
}

/// Passes of a model over samples of a run, from which first values can be made.
package struct StartPasses {
    /// How many samples there are, in the order in which the run trains on them.
    package let sampleCount: Int
    /// Samples of a micro-batch of the run.
    package let batchSize: Int
    /// Runs the model over samples, by their places in that order.
    ///
    /// - Returns: The mean of the losses, and the rows of the tokens that are learned.
    package let run: (_ places: [Int]) throws -> (loss: Tensor, learned: [Int32])

    package init(
        sampleCount: Int, batchSize: Int, run: @escaping (_ places: [Int]) throws -> (loss: Tensor, learned: [Int32])
    ) {
        (self.sampleCount, self.batchSize, self.run) = (sampleCount, batchSize, run)
    }

    /// The samples of the pass of a number, from the first on and over again.
    func places(ofPass pass: Int, size: Int) -> [Int] {
        (0..<min(size, sampleCount)).map { (pass * size + $0) % sampleCount }
    }
}

/// Factors of a change of low rank: `B A`.
struct LowRankFactors {
    let a: Tensor  // [rank, in]
    let b: Tensor  // [out, rank]
}

/// Takes out of the base matrices what the adapters began with, and keeps that for a run that goes on.
final class ChangedBase: StepParticipant {
    private let layers: [(path: String, host: Linear, lora: LoRA)]

    init(_ parts: [AdapterPart]) throws {
        layers = parts.compactMap { part in
            guard let linear = part.host as? Linear, let lora = part.adapter as? LoRA else { return nil }
            return (part.path, linear, lora)
        }
        for (_, _, lora) in layers { try lora.reserveStart() }
    }

    var state: [(name: String, tensor: Tensor)] {
        layers.flatMap { path, _, lora in
            lora.began.map { [("began.\(path).lora_A", $0.a), ("began.\(path).lora_B", $0.b)] } ?? []
        }
    }

    func starting(at step: Int) throws {
        try withoutGradients {
            for (_, linear, lora) in layers {
                guard let began = lora.began else { continue }
                let matrix = try linear.matrix
                let taken = try matmul(began.b.to(.float64), began.a.to(.float64)) * lora.scale
                try linear.setMatrix((matrix.to(.float64) - taken).to(matrix.dtype))
            }
        }
    }
}
