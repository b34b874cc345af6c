/// The variables of one run of a block; names are numbers of the template's table.
final class JinjaScope {
    let parent: JinjaScope?
    private var names: [Int]
    // Most scopes have a few names: comparing them all is faster than hashing.
    private var positions: [Int: Int] = [:]
    private static let hashThreshold = 16
    // Nil for a variable that is declared but has no value yet.
    private var values: [JinjaValue?]

    /// - Parameter unset: Names that the block assigns itself: until then they are undefined, whatever they are outside.
    init(parent: JinjaScope?, unset: [Int] = []) {
        self.parent = parent
        names = unset
        values = Array(repeating: nil, count: unset.count)
        indexNames()
    }

    private func indexNames() {
        positions = [:]
        guard names.count > Self.hashThreshold else { return }
        for (position, name) in names.enumerated() where positions[name] == nil { positions[name] = position }
    }

    private func position(of name: Int) -> Int? {
        names.count > Self.hashThreshold ? positions[name] : names.firstIndex(of: name)
    }

    enum Lookup {
        case value(JinjaValue)
        case unset, absent
    }

    func lookup(_ name: Int) -> Lookup {
        var scope: JinjaScope? = self
        while let current = scope {
            if let index = current.position(of: name) {
                return current.values[index].map { .value($0) } ?? .unset
            }
            scope = current.parent
        }
        return .absent
    }

    func set(_ name: Int, _ value: JinjaValue) {
        if let index = position(of: name) {
            values[index] = value
            return
        }
        names.append(name)
        values.append(value)
        if names.count == Self.hashThreshold + 1 {
            indexNames()
        } else if names.count > Self.hashThreshold {
            positions[name] = names.count - 1
        }
    }

    /// Makes the scope as new, for the next turn of a loop.
    func reset(unset: [Int]) {
        names.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        names += unset
        values += repeatElement(nil, count: unset.count)
        indexNames()
    }

    /// Lets go of all values; ends reference cycles when a rendering is over.
    func clear() {
        names = []
        values = []
    }
}

/// A macro together with the scope that it was defined in.
final class JinjaMacro: JinjaObject {
    let definition: JinjaMacroDefinition
    let scope: JinjaScope

    init(_ definition: JinjaMacroDefinition, scope: JinjaScope) {
        self.definition = definition
        self.scope = scope
    }

    override var typeName: String { "Macro" }
    override var isCallable: Bool { true }

    override func repr(_ interpreter: JinjaInterpreter) -> String {
        "<Macro \(definition.name.map { "'\($0)'" } ?? "anonymous")>"
    }

    override func attribute(_ name: String, _ interpreter: JinjaInterpreter) throws -> JinjaValue? {
        switch name {
        case "name": definition.name.map { .text($0) } ?? JinjaValue.none
        case "arguments": try interpreter.tuple(definition.parameters.map { .text($0.name) })
        case "caller": .bool(definition.specials.caller != nil)
        case "catch_kwargs": .bool(definition.specials.keywords != nil)
        case "catch_varargs": .bool(definition.specials.extras != nil)
        case "explicit_caller": .bool(definition.parameters.contains { $0.name == "caller" })
        default: nil
        }
    }

    override func call(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        let scope = try boundScope(arguments, interpreter)
        let (text, _) = try interpreter.nestedCall(scope: scope) {
            for parameter in definition.parameters {
                guard case .unset = scope.lookup(parameter.id) else { continue }
                let name = parameter.name
                scope.set(
                    parameter.id,
                    try parameter.fallback?.evaluate(interpreter)
                        ?? .undefined(JinjaUndefined("parameter '\(name)' was not provided")))
            }
            return try definition.body.execute(interpreter)
        }
        return .text(text)
    }

    /// A scope with the given arguments; parameters without one are left unset.
    private func boundScope(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> JinjaScope {
        let parameters = definition.parameters
        let specials = definition.specials
        let name = definition.name ?? "caller"
        try interpreter.step(parameters.count)
        // Parameters come first, so that looking one up never finds an outer variable of the same name.
        let result = JinjaScope(
            parent: scope, unset: parameters.map(\.id) + interpreter.unsetNames(definition.scope))
        var named = arguments.named
        func take(_ name: String) -> JinjaValue? {
            named.firstIndex { $0.name == name }.map { named.remove(at: $0).value }
        }
        for (index, parameter) in parameters.enumerated() {
            if index < arguments.positional.count {
                result.set(parameter.id, arguments.positional[index])
            } else if let value = take(parameter.name) {
                result.set(parameter.id, value)
            }
        }
        if let caller = specials.caller, !parameters.contains(where: { $0.name == "caller" }) {
            if let value = take("caller"), !value.isNone {
                result.set(caller, value)
            } else {
                result.set(caller, .undefined(JinjaUndefined("No caller defined")))
            }
        }
        if let keywords = specials.keywords {
            let dictionary = JinjaDictionary()
            for (name, value) in named { try dictionary.set(.text(name), value) }
            result.set(keywords, try interpreter.checked(dictionary))
        } else if let (unknown, _) = named.first {
            throw JinjaError.value("macro '\(name)' takes no keyword argument '\(unknown)'")
        }
        let extras = arguments.positional.dropFirst(parameters.count)
        if let id = specials.extras {
            result.set(id, try interpreter.tuple(Array(extras)))
        } else if !extras.isEmpty {
            throw JinjaError.value("macro '\(name)' takes not more than \(parameters.count) argument(s)")
        }
        return result
    }
}
