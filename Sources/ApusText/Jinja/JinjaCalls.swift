/// The arguments of a call as written.
struct JinjaArgumentList: Sendable {
    var positional: [any JinjaExpression] = []
    var named: [(name: String, value: any JinjaExpression)] = []
    var spread: (any JinjaExpression)?
    var spreadNamed: (any JinjaExpression)?

    var expressions: [any JinjaExpression] {
        positional + named.map(\.value) + [spread, spreadNamed].compactMap { $0 }
    }

    /// - Parameter caller: What the body of a `call` block adds to the named arguments.
    func evaluate(_ interpreter: JinjaInterpreter, caller: JinjaMacro? = nil) throws -> JinjaArguments {
        var arguments = JinjaArguments()
        for expression in positional { arguments.positional.append(try expression.evaluate(interpreter)) }
        for (name, expression) in named { arguments.named.append((name, try expression.evaluate(interpreter))) }
        if let caller { arguments.named.append(("caller", .object(caller))) }
        if let spread {
            let items = try interpreter.items(of: spread.evaluate(interpreter))
            try interpreter.charge(bytes: MemoryLayout<JinjaValue>.stride, times: items.count)
            arguments.positional += items
        }
        if let spreadNamed {
            guard case .dictionary(let dictionary) = try spreadNamed.evaluate(interpreter) else {
                throw JinjaError.value("what follows ** must be a mapping")
            }
            try interpreter.charge(bytes: 4 * MemoryLayout<JinjaValue>.stride, times: dictionary.count)
            for entry in dictionary.entries {
                arguments.named.append((try entry.key.requiredText("a keyword").string, entry.value))
            }
        }
        return arguments
    }
}

/// `callee(arguments)`.
final class JinjaCall: JinjaExpression {
    let callee: any JinjaExpression
    let arguments: JinjaArgumentList
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [callee] + arguments.expressions }

    init(_ callee: any JinjaExpression, _ arguments: JinjaArgumentList, line: Int) {
        self.callee = callee
        self.arguments = arguments
        self.line = line
        depth = Self.depth(above: [callee] + arguments.expressions)
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try evaluate(interpreter, caller: nil)
    }

    /// - Parameter caller: What the body of a `call` block passes to the macro.
    func evaluate(_ interpreter: JinjaInterpreter, caller: JinjaMacro?) throws -> JinjaValue {
        try interpreter.enter(line)
        let function = try callee.evaluate(interpreter)
        let values = try arguments.evaluate(interpreter, caller: caller)
        interpreter.line = line
        return try interpreter.call(function, values)
    }
}

/// `base|name(arguments)`.
final class JinjaFilterCall: JinjaExpression {
    /// Nil in a `filter` block, whose body is the input.
    let base: (any JinjaExpression)?
    let name: String
    let function: JinjaFilters.Function?
    let arguments: JinjaArgumentList
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { (base.map { [$0] } ?? []) + arguments.expressions }

    init(_ base: (any JinjaExpression)?, name: String, _ arguments: JinjaArgumentList, line: Int) {
        self.base = base
        self.name = name
        function = JinjaFilters.table[name]
        self.arguments = arguments
        self.line = line
        depth = Self.depth(above: (base.map { [$0] } ?? []) + arguments.expressions)
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        guard let base else { return try apply(to: interpreter.blockInput, interpreter) }
        return try apply(to: base.evaluate(interpreter), interpreter)
    }

    private func apply(to value: JinjaValue, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        let values = try arguments.evaluate(interpreter)
        interpreter.line = line
        guard let function else { throw JinjaFilters.unknown(name) }
        return try function(interpreter, value, values)
    }
}

/// `base is name(arguments)`.
final class JinjaTestCall: JinjaExpression {
    let base: any JinjaExpression
    let name: String
    let function: JinjaTests.Function?
    let arguments: JinjaArgumentList
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [base] + arguments.expressions }

    init(_ base: any JinjaExpression, name: String, _ arguments: JinjaArgumentList, line: Int) {
        self.base = base
        self.name = name
        function = JinjaTests.table[name]
        self.arguments = arguments
        self.line = line
        depth = Self.depth(above: [base] + arguments.expressions)
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        let value = try base.evaluate(interpreter)
        let values = try arguments.evaluate(interpreter)
        interpreter.line = line
        guard let function else { throw JinjaTests.unknown(name) }
        return .bool(try function(interpreter, value, values))
    }
}
