package import ApusJSON
package import ApusNN
package import ApusTorch

/// `y + B A drop(x)`: A and B are put together from vectors of length L out of a bank that all layers share.
///
/// Each piece of A and B is a sum of the k vectors with the highest logits, weighted by their softmax.
/// Li et al. 2024, <https://arxiv.org/abs/2405.15179>.
package final class VBLoRA: LinearAdapter {
    @Parameter("vblora_logits_A") var a: Tensor?  // [r, in/L, V]
    @Parameter("vblora_logits_B") var b: Tensor?  // [out/L, r, V]
    // What a file of the chosen vectors alone has instead; the last weight of each piece makes up 1.
    @Constant("vblora_logits_A_topk_indices") private var chosenA: Tensor?  // [r, in/L, k]
    @Constant("vblora_logits_A_topk_weights") private var sharesA: Tensor?  // [r, in/L, k - 1]
    @Constant("vblora_logits_B_topk_indices") private var chosenB: Tensor?  // [out/L, r, k]
    @Constant("vblora_logits_B_topk_weights") private var sharesB: Tensor?  // [out/L, r, k - 1]

    private let bank: Shared<VectorBank>
    private let sizes: VBLoRAConfiguration.Sizes
    private let storesChosen: Bool
    private let stream: UInt64

    /// - Parameters:
    ///   - storesChosen: Whether files hold the chosen vectors and not the logits.
    ///   - isTrained: Whether there are logits all the same.
    init(
        name: String, for base: Linear, _ bank: VectorBank, _ sizes: VBLoRAConfiguration.Sizes, storesChosen: Bool,
        isTrained: Bool, stream: UInt64
    ) {
        self.bank = Shared(bank)
        self.sizes = sizes
        self.storesChosen = storesChosen
        self.stream = stream
        super.init(name: name)
        let (first, second) = ([sizes.rank, base.inputs / sizes.length], [base.outputs / sizes.length, sizes.rank])
        if isTrained || !storesChosen {
            $a.declare(first + [sizes.vectors], .normal(deviation: sizes.deviation))
            $b.declare(second + [sizes.vectors], .normal(deviation: sizes.deviation))
        } else {
            $chosenA.declare(first + [sizes.chosen])
            $sharesA.declare(first + [sizes.chosen - 1])
            $chosenB.declare(second + [sizes.chosen])
            $sharesB.declare(second + [sizes.chosen - 1])
        }
    }

    package override var summary: String { "VBLoRA(rank \(sizes.rank))" }
    package override var storesConstants: Bool { $chosenA.isDeclared }
    package override var isStoredAsTrained: Bool { !storesChosen || !$a.isDeclared }

    package override func faultOfConstants() throws -> String? {
        for chosen in [chosenA, chosenB].compactMap(\.self) where chosen.count > 0 {
            guard try chosen.max().item() < Double(sizes.vectors), try (-chosen).max().item() <= 0 else {
                return "topk_indices name vectors that the bank has not"
            }
        }
        return nil
    }

    package override func stored() throws -> [(name: String, tensor: Tensor)] {
        guard storesChosen else { return try super.stored() }
        return try withoutGradients {
            try [("A", a, chosenA, sharesA), ("B", b, chosenB, sharesB)].flatMap { name, logits, chosen, shares in
                let (ids, weights) = try choice(logits, chosen, shares)
                let last = weights.shape.count - 1
                return [
                    ("vblora_logits_\(name)_topk_indices", try ids.to(sizes.indexType)),
                    (
                        "vblora_logits_\(name)_topk_weights",
                        try weights.narrowed(last, start: 0, length: sizes.chosen - 1).contiguous()
                    ),
                ]
            }
        }
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        var kept = x
        if context.isTraining, sizes.dropout > 0 {
            kept = try ApusTorch.dropout(x, probability: sizes.dropout, key: streamKey(context.randomKey, stream))
        }
        let (a, b) = try matrices()
        return try summed(below?(x) ?? base.plain(x), linear(linear(kept.to(a.dtype), a), b))
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let (a, b) = try matrices()
        return try (matrix.to(wide) + matmul(b.to(wide), a.to(wide))).to(matrix.dtype)
    }

    /// A [r, in] and B [out, r].
    private func matrices() throws -> (a: Tensor, b: Tensor) {
        (
            try mixed(a, chosenA, sharesA).reshaped([sizes.rank, -1]),  // [r, in]
            try mixed(b, chosenB, sharesB).transposed(1, 2).reshaped([-1, sizes.rank])  // [out, r]
        )
    }

    /// The pieces that the chosen vectors make, […, L].
    private func mixed(_ logits: Tensor?, _ chosen: Tensor?, _ shares: Tensor?) throws -> Tensor {
        let (ids, weights) = try choice(logits, chosen, shares)
        let vectors = try embedding(ids.reshaped([-1]), bank.part.vectors)
            .reshaped(ids.shape + [sizes.length])  // […, k, L]
        return try (weights.unsqueezed(-1) * vectors).sum(-2)
    }

    /// Which vectors of the bank each piece is made of, and their weights, […, k].
    private func choice(
        _ logits: Tensor?, _ chosen: Tensor?, _ shares: Tensor?
    ) throws -> (ids: Tensor, weights: Tensor) {
        if let logits {
            let (values, ids) = try logits.top(sizes.chosen)
            return (ids, try softmax(values))
        }
        guard let chosen, let shares else { preconditionFailure("VBLoRA has logits or chosen vectors") }
        let rest = try shares.sum(-1, keepAxis: true) * -1 + 1
        return (chosen, try concatenated([shares, rest], axis: -1))
    }
}

/// The vectors that all layers of VB-LoRA are made of.
package final class VectorBank: SharedAdapter {
    @Parameter("vblora_vector_bank") var vectors: Tensor  // [V, L]

    init(name: String, count: Int, length: Int, bound: Double) {
        super.init(name: name)
        $vectors.declare([count, length], .uniform(bound: bound))
    }
}

/// VB-LoRA, as PEFT's `VBLoRAConfig` describes it.
package struct VBLoRAConfiguration: AdapterMethod {
    package static let peftType = "VBLORA"
    package static let tunerType = "vblora"

    private static let positive = Double.leastNonzeroMagnitude..<1e30
    static let rankOption = AdapterOption(
        "vblora_rank", .integer(AdapterOption.counts), default: 4, "Rank of the adapter.", decidesCount: true)
    static let vectorsOption = AdapterOption(
        "num_vectors", .integer(AdapterOption.counts), default: 256, "Vectors in the shared bank.", decidesCount: true)
    static let lengthOption = AdapterOption(
        "vector_length", .integer(AdapterOption.counts), default: 256,
        "Length of the vectors, by which the sizes of the layers must divide.", decidesCount: true)
    static let chosenOption = AdapterOption(
        "topk", .integer(AdapterOption.counts), default: 2, "Vectors that each piece of the matrices is a sum of.")
    static let savesChosenOption = AdapterOption(
        "save_only_topk_weights", .boolean, default: false,
        "Store the chosen vectors alone: a small file that training cannot go on from.")
    static let dropoutOption = AdapterOption(
        "vblora_dropout", .number(0..<1), default: 0.0, "Dropout before the adapter.")
    static let boundOption = AdapterOption(
        "init_vector_bank_bound", .number(positive), default: 0.02, "First vectors are even between -bound and bound.")
    static let deviationOption = AdapterOption(
        "init_logits_std", .number(positive), default: 0.1, "Deviation of the first logits.")
    package static let options = [
        rankOption, vectorsOption, lengthOption, chosenOption, savesChosenOption, dropoutOption, boundOption,
        deviationOption,
    ]

    struct Sizes: Sendable, Equatable {
        var rank = 4
        var vectors = 256
        var length = 256
        var chosen = 2
        var dropout = 0.0
        var deviation = 0.1

        /// The shortest type for numbers of vectors, as PEFT stores them.
        var indexType: DType { vectors < 1 << 8 ? .uint8 : vectors < 1 << 15 ? .int16 : .int32 }
    }

    private var sizes = Sizes()
    private var bound = 0.02
    private var savesChosen = false
    private var selection = LayerSelection()
    private let isInTraining: Bool
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        sizes.rank = try settings.integer(Self.rankOption)
        sizes.vectors = try settings.integer(Self.vectorsOption)
        sizes.length = try settings.integer(Self.lengthOption)
        sizes.chosen = try settings.integer(Self.chosenOption)
        sizes.dropout = try settings.number(Self.dropoutOption)
        sizes.deviation = try settings.number(Self.deviationOption)
        bound = try settings.number(Self.boundOption)
        savesChosen = try settings.flag(Self.savesChosenOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.vbLoRA, settings.modelType))
        isInTraining = true
        guard sizes.chosen <= sizes.vectors else {
            throw AdapterError("--topk \(sizes.chosen) is more than the --num_vectors \(sizes.vectors) of the bank")
        }
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        sizes.rank = try reader.count("r", default: 4)
        sizes.vectors = try reader.count("num_vectors", default: 256)
        sizes.length = try reader.count("vector_length", default: 256)
        sizes.chosen = try reader.count("topk", default: 2)
        sizes.dropout = try reader.probability("vblora_dropout")
        sizes.deviation = try reader.number("init_logits_std", default: 0.1)
        bound = try reader.number("init_vector_bank_bound", default: 0.02)
        savesChosen = try reader.flag("save_only_topk_weights")
        selection = try LayerSelection(reader)
        isInTraining = false
        base = try reader.base(storesBiases: false)
        guard sizes.chosen <= sizes.vectors else {
            throw reader.refusal("\"topk\" \(sizes.chosen) is more than \"num_vectors\" \(sizes.vectors)")
        }
    }

    package mutating func train(_ settings: AdapterSettings) throws {
        guard !savesChosen else {
            throw AdapterError(
                "--adapters: this VB-LoRA adapter was stored with save_only_topk_weights, without the logits that training "
                    + "would go on from. Resume the run, or start a new one")
        }
    }

    package var summary: String { "Rank \(sizes.rank), \(sizes.vectors) vectors of \(sizes.length)" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let hosts = try selection.linearHosts(of: "VB-LoRA", on: model, leaving: base.storedModules, heads: heads)
        let bank = VectorBank(name: name, count: sizes.vectors, length: sizes.length, bound: bound)
        return [AdapterPart(shared: bank, of: model)]
            + (try hosts.map { path, linear in
                guard linear.inputs.isMultiple(of: sizes.length), linear.outputs.isMultiple(of: sizes.length) else {
                    throw AdapterError(
                        "--vector_length \(sizes.length) does not divide the sizes of \(path), \(linear.outputs) × "
                            + "\(linear.inputs); give a length that divides those of all layers")
                }
                let adapter = VBLoRA(
                    name: name, for: linear, bank, sizes, storesChosen: savesChosen, isTrained: isInTraining,
                    stream: AdapterStream.key(name, path))
                linear.adapters.append(adapter)
                return AdapterPart(path: path, host: linear, adapter: adapter)
            })
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = selection.file(parts, excludes: true)
        file["init_logits_std"] = .double(sizes.deviation)
        file["init_vector_bank_bound"] = .double(bound)
        file["num_vectors"] = .int(sizes.vectors)
        file["r"] = .int(sizes.rank)
        file["save_only_topk_weights"] = .bool(savesChosen)
        file["topk"] = .int(sizes.chosen)
        file["vblora_dropout"] = .double(sizes.dropout)
        file["vector_length"] = .int(sizes.length)
        return base.json(Self.peftType, file)
    }
}
