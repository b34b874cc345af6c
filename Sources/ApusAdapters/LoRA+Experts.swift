import ApusJSON
package import ApusNN
package import ApusWeights
import Foundation

/// The layers of a model's experts, and what `transformers` calls the weights that they lie in.
struct ExpertPlaces: Sendable {
    /// Paths of tensors that hold the matrices of all experts of a layer, with those of the layers of each expert.
    private(set) var stacks: [(path: String, layers: [[String]])] = []
    private(set) var routers: Set<String> = []
    /// What the layers of experts are called, beside which others may have the same name.
    private(set) var names: Set<String> = []
    /// Whether files of the model hold all experts as one tensor.
    private(set) var areOneTensor = false

    /// - Returns: nil for models without experts.
    init?(_ model: Module) {
        let modules = model.modules()
        var paths: [ObjectIdentifier: String] = [:]
        for (path, module) in modules { paths[ObjectIdentifier(module)] = path }
        for case (let path, let mixture as MixtureOfExperts) in modules {
            routers.insert(Module.joined(path, "gate"))
            areOneTensor = areOneTensor || mixture.isOneTensor
            for name in MixtureOfExperts.stackedNames {
                guard let layers = mixture.layers(stackedAs: name) else { continue }
                let own = layers.map { $0.compactMap { paths[ObjectIdentifier($0)] } }
                stacks.append((Module.joined(ExpertStack.stem(of: path), name), own))
                names.formUnion(own.joined().map(Self.last))
            }
        }
        if stacks.isEmpty { return nil }
    }

    static func last(_ path: String) -> String { String(path.split(separator: ".").last ?? "") }

    /// Whatever files call the part that has the experts, it is `mlp` in transformers 5.
    static func inTransformers(_ path: String) -> String {
        String(("." + path).replacingOccurrences(of: ".block_sparse_moe.", with: ".mlp.").dropFirst())
    }
}

extension LoRAConfiguration {
    package mutating func prepare(on model: Module) throws {
        experts = ExpertPlaces(model)
        try keepTies(of: model)
    }

    package mutating func read(_ store: any TensorStore) throws {
        holdsEachExpert = store.tensorNames.contains {
            $0.range(of: #"\.experts\.\d+\."#, options: .regularExpression) != nil
        }
    }

    package func fileNotice(_ parts: [AdapterPart]) -> String? {
        guard let experts, let obstacle = obstacle(in: experts, parts) else { return nil }
        return
            "the adapter is on layers of experts, or on others of their names, and \(obstacle); Apus reads its files all the same"
    }

    /// The method as its file says it: PEFT takes the names of layers of experts for all tensors of experts and drops other
    /// layers of these names, so that all of them are named by their weights (`target_parameters`).
    func named(_ parts: [AdapterPart]) -> (method: LoRAConfiguration, parts: [AdapterPart]) {
        guard let experts, obstacle(in: experts, parts) == nil else { return (self, parts) }
        let layers = Self.layers(parts)
        // Short names where all are meant, by the last two parts.
        let meansAll =
            selection.targets == .allLinear && selection.layers == nil && selection.excluded == nil
            && base.modulesToSave.isEmpty
        func ending(_ path: String, _ count: Int) -> String {
            path.split(separator: ".").suffix(count).joined(separator: ".")
        }
        var weights: [(name: String, full: String, rank: Int, scale: Double)] = []
        for stack in experts.stacks {
            guard let lora = stack.layers.first?.first.flatMap({ layers[$0] }) else { continue }
            weights.append((ending(stack.path, 3), stack.path, lora.rank * stack.layers[0].count, lora.scale))
        }
        let inExperts = Set(experts.stacks.flatMap { $0.layers.joined() })
        let beside = Self.beside(experts, parts).filter { !inExperts.contains($0) }
        for path in beside {
            guard let lora = layers[path] else { continue }
            let full = ExpertPlaces.inTransformers(path) + ".weight"
            weights.append((ending(full, 3), full, lora.rank, lora.scale))
        }
        guard !weights.isEmpty else { return (self, parts) }
        let rest = parts.filter { !inExperts.contains($0.path) && !beside.contains($0.path) }
        var method = self
        let added = Set(weights.map { meansAll ? $0.name : $0.full })
        method.parameters += added.filter { name in !parameters.contains { Self.ends(name, with: $0) } }.sorted()
        method.selection.targets = targets(rest)
        for weight in weights {
            let isAlike = weights.allSatisfy {
                $0.name != weight.name || $0.rank == weight.rank && $0.scale == weight.scale
            }
            method.setPatterns(
                meansAll && isAlike ? weight.name : weight.full, full: weight.full, rank: weight.rank,
                scale: weight.scale)
        }
        return (method, rest)
    }

    /// What `target_modules` still says when some layers are named by their weights.
    private func targets(_ rest: [AdapterPart]) -> TargetModules {
        let paths = rest.withoutTokens.withoutStacks.map(\.path)
        switch selection.targets {
        case .names(let names):
            return .names(names.filter { name in paths.contains { TargetModules.names([name]).contains($0) } })
        case .allLinear where !paths.isEmpty: return selection.targets
        default: return .names(paths)
        }
    }

    /// Says a rank and a scale of a weight where the patterns so far say others.
    private mutating func setPatterns(_ pattern: String, full name: String, rank: Int, scale: Double) {
        let alpha = scale * (usesRankStabilization ? Double(rank).squareRoot() : Double(rank))
        if self.rank(of: name) != rank { rankPattern.begin(with: pattern, Double(rank)) }
        if abs((alphaPattern[name] ?? self.alpha) - alpha) > 1e-9 * alpha {
            // α / r · r is not always α.
            let whole = alpha.rounded()
            alphaPattern.begin(with: pattern, abs(whole - alpha) < 1e-9 * alpha ? whole : alpha)
        }
    }

    private static func layers(_ parts: [AdapterPart]) -> [String: LoRA] {
        var layers: [String: LoRA] = [:]
        for part in parts where part.host is Linear { layers[part.path] = part.adapter as? LoRA }
        return layers
    }

    /// The adapted layers that are called like those of experts, and routers.
    private static func beside(_ experts: ExpertPlaces, _ parts: [AdapterPart]) -> [String] {
        parts.filter { part in
            part.host is Linear && !(part.adapter is ExpertLayerLoRA)
                && (experts.names.contains(ExpertPlaces.last(part.path)) || experts.routers.contains(part.path))
        }.map(\.path)
    }

    /// Why PEFT cannot read what hangs on layers of experts and on others of their names.
    private func obstacle(in experts: ExpertPlaces, _ parts: [AdapterPart]) -> String? {
        guard !Self.beside(experts, parts).isEmpty else { return nil }
        let layers = Self.layers(parts)
        let starts: [Initialization] = [.standard, .gaussian, .random]
        guard dropout == 0, !isDecomposed, !hasBias, starts.contains(initialization),
            layers.values.allSatisfy(\.isStoredAsTrained)
        else {
            return
                "PEFT with transformers 5 reads such ones only with lora_dropout 0 and init_lora_weights true, false or "
                + "gaussian, without use_dora and biases of B"
        }
        let adapted = experts.stacks.filter { stack in stack.layers.joined().contains { layers[$0] != nil } }
        if experts.areOneTensor, !adapted.isEmpty {
            return "PEFT with transformers 5 reads LoRA on experts of this model only as --target_parameters "
                + MixtureOfExperts.stackedNames.map { "mlp.experts.\($0)" }.joined(separator: " ")
        }
        let isWhole = adapted.allSatisfy { stack in
            let own = stack.layers.joined().map { layers[$0] }
            return own.allSatisfy { $0 != nil && $0?.rank == own.first??.rank && $0?.scale == own.first??.scale }
        }
        // The tensor of the second is looked for where the first one's would be if it were alone.
        let last = MixtureOfExperts.stackedNames.last ?? ""
        let hasLast = adapted.allSatisfy { stack in
            let mate = stack.path.split(separator: ".").dropLast().joined(separator: ".") + "." + last
            return adapted.contains { $0.path == mate }
        }
        guard isWhole, hasLast else {
            return
                "PEFT with transformers 5 reads LoRA on experts only on all of a layer, on down_proj (w2) or on all three "
                + "matrices, with one rank and alpha"
        }
        return nil
    }
}
