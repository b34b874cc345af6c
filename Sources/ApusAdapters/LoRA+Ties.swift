import ApusJSON
import ApusNN

/// PEFT's `ensure_weight_tying`: a head that is the model's table of words stays it when one of the two is trained.
extension LoRAConfiguration {
    static let tyingOption = AdapterOption(
        "ensure_weight_tying", .boolean, default: false,
        "Train a table of words and the head that is tied to it as one, where --modules_to_save names one of them.",
        decidesCount: true)

    /// The last parts of names by which PEFT knows that a table of words or its head is meant.
    private static let knownNames = ["embed_tokens", "lm_head"]

    /// Lets the table stand for its heads among modules that are trained whole, as PEFT does; in a file the adapters on a
    /// table and on its heads belong together too.
    mutating func keepTies(of model: Module) throws {
        guard ensuresTies, let (table, heads) = Self.tie(of: model) else { return }
        func isKnown(_ name: String) -> Bool {
            Self.knownNames.contains(String(ModulePaths.inTransformers(name).split(separator: ".").last ?? ""))
        }
        if base.modulesToSave.contains(where: isKnown) {
            base.keepsTies = true
            if !base.modulesToSave.contains(table) { base.modulesToSave.append(table) }
            base.modulesToSave.removeAll { name in
                heads.flatMap(ModulePaths.names).contains { ".\($0).".contains(".\(name).") }
            }
            return
        }
        let isOfFile = selection.allowsAbsent
        if !isOfFile, let other = ([table] + heads).first(where: { ModulePaths.lies($0, in: base.modulesToSave) }) {
            throw AdapterError(
                "ensure_weight_tying: PEFT knows what is tied by the names \(Self.knownNames.joined(separator: " and ")) in "
                    + "modules_to_save alone, and would train \(other) by itself; name lm_head in its place, or leave out "
                    + "ensure_weight_tying")
        }
        let isTarget =
            switch selection.targets {
            case .names(let names): names.contains(where: isKnown)
            case .pattern(let pattern): Self.knownNames.contains { TargetModules.fullMatch(pattern, $0) }
            case .allLinear, .automatic: false
            }
        guard isTarget else { return }
        guard isOfFile, !changesBase else {
            throw AdapterError(
                "ensure_weight_tying: an adapter on a table of words and on the head that is tied to it (target_modules) is "
                    + (isOfFile
                        ? "read where it leaves the model's weights as they are (init_lora_weights)" : Self.advice))
        }
        tied = (table, heads)
    }

    private static let advice =
        "read from files, but not trained; train the table whole (modules_to_save), or leave out ensure_weight_tying"

    /// Refuses to train what is read alone: in PEFT the steps of the two adapters, which are one, add up.
    func checkTrainable() throws {
        guard let tied else { return }
        throw AdapterError(
            "ensure_weight_tying: the adapter on \(tied.table) and on the head that is tied to it (target_modules) is "
                + Self.advice)
    }

    /// The table of words that heads of a model are.
    private static func tie(of model: Module) -> (table: String, heads: [String])? {
        let modules = model.modules()
        let heads = modules.filter { ($0.module as? Linear)?.storage is TiedWeight }
        guard let first = (heads.first?.module as? Linear)?.storage as? TiedWeight,
            let table = modules.first(where: { $0.module === first.embedding })
        else { return nil }
        return (table.path, heads.map(\.path))
    }

    /// The chosen layers, with the table and the heads that are meant with it.
    func withTies(
        _ hosts: [(path: String, module: Module)], on model: Module
    ) -> [(path: String, module: Module)] {
        guard let tied else { return hosts }
        let chosen = Set(hosts.map(\.path) + tied.heads + [tied.table])
        return model.modules().filter { chosen.contains($0.path) }
    }

    /// The rank on a layer; a head has the table's where the two belong together.
    func rank(on path: String) -> Int {
        guard let tied, tied.heads.contains(path) else { return rank(of: path) }
        return rank(of: tied.table)
    }

    /// Refuses other tokens of a head than of the table that it is, as PEFT does.
    func checkTies(_ hosts: [(path: String, module: Module, ids: [Int])]) throws {
        guard ensuresTies else { return }
        for head in hosts {
            guard let tie = (head.module as? Linear)?.storage as? TiedWeight,
                let table = hosts.first(where: { $0.module === tie.embedding }), table.ids != head.ids
            else { continue }
            throw AdapterError(
                "trainable_token_indices: \(head.path) and \(table.path) are one table (ensure_weight_tying) and name other "
                    + "tokens; name the same ones in the same order, or leave out ensure_weight_tying")
        }
    }
}
