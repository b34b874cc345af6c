package import ApusNN
package import ApusTorch

/// One adapter on one model: the parts of its method, and what is trained and stored whole beside them.
package struct AttachedAdapter {
    /// What it is called on its model.
    package let name: String
    package private(set) var method: any AdapterMethod
    package let parts: [AdapterPart]
    /// The model's own parameters that are trained and stored whole, such as a new head's.
    let saved: [(path: String, slot: ParameterSlot)]
    /// Paths of modules of the model that are the method's, and keep the model's type.
    let ownModules: [String]
    /// Elements of modules that PEFT copies to train them.
    let copiedCount: Int
    /// The model's own tables that a file may hold beside the adapters.
    let tables: [(path: String, slot: ParameterSlot)]
    /// Heads that are tables of words: they stay as they are when a table changes.
    let ties: [Linear]
    /// What the names of a model's trunk begin with, with its point; files may leave it out or have it.
    let trunk: String

    /// What is trained, under PEFT's names: `base_model.model.<path>.lora_A.weight`.
    package var parameters: [(name: String, slot: ParameterSlot)] {
        parts.flatMap { part in
            part.adapter.parameters().map { (part.prefix + $0.name, $0.slot) }
        } + saved.map { (type(of: method).modelPrefix + storedPath($0.path), $0.slot) }
    }

    /// The names of trained matrices that linear layers multiply with: of adapters on linear layers or with such layers, and
    /// of the model's own.
    package func linearMatrices(of model: Module) -> Set<String> {
        func matrices(_ module: Module) -> Set<String> {
            Set(module.modules().filter { $0.module is Linear }.map { "\($0.path).weight" })
        }
        let ofAdapters = parts.flatMap { part in
            let own = matrices(part.adapter)
            // PEFT's adapters are layers where their matrices are called weights.
            return part.adapter.parameters().map(\.name)
                .filter { own.contains($0) || part.host is Linear && $0.hasSuffix(".weight") }
                .map { part.prefix + $0 }
        }
        return Set(ofAdapters).union(trainedNames(of: matrices(model)))
    }

    /// The names of what trains of a `LayerNorm`: copies of the model's, those that adapters have, and the model's own.
    package func layerNormParameters(of model: Module) -> Set<String> {
        let ofAdapters = parts.flatMap { part in
            let isCopy = part.host is LayerNorm && part.adapter is NormAdapter
            let names = isCopy ? Set(part.adapter.parameters().map(\.name)) : part.adapter.layerNormParameters
            return names.map { part.prefix + $0 }
        }
        return Set(ofAdapters).union(trainedNames(of: model.layerNormParameters))
    }

    /// PEFT's names of those of the model's own parameters that are trained.
    private func trainedNames(of paths: Set<String>) -> [String] {
        saved.filter { paths.contains($0.path) }.map { type(of: method).modelPrefix + storedPath($0.path) }
    }

    /// PEFT's name of a model's own parameter: below an adapter it lies in what PEFT calls the base layer.
    func storedPath(_ path: String) -> String {
        guard let dot = path.lastIndex(of: ".") else { return path }
        let isBelow = parts.contains { $0.path == path[..<dot] && $0.host is Linear }
        return isBelow && path.hasSuffix(".bias") ? path[..<dot] + ".base_layer.bias" : path
    }

    /// Elements that it adds to the model, as PEFT counts: modules that are trained whole are copies there.
    package var addedCount: Int {
        copiedCount + parts.reduce(0) { $0 + $1.adapter.parameters().reduce(0) { $0 + $1.slot.count } }
    }

    /// Whether the model without it is the one that its files hold: all that trains is beside the model's own weights.
    package var leavesBase: Bool { saved.isEmpty && !method.changesBase }

    /// How many layers it hangs on, or has of its own.
    package var layerCount: Int {
        parts.isEmpty ? Set(saved.map { $0.path.split(separator: ".").prefix(3) }).count : parts.onLayers.count
    }

    /// What takes part in the steps of a run of so many.
    package mutating func participants(totalSteps: Int) throws -> [any StepParticipant] {
        var participants = try method.participants(parts, totalSteps: totalSteps)
        if !isStoredAsTrained { participants.append(TrainedState(self)) }
        return participants
    }

    /// Whether the file holds what is trained, and not only what that amounts to.
    package var isStoredAsTrained: Bool { parts.allSatisfy(\.adapter.isStoredAsTrained) }

    /// Refuses first values of the base model that this adapter does not store: whoever loads it would draw others.
    ///
    /// - Parameter new: Names of parameters that the base model's file did not hold.
    package func checkStored(new: [String], of model: String) throws {
        let lost = unstored(new)
        guard lost.isEmpty else {
            throw AdapterError(
                "\(model) holds no \(lost.joined(separator: ", ")), and an adapter does not store it, so that its values would "
                    + "be lost. Train it whole beside the adapter (--modules_to_save and its name), or train all weights "
                    + "first (--tuner_type full), and put the adapter on the result.")
        }
    }

    /// Those of some weights of the model that the adapter's files do not hold.
    package func unstored(_ names: [String]) -> [String] {
        let stored = Set(saved.map(\.path))
        return names.filter { !stored.contains($0) }
    }
}

extension AdapterMethod {
    /// Hangs this adapter on a model and freezes everything else.
    ///
    /// - Parameters:
    ///   - heads: Paths of the modules that make the model's answer; choices of whole models leave them out.
    ///   - trunk: The name on disk of the trunk.
    /// - Throws: `AdapterError` when a target matches no layer, naming the nearest ones.
    package func attach(
        to model: Module, named name: String = "default", heads: [String] = ["lm_head"], trunk: String = "model"
    ) throws -> AttachedAdapter {
        var method = self
        try method.prepare(on: model)
        return try method.attached(to: model, named: name, heads: heads, trunk: trunk)
    }

    private func attached(
        to model: Module, named name: String, heads: [String], trunk: String
    ) throws -> AttachedAdapter {
        let modules = model.modules()
        let present = Set(modules.compactMap { ($0.module as? Adapter)?.name })
        guard !present.contains(name) else {
            throw AdapterError("the model has an adapter named \(name) already; give this one another name")
        }
        let isFirst = present.isEmpty
        if !isFirst { try checkBeside(modules) }
        // Before adapters hang on them, whose own biases are not meant.
        let allBiases =
            base.biases == .none ? [] : model.parameters().filter { $0.name.hasSuffix("bias") && !$0.slot.isBuffer }
        let parts = try parts(on: model, named: name, heads: heads)
        try TableCopies.check(parts, whole: base.storedModules, on: model)
        let hosts = Set(parts.filter { $0.host is Linear }.map { $0.path + ".bias" })
        let biases = base.biases == .adapted ? allBiases.filter { hosts.contains($0.name) } : allBiases
        // A head that is the table of words is copied when one of the two is trained: the other stays as it was.
        var ties: [Linear] = []
        for (path, module) in modules {
            guard let linear = module as? Linear, let tied = linear.storage as? TiedWeight else { continue }
            ties.append(linear)
            guard !base.keepsTies else { continue }
            let table = modules.first { $0.module === tied.embedding }?.path ?? ""
            if ModulePaths.lies(path, in: base.storedModules) || ModulePaths.lies(table, in: base.storedModules) {
                try linear.untie()
            }
        }
        if isFirst { try model.setTrainable(false) }
        let whole = model.parameters().filter { ModulePaths.lies($0.name, in: base.storedModules) }
        let ownModules = try ownModules(of: model)
        let own = model.parameters().filter { parameter in
            ownModules.contains { parameter.name.hasPrefix($0 + ".") }
        }
        let saved = own + whole + biases.filter { bias in !whole.contains { $0.slot === bias.slot } }
        let tables = modules.flatMap { path, module -> [(String, ParameterSlot)] in
            if let tied = (module as? Linear)?.storage as? TiedWeight {
                return [(Module.joined(path, "weight"), tied.embedding.$weight)]
            }
            guard module is Embedding || heads.contains(path) else { return [] }
            return module.slots().parameters.filter(\.isDeclared).map { (Module.joined(path, $0.name), $0) }
        }
        return AttachedAdapter(
            name: name, method: self, parts: parts, saved: saved.map { ($0.name, $0.slot) },
            ownModules: ownModules,
            copiedCount: whole.reduce(0) { $0 + $1.slot.count }, tables: tables, ties: ties, trunk: trunk + ".")
    }

    /// Refuses what only the first adapter of a model may do: the model's own weights are those that others were made on.
    private func checkBeside(_ modules: [(path: String, module: Module)]) throws {
        if modules.contains(where: { ModulePaths.lies($0.path, in: base.storedModules) }) {
            throw AdapterError(
                "an adapter that stores modules of the model (\(base.storedModules.joined(separator: ", "))) beside another "
                    + "is not there yet; merge the first one")
        }
        if base.biases != .none {
            throw AdapterError(
                "an adapter with biases of the model (bias \(base.biases.rawValue)) behind another would change the model that "
                    + "the other was made on; name it first, or merge the first one")
        }
        if changesBase {
            throw AdapterError(
                "an adapter that was taken out of the model's own weights (init_lora_weights) behind another would be taken out "
                    + "of weights that may be others by now; name it first, merge the first one, or make it a plain adapter "
                    + "(apus export --convert_to_lora true, of PiSSA and OLoRA)")
        }
    }
}

extension AttachedAdapter {
    /// Refuses an adapter whose layers are another's too, as both would fill them.
    package func checkLayers(beside others: [AttachedAdapter]) throws {
        guard !ownModules.isEmpty, let other = others.first(where: { !$0.ownModules.isEmpty }) else { return }
        throw AdapterError(
            "the layers that \(name) adds to the model are those that \(other.name) has filled already; give one of the two"
        )
    }
}

extension AttachedAdapter {
    /// Allocates the adapter's first values; each part has its own stream of the seed.
    ///
    /// - Parameters:
    ///   - dtype: PEFT keeps adapters of 16-bit models in float32.
    ///   - encode: The ids of a text, for methods that start from one.
    package func materialize(
        dtype: DType, device: Device, seed: UInt64, encode: ((String) throws -> [Int32])? = nil
    ) throws {
        for part in parts {
            for (name, slot) in part.adapter.parameters() {
                let key = AdapterStream.key(part.adapter.name, Module.joined(part.path, name))
                let generator = try Generator(seed: streamKey(seed, key))
                try slot.materialize(dtype: dtype, device: device, generator: generator)
            }
        }
        try drawConstants(dtype: dtype, device: device)
        try method.prepareBase(parts)
        try method.start(parts, seed: seed, encode: encode)
        // What the base model's file or a fresh head gave them, in the adapters' type.
        for (path, slot) in saved {
            guard let tensor = slot.tensor else { continue }
            let dtype = isOwn(path) ? tensor.dtype : dtype
            // A copy: the values may lie in a mapped file, which training must not write to.
            try slot.fill(tensor.dtype == dtype ? tensor.cloned() : tensor.to(dtype))
        }
    }

    /// Whether a parameter of the model belongs to the method.
    func isOwn(_ path: String) -> Bool { ownModules.contains { path.hasPrefix($0 + ".") } }

    /// Fills what is not trained and follows from the configuration; whole numbers keep their type.
    func drawConstants(dtype: DType, device: Device) throws {
        try method.draw(parts)
        for (_, slot) in parts.flatMap({ $0.adapter.constants() }) {
            guard let drawn = slot.tensor else { continue }
            try slot.fill((drawn.dtype.isFloatingPoint ? drawn.to(dtype) : drawn).to(device))
        }
    }

    /// Makes first values of passes over data, where the method wants them.
    ///
    /// - Returns: The adapter, which may hang on fewer layers now.
    package func started(from passes: StartPasses, seed: UInt64) throws -> AttachedAdapter {
        guard let (shaped, kept) = try method.start(parts, from: passes, seed: seed) else { return self }
        for part in parts where !kept.contains(where: { $0.adapter === part.adapter }) { part.takeOff() }
        return AttachedAdapter(
            name: name, method: shaped, parts: kept, saved: saved, ownModules: ownModules,
            copiedCount: copiedCount, tables: tables, ties: ties, trunk: trunk)
    }

    /// Takes every part off the model.
    package func detach() {
        for part in parts { part.takeOff() }
    }

    package func setTrainable(_ isTrainable: Bool) throws {
        for (_, slot) in parameters { try slot.setTrainable(isTrainable) }
    }

    /// Folds every part into its layer's weight and takes it off.
    ///
    /// - Throws: `AdapterError` where a layer's matrix is quantised: merged, it would be rounded again.
    package func merge() throws {
        if let part = parts.first(where: { ($0.host as? Linear)?.isQuantized == true }) {
            throw AdapterError(
                "merging: the weights of \(part.path) are quantised, and the sum would be rounded to few bits again. Merge "
                    + "into the model in its original precision: leave out --quant_method, or give that model as --model."
            )
        }
        try withoutGradients {
            for part in parts {
                func checked(_ weight: Tensor) throws -> Tensor {
                    guard try weight.isFinite().to(.float32).mean().item() == 1 else {
                        throw AdapterError(
                            "merging \(part.path) gives values that are not finite; the adapter is damaged")
                    }
                    return weight
                }
                switch (part.host, part.adapter) {
                case (_, is SharedAdapter): continue
                case (let linear as Linear, let adapter as LinearAdapter) where adapter.followsTable:
                    linear.adapters.removeAll { $0 === adapter }
                case (let linear as Linear, let adapter as LinearAdapter):
                    guard linear.bias != nil || !adapter.changesBias else {
                        throw AdapterError(
                            "\(part.path) has no bias that the adapter's (lora_bias) could be folded into; use it unmerged"
                        )
                    }
                    try linear.setMatrix(checked(adapter.merged(into: linear.matrix)))
                    if let bias = linear.bias { try linear.$bias.fill(checked(adapter.merged(intoBias: bias))) }
                    linear.adapters.removeAll { $0 === adapter }
                case (let table as Embedding, let adapter as EmbeddingAdapter):
                    for head in ties where (head.storage as? TiedWeight)?.embedding === table {
                        let follows = parts.contains { part in
                            part.host === head && (part.adapter as? LinearAdapter)?.followsTable == true
                        }
                        if !follows { try head.untie() }
                    }
                    try table.$weight.fill(checked(adapter.merged(into: table.weight)))
                    table.adapters.removeAll { $0 === adapter }
                case (let norm as Norm, let adapter as NormAdapter):
                    let slots = norm.slots().parameters.filter(\.isDeclared)
                    let own = slots.compactMap { slot in slot.tensor.map { (slot.name, $0) } }
                    let merged = try adapter.merged(into: Dictionary(uniqueKeysWithValues: own))
                    for slot in slots { if let tensor = merged[slot.name] { try slot.fill(checked(tensor)) } }
                    norm.adapters.removeAll { $0 === adapter }
                default:
                    throw AdapterError.unmergeable(type(of: method).tunerType)
                }
            }
        }
    }
}

extension AdapterPart {
    /// Takes the adapter off its layer.
    fileprivate func takeOff() {
        switch host {
        case let linear as Linear: linear.adapters.removeAll { $0 === adapter }
        case let table as Embedding: table.adapters.removeAll { $0 === adapter }
        case let norm as Norm: norm.adapters.removeAll { $0 === adapter }
        default: break
        }
    }
}

/// What is trained, for a run that goes on, where an adapter's file holds only what that amounts to.
final class TrainedState: StepParticipant {
    let state: [(name: String, tensor: Tensor)]

    init(_ adapter: AttachedAdapter) {
        state = adapter.parameters.compactMap { name, slot in slot.tensor.map { ("adapter.\(name)", $0) } }
    }
}

/// What tells the random streams of adapters apart: the adapter's name and the place it hangs on.
///
/// A layer draws the same whatever else is adapted beside it.
enum AdapterStream {
    static func key(_ name: String, _ path: String) -> UInt64 {
        // FNV-1a; Swift's own hashes differ from run to run.
        "\(name)\u{0}\(path)".utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

/// Module paths by PEFT's rules.
package enum ModulePaths {
    /// What files of GPT-NeoX call the head.
    static let headOfNeoX = "embed_out"
    /// What transformers calls heads.
    static let head = "lm_head"

    /// What a module or a weight may be called: by files of models, and in the memory of transformers 5.
    static func names(_ path: String) -> [String] {
        let later = inTransformers(path)
        return later == path ? [path] : [path, later]
    }

    /// The name in the memory of transformers 5, by which PEFT stores and looks for it.
    static func inTransformers(_ path: String) -> String {
        path == headOfNeoX || path.hasPrefix(headOfNeoX + ".")
            ? head + path.dropFirst(headOfNeoX.count) : ExpertPlaces.inTransformers(path)
    }

    /// A path and what it ends with after each of its points, under all its names.
    package static func ends(of path: String) -> [String] {
        names(path).flatMap { path in
            [path] + path.indices.filter { path[$0] == "." }.map { String(path[path.index(after: $0)...]) }
        }
    }

    /// The modules that the one of a path lies in, but the model itself.
    static func parents(of path: String) -> [String] {
        path.indices.filter { path[$0] == "." }.map { String(path[..<$0]) }
    }

    /// Whether a path is one of some modules or a part of it; modules are named by the ends of their paths, points or not:
    /// `pre_classifier` is a `classifier`.
    static func lies(_ path: String, in modules: [String]) -> Bool {
        guard !modules.isEmpty else { return false }
        return names(path).contains { path in
            let ends = path.indices.filter { path[$0] == "." } + [path.endIndex]
            return modules.contains { module in
                !module.isEmpty && ends.contains { path[..<$0].hasSuffix(module) }
            }
        }
    }
}
