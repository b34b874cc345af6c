package import ApusJSON
package import ApusNN
package import ApusTorch

/// `y + α / (r₀ + 10⁻⁵) · B (E ⊙ A) drop(x)`: singular values of their own, of which the unimportant become zero.
///
/// r₀ is the rank that it began with, whatever is left. Zhang et al. 2023, <https://arxiv.org/abs/2303.10512>.
package final class AdaLoRA: LinearAdapter {
    @Parameter("lora_A") var a: Tensor  // [r, in]
    @Parameter("lora_B") var b: Tensor  // [out, r]
    @Parameter("lora_E") var e: Tensor  // [r, 1]

    /// Keeps count of the triples while training.
    weak var budget: RankBudget?

    private let scale: Double
    private let dropout: Double
    private let stream: UInt64
    private let isInTraining: Bool

    /// - Parameters:
    ///   - rank: The triples there are; a file holds only those that were left.
    ///   - firstRank: Those that it began with.
    init(
        name: String, for base: Linear, rank: Int, firstRank: Int, alpha: Double, dropout: Double, stream: UInt64,
        isInTraining: Bool
    ) {
        scale = (alpha > 0 ? alpha : Double(firstRank)) / (Double(firstRank) + 1e-5)
        self.dropout = dropout
        self.stream = stream
        self.isInTraining = isInTraining
        super.init(name: name)
        $a.declare([rank, base.inputs], .normal(deviation: 0.02))
        $b.declare([base.outputs, rank], .normal(deviation: 0.02))
        $e.declare([rank, 1])
    }

    package override var summary: String { "AdaLoRA(rank \($a.shape?[0] ?? 0))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        var kept = x
        if context.isTraining, dropout > 0 {
            kept = try ApusTorch.dropout(x, probability: dropout, key: streamKey(context.randomKey, stream))
        }
        let added = try linear(linear(kept.to(a.dtype), a * e), b) * scale
        return try (below?(x) ?? base.plain(x)) + added.to(x.dtype)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        return try (matrix.to(wide) + matmul(b.to(wide), (a * e).to(wide)) * scale).to(matrix.dtype)
    }

    /// The masked triples still take part in the penalty, and a file leaves them out.
    package override var isStoredAsTrained: Bool { !isInTraining }

    package override func stored() throws -> [(name: String, tensor: Tensor)] {
        guard let mask = try budget?.mask(of: self) else { return try super.stored() }
        let left = try Tensor(mask.indices.filter { mask[$0] }.map(Int32.init), device: a.device)
        return try withoutGradients {
            [
                ("lora_A", try a.indexed(0, left)), ("lora_B", try b.indexed(1, left)),
                ("lora_E", try e.indexed(0, left)),
            ]
        }
    }
}

/// AdaLoRA, as PEFT's `AdaLoraConfig` describes it.
package struct AdaLoRAConfiguration: AdapterMethod {
    package static let peftType = "ADALORA"
    package static let tunerType = "adalora"
    package static let isScheduled = true

    private static let steps = 0...Int(Int32.max)
    static let targetRankOption = AdapterOption(
        "adalora_target_r", .integer(AdapterOption.counts), default: 8, "Mean rank that is left at the end.",
        decidesCount: true)
    static let firstRankOption = AdapterOption(
        "adalora_init_r", .integer(AdapterOption.counts), default: 12, "Rank that every layer begins with.",
        decidesCount: true)
    static let startOption = AdapterOption(
        "adalora_tinit", .integer(steps), default: 0, "Steps before ranks begin to fall.")
    static let endOption = AdapterOption(
        "adalora_tfinal", .integer(steps), default: 0, "Steps at the end in which ranks stay.")
    static let intervalOption = AdapterOption(
        "adalora_deltaT", .integer(AdapterOption.counts), default: 1, "Steps from one choice of ranks to the next.")
    static let beta1Option = AdapterOption(
        "adalora_beta1", .number(.leastNonzeroMagnitude..<1), default: 0.85, "Decay of the mean importance.")
    static let beta2Option = AdapterOption(
        "adalora_beta2", .number(.leastNonzeroMagnitude..<1), default: 0.85, "Decay of its mean uncertainty.")
    static let penaltyOption = AdapterOption(
        "adalora_orth_reg_weight", .number(0..<1e30), default: 0.5,
        "Weight of the penalty that keeps singular vectors orthogonal.")
    package static let options = [
        firstRankOption, targetRankOption, startOption, endOption, intervalOption, beta1Option, beta2Option,
        penaltyOption, LoRAConfiguration.alphaOption, LoRAConfiguration.dropoutOption,
    ]

    var targetRank = 8
    var firstRank = 12
    /// Steps before ranks begin to fall, and steps at the end in which they stay.
    var (start, end) = (0, 0)
    var interval = 1
    var (beta1, beta2) = (0.85, 0.85)
    var penalty = 0.5
    var totalSteps: Int?
    private var alpha = 8.0
    private var dropout = 0.0
    private var selection = LayerSelection()
    /// Which triples of each layer are left, in a file.
    private var ranks: [(path: String, mask: [Bool])] = []
    private let isInTraining: Bool
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        targetRank = try settings.integer(Self.targetRankOption)
        firstRank = try settings.integer(Self.firstRankOption)
        start = try settings.integer(Self.startOption)
        end = try settings.integer(Self.endOption)
        interval = try settings.integer(Self.intervalOption)
        beta1 = try settings.number(Self.beta1Option)
        beta2 = try settings.number(Self.beta2Option)
        penalty = try settings.number(Self.penaltyOption)
        alpha = try settings.number(LoRAConfiguration.alphaOption)
        dropout = try settings.number(LoRAConfiguration.dropoutOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.adaLoRA, settings.modelType))
        isInTraining = true
        guard targetRank <= firstRank else {
            throw AdapterError(
                "--adalora_target_r \(targetRank) is more than --adalora_init_r \(firstRank), and ranks only fall")
        }
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        try reader.refuse(
            LoRAConfiguration.inactive + [
                ("target_parameters", [[]]), ("layer_replication", [[]]), ("init_lora_weights", [true, false]),
                ("use_dora", [false]), ("use_rslora", [false]), ("alpha_pattern", [[:]]),
                ("trainable_token_indices", [[], [:]]), ("lora_bias", [false]), ("bias", ["none"]),
                ("ensure_weight_tying", [false]),
            ])
        targetRank = try reader.count("target_r", default: 8)
        firstRank = try reader.count("init_r", default: 12)
        start = try reader.integer("tinit", default: 0)
        end = try reader.integer("tfinal", default: 0)
        interval = try reader.count("deltaT", default: 1)
        beta1 = try reader.number("beta1", default: 0.85)
        beta2 = try reader.number("beta2", default: 0.85)
        penalty = try reader.number("orth_reg_weight", default: 0.5)
        totalSteps = try reader.optional("total_step", "a whole number", \.intValue)
        alpha = try reader.number("lora_alpha", default: 8)
        dropout = try reader.number("lora_dropout", default: 0)
        selection = try LayerSelection(reader)
        for (name, value) in try reader.optional("rank_pattern", "an object", \.objectValue) ?? [:] {
            let mask = (value.arrayValue ?? []).compactMap(\.boolValue)
            guard mask.count == firstRank else {
                throw reader.refusal(
                    "\"rank_pattern\" of \(name) must say true or false of each of the \(firstRank) triples of init_r")
            }
            ranks.append((name.replacingSuffix(".lora_E"), mask))
        }
        isInTraining = false
        base = try reader.base()
    }

    package var summary: String {
        "Rank \(firstRank) falling to \(targetRank), alpha \(pythonNumber(alpha).serialized())"
    }

    package mutating func train(_ settings: AdapterSettings) throws {
        throw AdapterError(
            "--adapters: the ranks of an AdaLoRA adapter have fallen, and its file does not say how important each part was, so "
                + "that training cannot go on from it. Resume the run, or start a new one")
    }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try selection.hosts(on: model, leaving: base.storedModules, heads: heads).map { path, module in
            guard let linear = module as? Linear else {
                throw AdapterError("AdaLoRA hangs on linear layers, and \(path) is a table of words; leave it out")
            }
            let left = ranks.first { $0.path == path }?.mask.filter { $0 }.count
            let adapter = AdaLoRA(
                name: name, for: linear, rank: left ?? firstRank, firstRank: firstRank, alpha: alpha, dropout: dropout,
                stream: AdapterStream.key(name, path), isInTraining: isInTraining)
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    package mutating func participants(
        _ parts: [AdapterPart], totalSteps: Int
    ) throws -> [any StepParticipant] {
        guard start < totalSteps - end else {
            throw AdapterError(
                "--adalora_tinit \(start) and --adalora_tfinal \(end) leave none of the \(totalSteps) steps for ranks to fall "
                    + "in; lower them, or train for more steps")
        }
        self.totalSteps = totalSteps
        return [try RankBudget(self, parts, totalSteps: totalSteps)]
    }

    package func json(_ parts: [AdapterPart]) throws -> JSONValue {
        let masks =
            isInTraining
            ? try parts.compactMap { part in
                try (part.adapter as? AdaLoRA).flatMap { try $0.budget?.mask(of: $0) }.map { (part.path, $0) }
            } : ranks
        var pattern = JSONObject()
        for (path, mask) in masks { pattern["\(path).lora_E"] = .array(mask.map(JSONValue.bool)) }
        return base.json(
            Self.peftType,
            LoRAConfiguration.file(
                selection, parts,
                [
                    "alpha_pattern": [:], "beta1": .double(beta1), "beta2": .double(beta2), "deltaT": .int(interval),
                    "init_lora_weights": true, "init_r": .int(firstRank), "lora_alpha": pythonNumber(alpha),
                    "lora_dropout": .double(dropout), "orth_reg_weight": .double(penalty), "r": 8,
                    "rank_pattern": pattern.isEmpty ? .null : .object(pattern), "target_r": .int(targetRank),
                    "tfinal": .int(end), "tinit": .int(start),
                    "total_step": totalSteps.map(JSONValue.int) ?? .null, "use_dora": false, "use_rslora": false,
                ]))
    }
}

extension String {
    /// The text without an ending that it has.
    fileprivate func replacingSuffix(_ ending: String) -> String {
        hasSuffix(ending) ? String(dropLast(ending.count)) : self
    }
}
