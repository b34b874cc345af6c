/// A node of a template's syntax tree that writes or assigns.
protocol JinjaStatement: AnyObject, Sendable {
    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion
}

/// How a statement ended.
enum JinjaCompletion { case normal, breaking, continuing }

extension Array where Element == any JinjaStatement {
    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        for statement in self {
            try interpreter.step()
            let completion = try statement.execute(interpreter)
            if completion != .normal { return completion }
        }
        return .normal
    }
}

/// Where an assignment goes.
indirect enum JinjaTarget: Sendable {
    case name(Int)
    case attribute(namespace: JinjaName, name: String)
    case tuple([JinjaTarget])

    /// The names of plain variables.
    var names: [Int] {
        switch self {
        case .name(let id): [id]
        case .attribute: []
        case .tuple(let targets): targets.flatMap(\.names)
        }
    }

    var namespaces: [JinjaName] {
        switch self {
        case .name: []
        case .attribute(let namespace, _): [namespace]
        case .tuple(let targets): targets.flatMap(\.namespaces)
        }
    }
}

/// Text of the template.
final class JinjaData: JinjaStatement {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        try interpreter.write(bytes)
        return .normal
    }
}

/// `{{ expression }}`.
final class JinjaOutput: JinjaStatement {
    let expression: any JinjaExpression

    init(_ expression: any JinjaExpression) { self.expression = expression }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        try interpreter.write(interpreter.string(expression.evaluate(interpreter)).bytes)
        return .normal
    }
}

/// `if`, `elif`, `else`.
final class JinjaIf: JinjaStatement {
    let branches: [(test: any JinjaExpression, body: [any JinjaStatement])]
    let alternative: [any JinjaStatement]

    init(_ branches: [(test: any JinjaExpression, body: [any JinjaStatement])], alternative: [any JinjaStatement]) {
        self.branches = branches
        self.alternative = alternative
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        for branch in branches where try branch.test.evaluate(interpreter).isTrue() {
            return try branch.body.execute(interpreter)
        }
        return try alternative.execute(interpreter)
    }
}

/// `set target = value`.
final class JinjaSet: JinjaStatement {
    let target: JinjaTarget
    let value: any JinjaExpression

    init(_ target: JinjaTarget, _ value: any JinjaExpression) {
        self.target = target
        self.value = value
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        try interpreter.assign(target, value.evaluate(interpreter))
        return .normal
    }
}

/// `set target` … `endset`.
final class JinjaSetBlock: JinjaStatement {
    let target: JinjaTarget
    let filter: (any JinjaExpression)?
    let body: [any JinjaStatement]
    let scope: Int

    init(_ target: JinjaTarget, filter: (any JinjaExpression)?, body: [any JinjaStatement], scope: Int) {
        self.target = target
        self.filter = filter
        self.body = body
        self.scope = scope
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        var value = JinjaValue.none
        let completion = try interpreter.inScope(scope) {
            let (text, completion) = try interpreter.captured { try body.execute(interpreter) }
            value = try filter.map { try interpreter.filteredBlock(text, $0) } ?? .text(text)
            return completion
        }
        if completion == .normal { try interpreter.assign(target, value) }
        return completion
    }
}

/// `filter name` … `endfilter`.
final class JinjaFilterBlock: JinjaStatement {
    let filter: any JinjaExpression
    let body: [any JinjaStatement]
    let scope: Int

    init(_ filter: any JinjaExpression, body: [any JinjaStatement], scope: Int) {
        self.filter = filter
        self.body = body
        self.scope = scope
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        try interpreter.inScope(scope) {
            let (text, completion) = try interpreter.captured { try body.execute(interpreter) }
            guard completion == .normal else { return completion }
            try interpreter.write(interpreter.string(interpreter.filteredBlock(text, filter)).bytes)
            return .normal
        }
    }
}

/// `with a = 1` … `endwith`.
final class JinjaWith: JinjaStatement {
    let bindings: [(target: JinjaTarget, value: any JinjaExpression)]
    let body: [any JinjaStatement]
    let scope: Int

    init(_ bindings: [(target: JinjaTarget, value: any JinjaExpression)], body: [any JinjaStatement], scope: Int) {
        self.bindings = bindings
        self.body = body
        self.scope = scope
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        let values = try bindings.map { try $0.value.evaluate(interpreter) }
        return try interpreter.inScope(scope) {
            for (binding, value) in zip(bindings, values) { try interpreter.assign(binding.target, value) }
            return try body.execute(interpreter)
        }
    }
}

/// `macro name(parameters)` … `endmacro`, and the body of a `call` block.
final class JinjaMacroDefinition: JinjaStatement {
    struct Parameter: Sendable {
        let name: String
        let id: Int
        let fallback: (any JinjaExpression)?
    }

    /// The special names that the body mentions, with their numbers.
    struct Specials: Sendable {
        var caller: Int?
        var keywords: Int?
        var extras: Int?
    }

    /// Nil for the body of a `call` block.
    let name: String?
    let id: Int
    let parameters: [Parameter]
    let specials: Specials
    let body: [any JinjaStatement]
    let scope: Int

    init(
        name: String?, id: Int, parameters: [Parameter], specials: Specials, body: [any JinjaStatement], scope: Int
    ) {
        self.name = name
        self.id = id
        self.parameters = parameters
        self.specials = specials
        self.body = body
        self.scope = scope
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        try interpreter.assign(.name(id), .object(interpreter.closure(self)))
        return .normal
    }
}

/// `call(parameters) macro(arguments)` … `endcall`.
final class JinjaCallBlock: JinjaStatement {
    let call: JinjaCall
    let caller: JinjaMacroDefinition

    init(_ call: JinjaCall, caller: JinjaMacroDefinition) {
        self.call = call
        self.caller = caller
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        let value = try call.evaluate(interpreter, caller: interpreter.closure(caller))
        try interpreter.write(interpreter.string(value).bytes)
        return .normal
    }
}

/// `generation` … `endgeneration`: marks what the model is trained to write.
final class JinjaGeneration: JinjaStatement {
    let body: [any JinjaStatement]
    let scope: Int

    init(body: [any JinjaStatement], scope: Int) {
        self.body = body
        self.scope = scope
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        let start = interpreter.outputCount
        let completion = try interpreter.inScope(scope) { try body.execute(interpreter) }
        interpreter.recordGeneration(from: start)
        return completion
    }
}

/// `break` and `continue`.
final class JinjaLoopControl: JinjaStatement {
    let completion: JinjaCompletion
    let line: Int

    init(_ completion: JinjaCompletion, line: Int) {
        self.completion = completion
        self.line = line
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        try interpreter.enter(line)
        return completion
    }
}
