/// A node of a template's syntax tree that has a value.
protocol JinjaExpression: AnyObject, Sendable {
    var line: Int { get }
    /// Nodes from this one down to the deepest leaf.
    var depth: Int { get }
    var children: [any JinjaExpression] { get }
    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue
}

extension JinjaExpression {
    static func depth(above children: [any JinjaExpression]) -> Int { (children.map(\.depth).max() ?? 0) + 1 }
}

/// A constant.
final class JinjaLiteral: JinjaExpression {
    enum Constant: Sendable {
        case none
        case bool(Bool)
        case int(Int)
        case double(Double)
        case text(JinjaText)
    }

    let constant: Constant
    let line: Int
    let depth = 1
    var children: [any JinjaExpression] { [] }

    init(_ constant: Constant, line: Int) {
        self.constant = constant
        self.line = line
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.step()
        return value
    }

    var value: JinjaValue {
        switch constant {
        case .none: .none
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .text(let text): .text(text)
        }
    }
}

/// A variable, by its number in the template's table of names.
final class JinjaName: JinjaExpression {
    let name: String
    let id: Int
    let line: Int
    let depth = 1
    var children: [any JinjaExpression] { [] }

    init(_ name: String, id: Int, line: Int) {
        self.name = name
        self.id = id
        self.line = line
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        return interpreter.variable(id)
    }
}

/// `ns.name` in the target of an assignment.
final class JinjaNamespaceReference: JinjaExpression {
    let namespace: JinjaName
    let attribute: String
    var line: Int { namespace.line }
    let depth = 2
    var children: [any JinjaExpression] { [namespace] }

    init(_ namespace: JinjaName, attribute: String) {
        self.namespace = namespace
        self.attribute = attribute
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        throw JinjaError(.syntax, "'\(namespace.name).\(attribute)' can only be assigned to here", line: line)
    }
}

/// `[a, b]` or `(a, b)`.
final class JinjaSequenceLiteral: JinjaExpression {
    let items: [any JinjaExpression]
    let isTuple: Bool
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { items }

    init(_ items: [any JinjaExpression], isTuple: Bool, line: Int) {
        self.items = items
        self.isTuple = isTuple
        self.line = line
        depth = Self.depth(above: items)
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        var values: [JinjaValue] = []
        values.reserveCapacity(items.count)
        for item in items { values.append(try item.evaluate(interpreter)) }
        return isTuple ? try interpreter.tuple(values) : try interpreter.list(values)
    }
}

/// `{key: value}`.
final class JinjaDictionaryLiteral: JinjaExpression {
    let entries: [(key: any JinjaExpression, value: any JinjaExpression)]
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { entries.flatMap { [$0.key, $0.value] } }

    init(_ entries: [(key: any JinjaExpression, value: any JinjaExpression)], line: Int) {
        self.entries = entries
        self.line = line
        depth = Self.depth(above: entries.flatMap { [$0.key, $0.value] })
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        let dictionary = JinjaDictionary()
        for entry in entries {
            try dictionary.set(entry.key.evaluate(interpreter), entry.value.evaluate(interpreter))
        }
        return try interpreter.checked(dictionary)
    }
}

/// `base.name`.
final class JinjaAttribute: JinjaExpression {
    let base: any JinjaExpression
    let name: String
    let key: JinjaText
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [base] }

    init(_ base: any JinjaExpression, name: String, line: Int) {
        self.base = base
        self.name = name
        key = JinjaText(name)
        self.line = line
        depth = Self.depth(above: [base])
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        let object = try base.evaluate(interpreter)
        interpreter.line = line
        return try interpreter.attribute(of: object, name: name, key: key)
    }
}

/// `base[index]`.
final class JinjaItem: JinjaExpression {
    let base: any JinjaExpression
    let index: any JinjaExpression
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [base, index] }

    init(_ base: any JinjaExpression, index: any JinjaExpression, line: Int) {
        self.base = base
        self.index = index
        self.line = line
        depth = Self.depth(above: [base, index])
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        let object = try base.evaluate(interpreter)
        let key = try index.evaluate(interpreter)
        interpreter.line = line
        return try interpreter.item(of: object, key: key)
    }
}

/// `base[start:stop:step]`.
final class JinjaSliceExpression: JinjaExpression {
    let base: any JinjaExpression
    let bounds: [(any JinjaExpression)?]
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [base] + bounds.compactMap { $0 } }

    /// - Parameter bounds: Start, stop and step.
    init(_ base: any JinjaExpression, bounds: [(any JinjaExpression)?], line: Int) {
        self.base = base
        self.bounds = bounds
        self.line = line
        depth = Self.depth(above: [base] + bounds.compactMap { $0 })
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        let object = try base.evaluate(interpreter)
        let values = try bounds.map { bound throws -> Int? in
            guard let value = try bound?.evaluate(interpreter), !value.isNone else { return nil }
            guard let index = value.integer else {
                throw JinjaError.value("slice indices must be integers or None, not '\(value.typeName)'")
            }
            return index
        }
        interpreter.line = line
        return try interpreter.slice(of: object, start: values[0], stop: values[1], step: values[2])
    }
}

/// `a if test else b`.
final class JinjaConditional: JinjaExpression {
    let test: any JinjaExpression
    let consequence: any JinjaExpression
    let alternative: (any JinjaExpression)?
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [test, consequence] + (alternative.map { [$0] } ?? []) }

    init(
        test: any JinjaExpression, consequence: any JinjaExpression, alternative: (any JinjaExpression)?, line: Int
    ) {
        self.test = test
        self.consequence = consequence
        self.alternative = alternative
        self.line = line
        depth = Self.depth(above: [test, consequence] + (alternative.map { [$0] } ?? []))
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        if try test.evaluate(interpreter).isTrue() { return try consequence.evaluate(interpreter) }
        if let alternative { return try alternative.evaluate(interpreter) }
        return .undefined(
            JinjaUndefined(
                "the inline if-expression on line \(self.line) evaluated to false and no else section was defined."))
    }
}
