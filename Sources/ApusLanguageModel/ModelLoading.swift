package import ApusNN
package import ApusTorch
package import ApusWeights

/// Which tensors of a file fill which parameters of a model.
///
/// A file may hold the trunk alone or with the head of another task, and may or may not write the trunk's name before
/// its parts (`bert.encoder…`, `encoder…`); old files call the weight of a norm `gamma` and its bias `beta`; the head of
/// GPT-NeoX is `embed_out` in published files and `lm_head` in the memory of transformers 5, which has other names for the
/// experts of Mixtral too and writes them where it is asked to; models that see pictures too write a name of their own
/// between the trunk's and its parts (`model.language_model.layers…`).
struct WeightNames {
    private let trunk: String
    private let heads: [String]
    private let outer: [String]
    private let isBareModel: Bool
    private let isBareFile: Bool
    private let isMixtral: Bool

    /// Parts of Mixtral's layers in the memory of transformers 5, and in published files.
    private static let ofMixtral = [
        (".mlp.", ".block_sparse_moe."), (".gate_proj.", ".w1."), (".down_proj.", ".w2."), (".up_proj.", ".w3."),
    ]

    init(_ model: any TextModel, file: [String]) {
        trunk = model.trunk.name + "."
        heads = model.headNames
        outer = model.trunk.outerNames
        let (prefix, names) = (trunk, model.parameters().map(\.name))
        isBareModel = !names.contains { $0.hasPrefix(prefix) }
        isMixtral = names.contains { $0.contains(".block_sparse_moe.") }
        isBareFile = !file.contains { $0.hasPrefix(prefix) }
    }

    /// The part below the trunk, or nil for what belongs to a head.
    func inTrunk(_ name: String, isBare: Bool) -> String? {
        isBare ? name : name.hasPrefix(trunk) ? String(name.dropFirst(trunk.count)) : nil
    }

    /// What a tensor of the file is called in the model.
    func inModel(_ name: String) -> String {
        var name = name
        if name.hasSuffix(".gamma") { name = name.dropLast(6) + ".weight" }
        if name.hasSuffix(".beta") { name = name.dropLast(5) + ".bias" }
        for part in outer {
            if name.hasPrefix(trunk + part) { name = trunk + name.dropFirst(trunk.count + part.count) }
            if isBareFile, name.hasPrefix(part) { name = String(name.dropFirst(part.count)) }
        }
        if heads == ["embed_out"], name == "lm_head.weight" { name = "embed_out.weight" }
        if isMixtral { for (later, own) in Self.ofMixtral { name = name.replacing(later, with: own) } }
        switch (isBareModel, isBareFile) {
        case (true, true), (false, false): return name
        case (true, false): return inTrunk(name, isBare: false) ?? name
        // In a file without the trunk's name a head stands beside the parts of the trunk.
        case (false, true): return isHead(name) ? name : trunk + name
        }
    }

    /// The part below the trunk of a name in the model.
    func belowTrunk(_ modelName: String) -> String { inTrunk(modelName, isBare: isBareModel) ?? modelName }

    func isInTrunk(_ modelName: String) -> Bool { isBareModel || modelName.hasPrefix(trunk) }

    /// Whether a tensor of the file stands beside the trunk, where a model that is the trunk alone has nothing.
    func isOfAnotherHead(_ stored: String) -> Bool { isBareModel && !isBareFile && !stored.hasPrefix(trunk) }

    /// Whether it is a part of the model's head, or of one that continues text.
    func isHead(_ name: String) -> Bool {
        (heads + ["lm_head", "embed_out"]).contains { name.hasPrefix($0 + ".") }
    }
}

/// Which tensors of a file fill a model, and which parameters get first values instead.
private struct WeightMatch {
    /// The tensor of the file, by the parameter's name.
    var sources: [String: String] = [:]
    /// Parameters without a tensor that are made anew.
    var new: [String] = []
    /// Layers that begin as the table they were tied to.
    var untied: [Linear] = []
    var leftOut = LeftOut()
}

/// The table of words and a head that is tied to it, and what a file holds of them.
private struct Tie {
    /// The bias of a masked head that lies beside its matrix, and the parameter that it fills.
    var bias: (stored: String, parameter: String)?
    /// The table's name in the model.
    var table = ""
    /// Nil where no head is tied.
    var storedHead: String?
    /// By its own name, or else by that of a copy.
    var storedTable: String?

    /// The tensor of the file that is the table: where several are one, a file may hold it under a copy's name or the
    /// head's alone.
    var standIn: String? { storedTable ?? storedHead }
}

/// How much of a model a file has to fit.
package enum WeightScope: Sendable {
    /// What is below the head, whose size is not known yet.
    case trunk
    case all
}

extension TextModel {
    /// Compares names and shapes of a file with the model's; no tensor is read.
    ///
    /// - Parameter allowsNewHead: Whether a head, or a pooler, that the file does not hold may get first values.
    /// - Throws: As `loadWeights`.
    package func checkWeights(
        _ store: any TensorStore, allowsNewHead: Bool = false, scope: WeightScope = .all,
        matrices: MatrixReader? = nil
    ) throws {
        let names = WeightNames(self, file: store.tensorNames)
        _ = try match(
            store, names, tied: tie(store, names), allowsNewHead: allowsNewHead, scope: scope, matrices: matrices)
    }

    /// Fills the model from a store of weights.
    ///
    /// The trunk is strict both ways; what may be left unused: a head equal to the table that it is tied to, heads of
    /// other tasks, a pooler that this task has no use for, and buffers of old files.
    ///
    /// - Parameters:
    ///   - dtype: The type to compute in.
    ///   - newHeadSeed: Fills a head, or a pooler, that the file does not hold with first values; nil makes it an error.
    ///   - matrices: What brings matrices into fewer bits, or reads them so.
    /// - Returns: The parameters that got first values.
    /// - Throws: One `ModelError` that lists every missing, unexpected and misshapen tensor.
    @discardableResult
    package func loadWeights(
        _ store: any TensorStore, dtype: DType, device: Device, newHeadSeed: UInt64? = nil,
        matrices: MatrixReader? = nil
    ) throws -> [String] {
        let names = WeightNames(self, file: store.tensorNames)
        let tied = try resolvedTie(store, names)
        let match = try match(store, names, tied: tied, allowsNewHead: newHeadSeed != nil, matrices: matrices)
        let parameters = parameters()
        let layers = matrices == nil ? [:] : layersByWeight()
        trunk.notices += match.leftOut.notices + store.notices
        let whole = Set(layers.keys).subtracting(layersToQuantize.map { Module.joined($0.path, "weight") })
        for (index, (name, slot)) in parameters.enumerated() {
            if let stored = match.sources[name] {
                if let matrices, let layer = layers[name],
                    let storage = try matrices.storage(
                        stored, layer, whole.contains(name) || matrices.isWhole(String(name.dropLast(".weight".count))))
                {
                    layer.quantize(storage)
                    continue
                }
                let (tensor, isBorrowed) = try store.tensor(stored, dtype: slot.ownType ?? dtype, device: device)
                try slot.fill(tensor, isBorrowed: isBorrowed)
            } else if !match.untied.contains(where: { $0.$weight === slot }) {
                let generator = try Generator(seed: streamKey(newHeadSeed ?? 0, 0x6865_6164, UInt64(index)))
                try slot.materialize(dtype: dtype, device: device, generator: generator)
            }
        }
        for (name, slot) in parameters where match.sources[name] == nil {
            guard let linear = match.untied.first(where: { $0.$weight === slot }) else { continue }
            if let table = linear.formerTie?.embedding.weight { try slot.fill(table.cloned()) }
        }
        return match.new
    }

    /// The half of `loadWeights` that needs names and shapes alone.
    private func match(
        _ store: any TensorStore, _ names: WeightNames, tied: Tie, allowsNewHead: Bool,
        scope: WeightScope = .all, matrices: MatrixReader?
    ) throws -> WeightMatch {
        let parameters = parameters()
        let wanted = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.slot) })
        let layers = matrices == nil ? [:] : layersByWeight()
        func counts(_ name: String) -> Bool { scope == .all || names.isInTrunk(name) }
        var match = WeightMatch()
        var faults: [String] = []
        for stored in store.tensorNames {
            let name = stored == tied.standIn ? tied.table : names.inModel(stored)
            guard let slot = wanted[name] else {
                if counts(name), !isIgnorable(name, names), !names.isOfAnotherHead(stored) {
                    faults.append("not part of the model: \(stored)")
                }
                match.leftOut.note(stored, part: trunk.ignoredParts.first(where: names.belowTrunk(name).hasPrefix))
                continue
            }
            let quantized = try layers[name].flatMap { layer in try matrices?.shape(stored).map { (layer, $0) } }
            let shape = try quantized?.1 ?? store.shape(of: stored)
            let shapeOfSlot = quantized.map { [$0.0.outputs, $0.0.inputs] } ?? slot.shape
            if shape != shapeOfSlot, counts(name) {
                faults.append("\(stored) has the shape \(shape), the model wants \(shapeOfSlot ?? [])")
            }
            match.sources[name] = stored
        }
        if let (stored, parameter) = tied.bias {
            let (shape, shapeOfSlot) = (try store.shape(of: stored), wanted[parameter]?.shape)
            if shape != shapeOfSlot {
                faults.append("\(stored) has the shape \(shape), the model wants \(shapeOfSlot ?? [])")
            }
            match.sources[parameter] = stored
        }
        // What a file holds once although it belongs in two places.
        for (removed, kept) in store.aliases {
            let name = names.inModel(removed)
            if let slot = wanted[name], match.sources[name] == nil, try store.shape(of: kept) == slot.shape {
                match.sources[name] = kept
            }
        }
        // A head taken out of a tie begins as the table.
        match.untied = modules().compactMap { _, module in
            (module as? Linear).flatMap { $0.formerTie == nil ? nil : $0 }
        }
        let missing = parameters.filter { parameter in
            match.sources[parameter.name] == nil && counts(parameter.name)
                && !match.untied.contains { $0.$weight === parameter.slot }
        }.map(\.name)
        match.new = allowsNewHead ? missing.filter { !names.isInTrunk($0) || $0.contains("pooler.") } : []
        faults = missing.filter { !match.new.contains($0) }.map { "missing: \($0)" } + faults
        guard faults.isEmpty else {
            let more = faults.count > 12 ? "\n  … and \(faults.count - 12) more" : ""
            let held = Set(store.tensorNames).union(match.sources.keys)
            throw ModelError(
                "the weights do not fit \(architecture), which config.json describes:\n  "
                    + faults.prefix(12).joined(separator: "\n  ") + more
                    + "\n" + MisfitHint(faults: faults, held: held).text)
        }
        return match
    }

    /// The table of words and a head that is tied to it, as names alone tell of them.
    private func tie(_ store: any TensorStore, _ names: WeightNames) -> Tie {
        var tie = Tie()
        if let copy = biasCopy, let stored = store.tensorNames.first(where: { names.inModel($0) == copy.name }) {
            tie.bias = (stored, copy.parameter)
        }
        tie.table = parameters().first { $0.slot === embedding.$weight }?.name ?? ""
        tie.storedTable =
            store.tensorNames.first { names.inModel($0) == tie.table } ?? copies(in: store, names).first?.stored
        guard let layer = vocabularyLayer, layer.storage is TiedWeight, let path = path(of: layer) else { return tie }
        let head = Module.joined(path, "weight")
        tie.storedHead = store.tensorNames.first { $0 == head || names.inModel($0) == head }
        return tie
    }

    /// What a file holds by the names of copies of the table of words.
    private func copies(in store: any TensorStore, _ names: WeightNames) -> [(path: String, stored: String)] {
        trunk.embeddingCopies.compactMap { path in
            store.tensorNames.first { names.belowTrunk(names.inModel($0)) == path + ".weight" }.map { (path, $0) }
        }
    }

    /// The same, where a file's copy of the table, or its head, has other values than the table: then they are its own.
    private func resolvedTie(_ store: any TensorStore, _ names: WeightNames) throws -> Tie {
        let tie = tie(store, names)
        guard let storedTable = tie.storedTable else { return tie }
        let type = try store.dtype(of: storedTable)
        lazy var table = Result { try store.tensor(storedTable, dtype: type, device: .cpu).tensor }
        func isTable(_ stored: String) throws -> Bool {
            try store.shape(of: stored) == store.shape(of: storedTable) && store.dtype(of: stored) == type
                && store.tensor(stored, dtype: type, device: .cpu).tensor.equals(table.get())
        }
        for (path, stored) in copies(in: store, names) where try stored != storedTable && !isTable(stored) {
            trunk.untie(copy: path)
            trunk.notices.append(
                "\(stored) of the file differs from \(storedTable): it is a table of its own, as in transformers 5")
        }
        guard let storedHead = tie.storedHead, let layer = vocabularyLayer else { return tie }
        if try !isTable(storedHead) {
            try layer.untie()
            trunk.notices.append(
                "\(storedHead) of the file differs from \(storedTable), though config.json says tie_word_embeddings: the "
                    + "file's head is used, as transformers 5 does, and saved models say tie_word_embeddings false")
        }
        return tie
    }

    /// The layer that scores tokens; nil in models that score something else.
    private var vocabularyLayer: Linear? {
        switch self {
        case let model as CausalLanguageModel: model.head
        case let model as MaskedLanguageModel: model.head.vocabularyLayer
        default: nil
        }
    }

    private func path(of layer: Linear) -> String? { modules().first { $0.module === layer }?.path }

    /// The bias of a masked head that files may hold a second time, beside the head's matrix.
    ///
    /// `transformers` computes with that one, and ties the other to it as long as the matrix is tied.
    ///
    /// - Returns: What it is called there, and which parameter it is.
    private var biasCopy: (name: String, parameter: String)? {
        guard self is MaskedLanguageModel, let layer = vocabularyLayer, let path = path(of: layer),
            let dot = path.lastIndex(of: ".")
        else { return nil }
        let (name, parameter) = (path + ".bias", String(path[..<dot]) + ".bias")
        let all = Set(parameters().map(\.name))
        return all.contains(parameter) && !all.contains(name) ? (name, parameter) : nil
    }

    /// Parameters that files hold under a second name too, without which `transformers` would make a part anew.
    package var writtenCopies: [(name: String, parameter: String)] {
        guard vocabularyLayer?.storage == nil, let copy = biasCopy else { return [] }
        return [copy]
    }

    /// Gives the head a table of its own where the one of a file has other values than the table that it is tied to.
    ///
    /// To be called before the trained parameters are chosen, as `loadWeights` does the same too late for them.
    package func resolveTie(_ store: any TensorStore) throws {
        _ = try resolvedTie(store, WeightNames(self, file: store.tensorNames))
    }

    /// The layers with a matrix of their own, by its name.
    private func layersByWeight() -> [String: Linear] {
        modules().reduce(into: [:]) { layers, part in
            guard let layer = part.module as? Linear, layer.storage == nil else { return }
            layers[Module.joined(part.path, "weight")] = layer
        }
    }

    private func isIgnorable(_ name: String, _ names: WeightNames) -> Bool {
        if trunk.ignoredNames.contains(where: name.hasSuffix) { return true }
        if trunk.ignoredParts.contains(where: names.belowTrunk(name).hasPrefix) { return true }
        if continuesText { return headNames.contains { name == $0 + ".weight" } }
        return !names.isInTrunk(name) || name.contains("pooler.") || name.hasPrefix("cls.") || names.isHead(name)
    }
}

/// The parts of a file that the model does not compute with, such as the layers that predict further tokens.
private struct LeftOut {
    private var parts: [(first: String, part: String, count: Int)] = []

    /// - Parameter part: The beginning of the name below the trunk's that says so; nil where another reason does.
    mutating func note(_ stored: String, part: String?) {
        guard let part else { return }
        if let index = parts.firstIndex(where: { $0.part == part }) {
            parts[index].count += 1
        } else {
            parts.append((stored, part, 1))
        }
    }

    var notices: [String] {
        parts.map { first, part, count in
            let start = first.firstRange(of: part).map { first[..<$0.upperBound] } ?? first[...]
            return
                "the weights hold \(count) tensors under \(start)*, which this model does not compute with; they are "
                + "left out, as transformers does, and are not in models that are saved"
        }
    }
}

extension Module {
    /// Allocates and initialises every parameter, each from its own stream of the seed.
    package func materialize(dtype: DType, device: Device, seed: UInt64) throws {
        for (index, parameter) in parameters().enumerated() {
            let generator = try Generator(seed: streamKey(seed, UInt64(index)))
            try parameter.slot.materialize(dtype: dtype, device: device, generator: generator)
        }
    }
}
