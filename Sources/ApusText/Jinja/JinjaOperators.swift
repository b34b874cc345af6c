/// A run of arithmetic operators of one precedence, from left to right.
///
/// A run is one node, so that a long sum does not nest deeply.
final class JinjaArithmetic: JinjaExpression {
    enum Operator: Sendable { case add, subtract, multiply, divide, floorDivide, modulo, power }

    let first: any JinjaExpression
    let rest: [(operation: Operator, operand: any JinjaExpression)]
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [first] + rest.map(\.operand) }

    init(_ first: any JinjaExpression, _ rest: [(operation: Operator, operand: any JinjaExpression)], line: Int) {
        self.first = first
        self.rest = rest
        self.line = line
        depth = Self.depth(above: [first] + rest.map(\.operand))
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        var value = try first.evaluate(interpreter)
        for (operation, operand) in rest {
            let right = try operand.evaluate(interpreter)
            interpreter.line = line
            value = try interpreter.arithmetic(operation, value, right)
        }
        return value
    }
}

/// `a ~ b ~ c`.
final class JinjaConcatenation: JinjaExpression {
    let parts: [any JinjaExpression]
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { parts }

    init(_ parts: [any JinjaExpression], line: Int) {
        self.parts = parts
        self.line = line
        depth = Self.depth(above: parts)
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        var bytes: [UInt8] = []
        for part in parts {
            let text = try interpreter.string(part.evaluate(interpreter))
            try interpreter.charge(bytes: text.bytes.count)
            bytes.append(contentsOf: text.bytes)
        }
        return .text(JinjaText(bytes))
    }
}

/// `-a`, `+a` and `not a`.
final class JinjaUnary: JinjaExpression {
    enum Operator: Sendable { case negate, plus, not }

    let operation: Operator
    let operand: any JinjaExpression
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [operand] }

    init(_ operation: Operator, _ operand: any JinjaExpression, line: Int) {
        self.operation = operation
        self.operand = operand
        self.line = line
        depth = Self.depth(above: [operand])
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        let value = try operand.evaluate(interpreter)
        interpreter.line = line
        return operation == .not ? .bool(!(try value.isTrue())) : try interpreter.signed(operation == .negate, value)
    }
}

/// `a and b and c`, or the same with `or`: the value of the operand that decides.
final class JinjaLogical: JinjaExpression {
    let operands: [any JinjaExpression]
    /// The truth that ends the evaluation: true for `or`.
    let decisive: Bool
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { operands }

    init(_ operands: [any JinjaExpression], decisive: Bool, line: Int) {
        self.operands = operands
        self.decisive = decisive
        self.line = line
        depth = Self.depth(above: operands)
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        var value = JinjaValue.none
        for operand in operands {
            value = try operand.evaluate(interpreter)
            if try value.isTrue() == decisive { break }
        }
        return value
    }
}

/// `a < b <= c`, `in` and `not in` among the operators.
final class JinjaComparison: JinjaExpression {
    enum Operator: Sendable { case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, isIn, isNotIn }

    let first: any JinjaExpression
    let rest: [(operation: Operator, operand: any JinjaExpression)]
    let line: Int
    let depth: Int
    var children: [any JinjaExpression] { [first] + rest.map(\.operand) }

    init(_ first: any JinjaExpression, _ rest: [(operation: Operator, operand: any JinjaExpression)], line: Int) {
        self.first = first
        self.rest = rest
        self.line = line
        depth = Self.depth(above: [first] + rest.map(\.operand))
    }

    func evaluate(_ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try interpreter.enter(line)
        var left = try first.evaluate(interpreter)
        for (operation, operand) in rest {
            let right = try operand.evaluate(interpreter)
            interpreter.line = line
            guard try interpreter.compare(operation, left, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }
}
