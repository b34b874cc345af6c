import ApusNN
import ApusTorch

extension LoRAConfiguration {
    /// First values of A are the principal components of what goes into the layers, and ranks go where these explain most.
    ///
    /// Passes are made over batches of the run until the components stay as they are; layers that are given the same
    /// input share them. Paischer et al. 2024, <https://arxiv.org/abs/2410.07170>.
    ///
    /// - Returns: The method with the ranks that layers have now.
    func startFromComponents(_ passes: StartPasses, _ parts: [AdapterPart]) throws -> LoRAConfiguration {
        let settings = start.components
        let layers = parts.compactMap { part in (part.adapter as? LoRA).map { (part.path, $0) } }
        let inputs = try LayerInputs(layers.map(\.1))
        let first = passes.places(ofPass: 0, size: passes.batchSize)
        let groups = try inputs.shared(passes, first)  // for each layer the first one with its input
        // PEFT bounds a growth beyond all ranks.
        let widest = parts.compactMap { ($0.host as? Linear).map { max($0.inputs, $0.outputs) } }.max() ?? 1
        let limit = settings.growth > 1000 ? min(settings.growth, Double(widest / rank)) : settings.growth
        var largest = layers.map { Int((Double($0.1.rank) * limit).rounded(.toNearestOrEven)) }
        for (layer, group) in groups.enumerated() { largest[group] = max(largest[group], largest[layer]) }
        largest = groups.map { largest[$0] }
        let leaders = Array(Set(groups)).sorted()
        for layer in leaders where largest[layer] > layers[layer].1.inputCount {
            throw AdapterError(
                "--init_weights eva: \(layers[layer].0) has \(layers[layer].1.inputCount) inputs, and with --eva_rho "
                    + "\(limit) up to \(largest[layer]) components would be taken of them; give a lower --lora_rank or "
                    + "--eva_rho")
        }
        var found = Dictionary(uniqueKeysWithValues: leaders.map { ($0, PrincipalComponents(count: largest[$0])) })
        var ranks = largest
        let budget = layers.reduce(0) { $0 + $1.1.rank }
        var isDone: [Int: Bool] = [:]
        for pass in 0... {
            for leader in leaders {
                let needed = ranks[leader]
                isDone[leader] = found[leader]?.isFound.prefix(needed).allSatisfy { $0 } ?? true
            }
            if leaders.allSatisfy({ isDone[$0] == true }) { break }
            guard pass < Self.mostPasses else {
                throw AdapterError(
                    "--init_weights eva: after \(pass) passes some components still change by more than --eva_tau "
                        + "\(settings.threshold) allows. Give a lower one, or batches with more tokens "
                        + "(--per_device_train_batch_size): each must have at least \(largest.max() ?? 0) that are learned, "
                        + "or --eva_use_label_mask false.")
            }
            let places = passes.places(ofPass: pass, size: passes.batchSize)
            let (rows, learned) = try inputs.rows(passes, places)
            for leader in leaders where isDone[leader] == false {
                guard let row = rows[leader] else { continue }
                let chosen = try settings.countsLearnedAlone ? row.indexed(0, Tensor(learned)) : row
                try found[leader]?.add(chosen, threshold: settings.threshold)
            }
            guard leaders.allSatisfy({ found[$0]?.components != nil }) else { continue }
            ranks = Self.distributed(
                budget, shares: groups.map { found[$0]?.shares ?? [] }, groups: groups, largest: largest)
        }
        return try taking(
            zip(layers, zip(groups, ranks)).map { layer, place in
                (layer.0, layer.1, found[place.0], place.1)
            }, beside: parts.filter { $0.adapter is LoRAEmbedding }.map(\.path))
    }

    private static let mostPasses = 1000

    /// As many components as there are ranks in all, those that explain most first.
    ///
    /// Of layers with one input the first gets the most, as in PEFT.
    static func distributed(_ budget: Int, shares: [[Double]], groups: [Int], largest: [Int]) -> [Int] {
        // Leaders come before those that follow them.
        let layers = groups.indices.sorted { (groups[$0] == $0 ? 0 : 1, $0) < (groups[$1] == $1 ? 0 : 1, $1) }
        let all = layers.flatMap { layer in shares[layer].prefix(largest[layer]).map { (layer, $0) } }
        let order = all.indices.sorted { (-all[$0].1, $0) < (-all[$1].1, $1) }
        var ranks = Array(repeating: 0, count: groups.count)
        for place in order.prefix(budget) { ranks[all[place].0] += 1 }
        for layer in layers where groups[layer] != layer && ranks[groups[layer]] < ranks[layer] {
            ranks.swapAt(layer, groups[layer])
        }
        return ranks
    }

    /// Gives layers their ranks and first values; those without a rank are left as they are.
    ///
    /// - Parameter tables: Adapted too, with the ranks that they have.
    private func taking(
        _ layers: [(path: String, lora: LoRA, found: PrincipalComponents?, rank: Int)], beside tables: [String]
    ) throws -> LoRAConfiguration {
        var method = self
        var (ranks, alphas): ([(String, Double)], [(String, Double)]) = ([], [])
        for path in tables {
            if rank(of: path) != rank { ranks.append((path, Double(rank(of: path)))) }
            if let alpha = alphaPattern[path], alpha != self.alpha { alphas.append((path, alpha)) }
        }
        for (path, lora, found, newRank) in layers where newRank > 0 {
            guard let components = found?.components, let lengths = found?.lengths else { continue }
            var alpha = alphaPattern[path] ?? alpha
            if start.components.adjustsScale { alpha *= Double(newRank) / Double(lora.rank) }
            var rows = try components.narrowed(0, start: 0, length: newRank)
            if start.components.isWhitened {
                rows = try rows / sqrt(lengths.narrowed(0, start: 0, length: newRank)).unsqueezed(1)
            }
            if newRank != rank { ranks.append((path, Double(newRank))) }
            if alpha != self.alpha { alphas.append((path, alpha)) }
            let divisor = usesRankStabilization ? Double(newRank).squareRoot() : Double(newRank)
            try lora.begin(rows, scale: alpha / divisor)
        }
        method.rankPattern = PathPatterns(ranks)
        method.alphaPattern = PathPatterns(alphas)
        method.selection.targets = .names(
            Self.names(
                tables + layers.filter { $0.rank > 0 }.map(\.path),
                apart: layers.filter { $0.rank == 0 }.map(\.path), areShort: choosesByEnds))
        method.selection.excluded = nil
        (method.selection.layers, method.selection.layersPattern) = (nil, nil)
        return method
    }
}

extension LoRAConfiguration {
    /// Whether all layers of a name are chosen, so that the end of a path says as much as the whole.
    private var choosesByEnds: Bool {
        guard selection.layers == nil, selection.excluded == nil else { return false }
        switch selection.targets {
        case .allLinear: return true
        case .names(let names): return !names.contains { $0.contains(".") }
        case .pattern, .automatic: return false
        }
    }

    /// Names of layers for a file: of twenty and more the shortest ends that others do not have, as PEFT writes them.
    private static func names(_ paths: [String], apart others: [String], areShort: Bool) -> [String] {
        guard areShort, paths.count >= 20 else { return paths }
        func ends(_ path: String) -> [String] {
            let parts = path.split(separator: ".")
            return parts.indices.reversed().map { parts[$0...].joined(separator: ".") }
        }
        let taken = Set(others.flatMap(ends))
        var names: [String] = []
        for path in paths where !names.contains(where: { path.hasSuffix("." + $0) }) {
            if let name = ends(path).first(where: { !taken.contains($0) }) { names.append(name) }
        }
        return names.sorted()
    }
}

/// What goes into layers in a pass.
struct LayerInputs {
    private let layers: [LoRA]

    init(_ layers: [LoRA]) throws {
        guard !layers.isEmpty else {
            throw AdapterError("--init_weights: no linear layer is adapted whose inputs could be looked at")
        }
        self.layers = layers
    }

    /// The rows [T, in] of each layer, and those of tokens that are learned.
    func rows(_ passes: StartPasses, _ places: [Int]) throws -> (rows: [Int: Tensor], learned: [Int32]) {
        var rows: [Int: Tensor] = [:]
        let learned = try observed(passes, places) { rows[$0] = $1 }
        return (rows, learned)
    }

    /// Runs a pass and shows the input of each layer when it comes.
    @discardableResult
    func observed(
        _ passes: StartPasses, _ places: [Int], _ look: @escaping (Int, Tensor) throws -> Void
    ) throws -> [Int32] {
        for (index, layer) in layers.enumerated() { layer.observer = { try look(index, $0) } }
        defer { for layer in layers { layer.observer = nil } }
        return try withoutGradients { try passes.run(places).learned }
    }

    /// For each layer the first one that is given the same input.
    func shared(_ passes: StartPasses, _ places: [Int]) throws -> [Int] {
        let rows = try rows(passes, places).rows
        var firsts: [ObjectIdentifier: Int] = [:]
        return layers.indices.map { layer in
            guard let input = rows[layer].map(ObjectIdentifier.init) else { return layer }
            let first = firsts[input] ?? layer
            firsts[input] = first
            return first
        }
    }
}
