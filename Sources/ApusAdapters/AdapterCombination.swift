import ApusJSON
package import ApusNN
import ApusTorch

/// Several LoRA adapters as one, in the ways of PEFT's `add_weighted_adapter`.
///
/// With weights wᵢ and scales sᵢ: `linear` adds `√|wᵢsᵢ|` times the A's (with the sign of wᵢsᵢ) and the B's apart, so that
/// products of different adapters come in; `cat` stands them side by side, exactly `Σ wᵢsᵢ BᵢAᵢ`; `svd` is the best of
/// a rank to that sum (PEFT multiplies by sᵢ twice there). `ties` (Yadav et al. 2023, <https://arxiv.org/abs/2306.01708>) keeps of each the largest numbers
/// and averages those of the sign that most have; `dare` (Yu et al. 2024, <https://arxiv.org/abs/2311.03099>) keeps
/// numbers by chance and enlarges them; `magnitude_prune` keeps the largest.
package struct AdapterCombination: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case svd, linear, cat, ties
        case tiesSVD = "ties_svd"
        case dareTies = "dare_ties"
        case dareLinear = "dare_linear"
        case dareTiesSVD = "dare_ties_svd"
        case dareLinearSVD = "dare_linear_svd"
        case magnitudePrune = "magnitude_prune"
        case magnitudePruneSVD = "magnitude_prune_svd"

        /// Whether the products BA are combined, and not the factors.
        var combinesProducts: Bool { rawValue.hasSuffix("svd") }
        var needsDensity: Bool { ![.svd, .linear, .cat].contains(self) }
        fileprivate var isByChance: Bool { rawValue.hasPrefix("dare") }
        fileprivate var electsSigns: Bool { rawValue.contains("ties") }
    }

    /// What decides which sign most numbers have: their sum, or how many they are.
    package enum MajoritySign: String, Sendable, CaseIterable {
        case total, frequency
    }

    package var kind: Kind
    package var weights: [Double]
    /// The share of numbers that stay; nil where the kind needs none.
    package var density: Double?
    package var majoritySign = MajoritySign.total
    /// The rank of a decomposition; nil takes the largest of the adapters.
    package var rank: Int?
    /// For what is drawn.
    package var seed: UInt64 = 42

    package init(_ kind: Kind, weights: [Double]) {
        self.kind = kind
        self.weights = weights
    }

    /// Hangs the combined adapter on the model that the others hang on.
    ///
    /// - Throws: `AdapterError` for adapters or settings that cannot be combined so.
    package func callAsFunction(_ adapters: [AttachedAdapter], on model: Module, named name: String) throws
        -> AttachedAdapter
    {
        let methods = try check(adapters)
        let kind = adapters.count == 1 ? .linear : kind
        var combined = methods[0]
        combined.combine(targets: try targets(of: adapters, methods), rank: try rank(of: adapters, methods, kind))
        let attached = try combined.attach(to: model, named: name)
        do {
            let generator = try Generator(seed: seed)
            try withoutGradients {
                for part in attached.parts {
                    let sources = try zip(adapters, weights).compactMap { adapter, weight in
                        try adapter.parts.first { $0.path == part.path }
                            .flatMap { try LowRank($0.adapter, weight: weight) }
                    }
                    guard let target = try LowRank(part.adapter, weight: 1) else { continue }
                    try target.fill(try factors(sources, kind, rank: combined.rank, generator))
                }
            }
        } catch {
            attached.detach()
            throw error
        }
        return attached
    }

    /// Where PEFT makes another adapter of the same ones.
    package func notice(_ adapters: [AttachedAdapter]) -> String? {
        let methods = adapters.compactMap { $0.method as? LoRAConfiguration }
        let scales = adapters.flatMap(\.parts).compactMap { part in
            (part.adapter as? LoRA)?.scale ?? (part.adapter as? LoRAEmbedding)?.scale
        }
        var differences: [String] = []
        if adapters.count > 1, kind.combinesProducts, scales.contains(where: { $0 != 1 }) {
            differences.append("multiplies by alpha / r twice in \(kind.rawValue)")
        }
        if methods.first?.usesRankStabilization == true {
            differences.append(
                "leaves use_rslora of the first adapter in place, and so multiplies by the root of the rank")
        }
        guard !differences.isEmpty else { return nil }
        return "PEFT's add_weighted_adapter makes another adapter of these: it "
            + differences.joined(separator: ", and it ") + ". Here the adapters count as they are"
    }

    private func check(_ adapters: [AttachedAdapter]) throws -> [LoRAConfiguration] {
        guard !adapters.isEmpty, adapters.count == weights.count else {
            throw AdapterError(
                "--adapter_weights: \(weights.count) weights for \(adapters.count) adapters; give one for each")
        }
        guard weights.allSatisfy(\.isFinite) else {
            throw AdapterError(
                "--adapter_weights: \(weights.map { "\($0)" }.joined(separator: ", ")) are no numbers to count by")
        }
        try Self.check(adapters.map { ($0.name, $0.method) })
        if kind.needsDensity {
            guard let density, density > 0, density <= 1 else {
                throw AdapterError(
                    "--density: \(kind.rawValue) keeps a share of the numbers; give it, above 0 and up to 1")
            }
        }
        return adapters.compactMap { $0.method as? LoRAConfiguration }
    }

    /// Refuses adapters that are more than plain LoRA on layers: what else they hold would be lost, or mean something else.
    ///
    /// - Parameter adapters: Each with what it is called in the message.
    package static func check(_ adapters: [(name: String, method: any AdapterMethod)]) throws {
        for (name, method) in adapters {
            guard let obstacle = obstacle(in: method) else { continue }
            throw AdapterError("only plain LoRA adapters can be combined, and \(name) \(obstacle)")
        }
    }

    private static func obstacle(in method: any AdapterMethod) -> String? {
        guard let lora = method as? LoRAConfiguration else { return "is of the method \(type(of: method).tunerType)" }
        if lora.isDecomposed { return "is of the method DoRA" }
        if lora.changesBase {
            let advice =
                lora.takesFromBase
                ? "make it a plain one first (apus export --convert_to_lora true)"
                : "merge it into its model instead (apus merge-lora)"
            return "was taken out of the model's own weights (init_lora_weights "
                + "\(lora.initialization.json.stringValue ?? "")), so that it goes with no other; \(advice)"
        }
        let beside = [
            (lora.hasBias, "biases of its own (lora_bias)"),
            (lora.base.biases != .none, "biases of the model (bias \(lora.base.biases.rawValue))"),
            (lora.tokens != nil, "trained tokens (trainable_token_indices)"),
            (
                !lora.parameters.isEmpty && lora.holdsEachExpert != true,
                "weights that it adapts by their names (target_parameters)"
            ),
        ]
        return beside.first { $0.0 }.map {
            "has \($0.1), which are not combined; merge it into its model instead (apus merge-lora), or leave it out"
        }
    }

    /// All layers of any; those that a file names by their weights, whole.
    private func targets(of adapters: [AttachedAdapter], _ methods: [LoRAConfiguration]) throws -> TargetModules {
        guard methods.contains(where: { !$0.parameters.isEmpty || $0.tied != nil }) else {
            return try TargetModules.union(methods.map(\.selection.targets))
        }
        return .names(Set(adapters.flatMap(\.parts).onLayers.map(\.path)).sorted())
    }

    private func rank(of adapters: [AttachedAdapter], _ methods: [LoRAConfiguration], _ kind: Kind) throws -> Int {
        // Patterns on the weights of experts are of several layers at once.
        let all = zip(adapters, methods).map { adapter, method in
            method.parameters.isEmpty
                ? [method.rank] + method.rankPattern.values.map { Int($0) }
                : adapter.parts.compactMap { ($0.adapter as? LoRA)?.rank }
        }
        let ranks = all.map { $0.max() ?? 0 }
        if kind == .cat { return ranks.reduce(0, +) }
        if kind.combinesProducts { return rank ?? ranks.max() ?? 0 }
        let areAlike = zip(all, methods).allSatisfy { ranks, method in
            method.parameters.isEmpty ? method.rankPattern.values.isEmpty : Set(ranks).count == 1
        }
        guard Set(ranks).count == 1, areAlike else {
            throw AdapterError(
                "\(kind.rawValue) combines adapters of one rank, and these have \(ranks.map(String.init).joined(separator: ", "))"
                    + "; give --combination_type cat or svd")
        }
        return ranks[0]
    }

    /// A and B of the combined part.
    private func factors(_ sources: [LowRank], _ kind: Kind, rank: Int, _ generator: Generator) throws -> (
        Tensor, Tensor
    ) {
        let scales = sources.map { $0.weight * $0.scale }
        switch kind {
        case .cat:
            return (
                try concatenated(zip(sources, scales).map { try $0.a * $1 }, axis: 0),
                try concatenated(sources.map(\.b), axis: 1)
            )
        case _ where kind.combinesProducts:
            let products = try sources.map { try matmul($0.b, $0.a) * $0.scale }  // [out, in]
            let (u, s, v) = try merged(products, sources.map(\.weight), generator).singularValueDecomposition()
            let kept = min(rank, s.count)
            return (
                try v.narrowed(0, start: 0, length: kept),
                try u.narrowed(1, start: 0, length: kept) * s.narrowed(0, start: 0, length: kept)
            )
        default:
            let roots = scales.map { Swift.abs($0).squareRoot() }
            let signed = zip(roots, scales).map { $1 < 0 ? -$0 : $0 }
            return (
                try merged(sources.map(\.a), signed, generator), try merged(sources.map(\.b), roots, generator)
            )
        }
    }

    /// Tensors of one shape as one.
    private func merged(_ tensors: [Tensor], _ weights: [Double], _ generator: Generator) throws -> Tensor {
        let kept = try tensors.map { try pruned($0, generator) }
        guard kind.electsSigns else {
            return try zip(kept, weights).reduce(nil as Tensor?) { sum, pair in
                let term = try pair.0 * pair.1
                return try sum.map { try $0 + term } ?? term
            } ?? Tensor.zeros([])
        }
        let all = try stacked(kept)
        let zero = try Tensor.zeros([], dtype: all.dtype, device: all.device)
        let positive = try all.isGreater(than: zero).to(all.dtype)
        let signs = try positive - all.isLess(than: 0).to(all.dtype)
        let vote = try majoritySign == .total ? all.sum(0) : signs.sum(0)
        // Of no majority the positive ones count.
        let isNegative = try vote.isLess(than: 0).to(all.dtype)
        let majority = try isNegative * -2 + 1
        let agrees = try signs.isEqual(to: majority.expanded(signs.shape)).to(all.dtype)
        let weights = try Tensor(weights, device: all.device).to(all.dtype)
            .reshaped([weights.count] + tensors[0].shape.map { _ in 1 })
        let count = try agrees.sum(0)
        let one = try Tensor.ones([], dtype: count.dtype, device: count.device)
        return try (all * weights * agrees).sum(0) / select(count.isLess(than: 1), one.expanded(count.shape), count)
    }

    private func pruned(_ tensor: Tensor, _ generator: Generator) throws -> Tensor {
        guard kind.needsDensity, let density, density < 1 else { return tensor }
        if kind.isByChance {
            let probabilities = try Tensor.full(tensor.shape, density, dtype: tensor.dtype, device: tensor.device)
            return try tensor * probabilities.drawn(generator: generator) / density
        }
        let flat = try abs(tensor).reshaped([-1])
        let places = try flat.top(Int(density * Double(tensor.count))).indices
        let ones = try Tensor.ones(places.shape, dtype: tensor.dtype, device: tensor.device)
        let mask = try Tensor.zeros([tensor.count], dtype: tensor.dtype, device: tensor.device)
            .scattered(0, places, ones)
        return try tensor * mask.reshaped(tensor.shape)
    }
}

/// The two factors of a part of LoRA, whatever it hangs on.
private struct LowRank {
    let a: Tensor
    let b: Tensor
    let scale: Double
    let weight: Double
    private let slots: (a: ParameterSlot, b: ParameterSlot)

    init?(_ adapter: Adapter, weight: Double) throws {
        let slots = adapter.parameters()
        guard let first = slots.first(where: { $0.name.contains("lora_A") || $0.name.contains("embedding_A") })?.slot,
            let second = slots.first(where: { $0.name.contains("lora_B") || $0.name.contains("embedding_B") })?.slot
        else { return nil }
        switch adapter {
        case let lora as LoRA: scale = lora.scale
        case let lora as LoRAEmbedding: scale = lora.scale
        default: return nil
        }
        a = try first.tensor ?? Tensor.zeros(first.shape ?? [])
        b = try second.tensor ?? Tensor.zeros(second.shape ?? [])
        (self.weight, self.slots) = (weight, (first, second))
    }

    /// Puts factors in place; of a smaller rank they are filled up with zeros.
    func fill(_ factors: (a: Tensor, b: Tensor)) throws {
        func filled(_ tensor: Tensor, _ shape: [Int], axis: Int) throws -> Tensor {
            let missing = shape[axis] - tensor.shape[axis]
            guard missing > 0 else { return try tensor.contiguous() }
            var rest = shape
            rest[axis] = missing
            return try concatenated(
                [tensor, Tensor.zeros(rest, dtype: tensor.dtype, device: tensor.device)], axis: axis)
        }
        try slots.a.fill(filled(factors.a, slots.a.shape ?? [], axis: 0))
        try slots.b.fill(filled(factors.b, slots.b.shape ?? [], axis: 1))
    }
}

extension LoRAConfiguration {
    /// Becomes the description of the combination of several.
    fileprivate mutating func combine(targets: TargetModules, rank: Int) {
        self.rank = rank
        alpha = Double(rank)
        usesRankStabilization = false
        rankPattern = PathPatterns()
        alphaPattern = PathPatterns()
        initialization = .standard
        selection.targets = targets
        (parameters, holdsEachExpert) = ([], nil)
        // The factors of a table and of its head are combined apart.
        (ensuresTies, tied) = (false, nil)
    }
}
