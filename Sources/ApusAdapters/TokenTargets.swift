import ApusJSON
import ApusNN
import ApusTorch

/// Which tokens of which tables are trained by themselves: for the method of that name, and beside LoRA.
enum TokenTargets: Sendable, Equatable {
    /// Tokens of the input's table.
    case input([Int])
    /// Modules by the ends of their paths, each with its tokens.
    case modules([Module])

    struct Module: Sendable, Equatable {
        let name: String
        let ids: [Int]
    }

    /// Words of a command line, or a value of PEFT's file: a list, or an object of lists.
    ///
    /// Nil where no token is named.
    init?(_ value: JSONValue, place: String) throws {
        func refusal(_ what: String) -> AdapterError {
            AdapterError("\(place) must be ids of tokens, or an object from modules to such lists; \(what)")
        }
        func ids(_ value: JSONValue) throws -> [Int] {
            let ids = try (value.arrayValue ?? [value]).map { element in
                guard let id = element.intValue ?? element.stringValue.flatMap(Int.init), id >= 0 else {
                    throw refusal("\(element.serialized()) is no id of a token")
                }
                return id
            }
            guard Set(ids).count == ids.count else { throw refusal("an id is named twice") }
            return ids
        }
        var value = value
        let words = value.arrayValue ?? [value]
        if words.count == 1, let text = words[0].stringValue, text.hasPrefix("{") || text.hasPrefix("[") {
            do {
                value = try JSONValue(parsing: text)
            } catch {
                throw refusal("\(text) is not JSON: \(error)")
            }
        }
        if let object = value.objectValue {
            let modules = try object.map { Module(name: $0, ids: try ids($1)) }.filter { !$0.ids.isEmpty }
            guard !modules.isEmpty else { return nil }
            self = .modules(modules)
        } else {
            let ids = value.isNull ? [] : try ids(value)
            guard !ids.isEmpty else { return nil }
            self = .input(ids)
        }
    }

    var json: JSONValue {
        func list(_ ids: [Int]) -> JSONValue { .array(ids.map(JSONValue.int)) }
        switch self {
        case .input(let ids): return list(ids)
        case .modules(let modules):
            var object = JSONObject()
            for module in modules { object[ModulePaths.inTransformers(module.name)] = list(module.ids) }
            return .object(object)
        }
    }

    /// The path of the table that a model reads its input with.
    static func inputTable(of model: ApusNN.Module) throws -> String {
        let modules = model.modules()
        let tables = modules.lazy.compactMap { ($0.module as? any PromptHost)?.embedding }
        guard let table = tables.first, let path = modules.first(where: { $0.module === table })?.path else {
            throw AdapterError("the model has no table of words whose tokens could be trained")
        }
        return path
    }

    /// The modules of a model that are meant, with their tokens, in its order.
    func hosts(on model: ApusNN.Module, option: String) throws -> [(path: String, module: ApusNN.Module, ids: [Int])] {
        let wanted: [Module]
        switch self {
        case .input(let ids): wanted = [Module(name: try Self.inputTable(of: model), ids: ids)]
        case .modules(let modules): wanted = modules
        }
        let modules = model.modules().filter { $0.module is Embedding || $0.module is Linear }
        for target in wanted where !modules.contains(where: { Self.names(target.name, $0.path) }) {
            throw AdapterError(
                "--\(option): no table of words and no linear layer is called \"\(target.name)\"; take embed_tokens, or lm_head"
            )
        }
        return modules.compactMap { path, module in
            wanted.first { Self.names($0.name, path) }.map { (path, module, $0.ids) }
        }
    }

    private static func names(_ name: String, _ path: String) -> Bool { ModulePaths.ends(of: path).contains(name) }
}

/// Hangs trained rows on tables and on what is tied to them.
struct TokenParts {
    let name: String
    /// What the names of tensors have behind the path in a file.
    let infix: String
    /// Whether the rows are stored under the names of tied heads too.
    let storesTies: Bool
    /// Whether rows begin at random, for tests.
    var isRandom = false

    /// - Parameter hosts: The tables and heads that are named.
    func parts(
        on model: Module, _ hosts: [(path: String, module: Module, ids: [Int])]
    ) throws -> [AdapterPart] {
        var parts: [AdapterPart] = []
        func add(_ path: String, _ host: Module, _ adapter: Adapter) {
            parts.append(
                AdapterPart(path: path, host: host, adapter: adapter, prefix: "base_model.model.\(path).\(infix)"))
        }
        var tables: [(table: Embedding, adapter: TrainableTokens)] = []
        for (path, module, ids) in hosts {
            guard let table = module as? Embedding else { continue }
            try check(ids, below: table.count, path, table.adapters)
            let adapter = TrainableTokens(name: name, for: table, ids: ids, isRandom: isRandom)
            table.adapters.append(adapter)
            tables.append((table, adapter))
            add(path, table, adapter)
            for copy in TableCopies.paths(of: table, on: model) {
                add(copy, table, RepeatedTokens(name: name, adapter, isStored: storesTies))
            }
        }
        for (path, module) in model.modules() {
            guard let linear = module as? Linear else { continue }
            let own = hosts.first { $0.module === linear }?.ids
            let tied = (linear.storage as? TiedWeight).flatMap { tie in tables.first { $0.table === tie.embedding } }
            if let tied, own == nil || own == tied.adapter.ids {
                let adapter = TiedTokens(name: name, tied.adapter, isStored: storesTies)
                linear.adapters.append(adapter)
                add(path, linear, adapter)
            } else if let own {
                try check(own, below: linear.outputs, path, linear.adapters)
                let adapter = TrainableOutputs(name: name, for: linear, ids: own, isRandom: isRandom)
                linear.adapters.append(adapter)
                add(path, linear, adapter)
            }
        }
        return parts
    }

    private func check(_ ids: [Int], below count: Int, _ path: String, _ adapters: [Adapter]) throws {
        if let far = ids.first(where: { $0 >= count }) {
            throw AdapterError("token \(far) is not among the \(count) of \(path); the last one is \(count - 1)")
        }
        for other in adapters {
            let taken = (other as? TrainableTokens)?.ids ?? (other as? TrainableOutputs)?.ids ?? []
            if let both = ids.first(where: taken.contains) {
                throw AdapterError(
                    "token \(both) of \(path) is trained by the adapter \(other.name) already; leave it out")
            }
        }
    }

    static func draw(_ parts: [AdapterPart]) throws {
        for part in parts { try (part.adapter as? TrainableTokens)?.draw() }
    }

    /// The rows begin as those of the base model.
    static func start(_ parts: [AdapterPart]) throws {
        for part in parts {
            let (slot, ids, matrix): (ParameterSlot, [Int], Tensor)
            switch (part.host, part.adapter) {
            case (let table as Embedding, let adapter as TrainableTokens):
                (slot, ids, matrix) = (adapter.$rows, adapter.ids, table.weight)
            case (let linear as Linear, let adapter as TrainableOutputs):
                (slot, ids, matrix) = (adapter.$rows, adapter.ids, try linear.matrix)
            default: continue
            }
            guard let type = slot.tensor?.dtype else { continue }
            try slot.fill(withoutGradients { try matrix.indexed(0, Tensor(ids, device: matrix.device)).to(type) })
        }
    }
}

extension [AdapterPart] {
    /// Those that are not rows of tokens.
    var withoutTokens: [AdapterPart] {
        onLayers.filter {
            !($0.adapter is TrainableTokens || $0.adapter is TiedTokens || $0.adapter is TrainableOutputs)
        }
    }
}

/// A table of words that `transformers` has under several names, one for each of two stacks.
enum TableCopies {
    /// The other paths of a table.
    static func paths(of table: Embedding, on model: Module) -> [String] {
        for (path, module) in model.modules() {
            guard let host = module as? any PromptHost, host.embedding === table else { continue }
            return host.embeddingCopies.map { Module.joined(path, $0) }
        }
        return []
    }

    /// Refuses what would hang on such a table, or train it whole: in PEFT it would hang on the name that nothing reads.
    static func check(_ parts: [AdapterPart], whole: [String], on model: Module) throws {
        for (path, module) in model.modules() {
            guard let table = module as? Embedding, case let copies = paths(of: table, on: model), !copies.isEmpty,
                ModulePaths.lies(path, in: whole) || parts.withoutTokens.contains(where: { $0.host === table })
            else { continue }
            throw AdapterError(
                "\(path) cannot be adapted or trained whole beside an adapter: in transformers the stacks of this model read "
                    + "words by \(copies.joined(separator: " and ")), so that PEFT's adapter would change nothing there. Leave "
                    + "it out, name tokens (trainable_token_indices), or train all weights (--tuner_type full)")
        }
    }
}
