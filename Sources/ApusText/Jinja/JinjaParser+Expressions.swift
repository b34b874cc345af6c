extension JinjaParser {
    /// Parses one expression, or several with commas between them, which make a tuple.
    ///
    /// - Parameters:
    ///   - isTarget: Takes only names and literals, as on the left of an assignment.
    ///   - end: A name that ends the tuple.
    mutating func parseTuple(
        isTarget: Bool = false, allowingConditional: Bool = true, allowingNamespace: Bool = false,
        isInParentheses: Bool = false, end: String? = nil
    ) throws -> any JinjaExpression {
        let line = line
        var items: [any JinjaExpression] = []
        var isTuple = false
        while true {
            if !items.isEmpty { try expect(",") }
            if isAtTupleEnd(end) { break }
            items.append(
                isTarget
                    ? try nested { try $0.parsePrimary(allowingNamespace: allowingNamespace) }
                    : try parseExpression(allowingConditional: allowingConditional))
            if !isAt(",") { break }
            isTuple = true
        }
        if !isTuple {
            if let first = items.first { return first }
            if !isInParentheses { throw failure("expected an expression, found '\(current.description)'") }
        }
        return try checked(JinjaSequenceLiteral(items, isTuple: true, line: line))
    }

    private func isAtTupleEnd(_ end: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .symbol(")"): true
        case .name(let name): name == end
        default: false
        }
    }

    mutating func parseExpression(allowingConditional: Bool = true) throws -> any JinjaExpression {
        try nested { try allowingConditional ? $0.parseConditional() : $0.parseOr() }
    }

    private mutating func parseConditional() throws -> any JinjaExpression {
        var line = line
        var expression = try parseOr()
        while skip(name: "if") {
            let test = try parseOr()
            let alternative = skip(name: "else") ? try nested { try $0.parseConditional() } : nil
            expression = try checked(
                JinjaConditional(test: test, consequence: expression, alternative: alternative, line: line))
            line = self.line
        }
        return expression
    }

    private mutating func parseOr() throws -> any JinjaExpression {
        let line = line
        var operands = [try parseAnd()]
        while skip(name: "or") { operands.append(try parseAnd()) }
        return operands.count == 1 ? operands[0] : try checked(JinjaLogical(operands, decisive: true, line: line))
    }

    private mutating func parseAnd() throws -> any JinjaExpression {
        let line = line
        var operands = [try parseNot()]
        while skip(name: "and") { operands.append(try parseNot()) }
        return operands.count == 1 ? operands[0] : try checked(JinjaLogical(operands, decisive: false, line: line))
    }

    private mutating func parseNot() throws -> any JinjaExpression {
        let line = line
        guard skip(name: "not") else { return try parseComparison() }
        return try checked(JinjaUnary(.not, try nested { try $0.parseNot() }, line: line))
    }

    private static let comparisons: [String: JinjaComparison.Operator] = [
        "==": .equal, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater, ">=": .greaterOrEqual,
    ]

    private mutating func parseComparison() throws -> any JinjaExpression {
        let line = line
        let first = try parseSum()
        var rest: [(operation: JinjaComparison.Operator, operand: any JinjaExpression)] = []
        while true {
            if case .symbol(let symbol) = current.kind, let operation = Self.comparisons[symbol] {
                advance()
                rest.append((operation, try parseSum()))
            } else if skip(name: "in") {
                rest.append((.isIn, try parseSum()))
            } else if isAt(name: "not"), following.kind == .name("in") {
                advance()
                advance()
                rest.append((.isNotIn, try parseSum()))
            } else {
                return rest.isEmpty ? first : try checked(JinjaComparison(first, rest, line: line))
            }
        }
    }

    // MARK: - Arithmetic

    private mutating func parseRun(
        _ operators: [String: JinjaArithmetic.Operator],
        operand: (inout JinjaParser) throws -> any JinjaExpression
    ) throws -> any JinjaExpression {
        let line = line
        let first = try operand(&self)
        var rest: [(operation: JinjaArithmetic.Operator, operand: any JinjaExpression)] = []
        while case .symbol(let symbol) = current.kind, let operation = operators[symbol] {
            advance()
            rest.append((operation, try operand(&self)))
        }
        return rest.isEmpty ? first : try checked(JinjaArithmetic(first, rest, line: line))
    }

    private mutating func parseSum() throws -> any JinjaExpression {
        try parseRun(["+": .add, "-": .subtract]) { try $0.parseConcatenation() }
    }

    private mutating func parseConcatenation() throws -> any JinjaExpression {
        let line = line
        var parts = [try parseProduct()]
        while skip("~") { parts.append(try parseProduct()) }
        return parts.count == 1 ? parts[0] : try checked(JinjaConcatenation(parts, line: line))
    }

    private mutating func parseProduct() throws -> any JinjaExpression {
        try parseRun(["*": .multiply, "/": .divide, "//": .floorDivide, "%": .modulo]) { try $0.parsePower() }
    }

    private mutating func parsePower() throws -> any JinjaExpression {
        try parseRun(["**": .power]) { try $0.parseUnary(takingFilters: true) }
    }

    private mutating func parseUnary(takingFilters: Bool) throws -> any JinjaExpression {
        let line = line
        var expression: any JinjaExpression
        if skip("-") {
            expression = JinjaUnary(.negate, try nested { try $0.parseUnary(takingFilters: false) }, line: line)
        } else if skip("+") {
            expression = JinjaUnary(.plus, try nested { try $0.parseUnary(takingFilters: false) }, line: line)
        } else {
            expression = try parsePrimary(allowingNamespace: false)
        }
        expression = try parsePostfix(checked(expression))
        return takingFilters ? try parseFiltersAndTests(expression) : expression
    }

    // MARK: - Primaries

    mutating func parsePrimary(allowingNamespace: Bool) throws -> any JinjaExpression {
        let token = current
        switch token.kind {
        case .name(let name):
            advance()
            return try parseName(name, line: token.line, allowingNamespace: allowingNamespace)
        case .string(var text):
            advance()
            if case .string = current.kind {
                var bytes = text.bytes
                while case .string(let next) = current.kind {
                    bytes += next.bytes
                    advance()
                }
                text = JinjaText(bytes)
            }
            return JinjaLiteral(.text(text), line: token.line)
        case .integer(let value):
            advance()
            return JinjaLiteral(.int(value), line: token.line)
        case .float(let value):
            advance()
            return JinjaLiteral(.double(value), line: token.line)
        case .symbol("("):
            advance()
            let expression = try parseTuple(isInParentheses: true)
            try expect(")")
            return expression
        case .symbol("["): return try parseList()
        case .symbol("{"): return try parseDictionary()
        default: throw unexpected()
        }
    }

    private mutating func parseName(
        _ name: String, line: Int, allowingNamespace: Bool
    ) throws -> any JinjaExpression {
        switch name {
        case "true", "True": return JinjaLiteral(.bool(true), line: line)
        case "false", "False": return JinjaLiteral(.bool(false), line: line)
        case "none", "None": return JinjaLiteral(.none, line: line)
        default:
            let expression = JinjaName(name, id: try number(of: name), line: line)
            guard allowingNamespace, skip(".") else { return expression }
            return JinjaNamespaceReference(expression, attribute: try expectName())
        }
    }

    private mutating func parseList() throws -> any JinjaExpression {
        let line = line
        try expect("[")
        var items: [any JinjaExpression] = []
        while !isAt("]") {
            if !items.isEmpty { try expect(",") }
            if isAt("]") { break }
            items.append(try parseExpression())
        }
        try expect("]")
        return try checked(JinjaSequenceLiteral(items, isTuple: false, line: line))
    }

    private mutating func parseDictionary() throws -> any JinjaExpression {
        let line = line
        try expect("{")
        var entries: [(key: any JinjaExpression, value: any JinjaExpression)] = []
        while !isAt("}") {
            if !entries.isEmpty { try expect(",") }
            if isAt("}") { break }
            let key = try parseExpression()
            try expect(":")
            entries.append((key, try parseExpression()))
        }
        try expect("}")
        return try checked(JinjaDictionaryLiteral(entries, line: line))
    }

    // MARK: - Postfixes

    private mutating func parsePostfix(_ base: any JinjaExpression) throws -> any JinjaExpression {
        var expression = base
        while true {
            if isAt(".") || isAt("[") {
                expression = try checked(parseSubscript(expression))
            } else if isAt("(") {
                expression = try checked(parseCall(expression))
            } else {
                return expression
            }
        }
    }

    private mutating func parseFiltersAndTests(_ base: any JinjaExpression) throws -> any JinjaExpression {
        var expression = base
        while true {
            if isAt("|") {
                expression = try parseFilters(expression)
            } else if isAt(name: "is") {
                expression = try checked(parseTest(expression))
            } else if isAt("(") {
                expression = try checked(parseCall(expression))
            } else {
                return expression
            }
        }
    }

    private mutating func parseSubscript(_ base: any JinjaExpression) throws -> any JinjaExpression {
        let line = line
        if skip(".") {
            let token = advance()
            switch token.kind {
            case .name(let name): return JinjaAttribute(base, name: name, line: line)
            case .integer(let index):
                return JinjaItem(base, index: JinjaLiteral(.int(index), line: line), line: line)
            default: throw JinjaError(.syntax, "expected a name or a number after '.'", line: token.line)
            }
        }
        try expect("[")
        var bounds: [(any JinjaExpression)?]?
        var items: [any JinjaExpression] = []
        var isTuple = isAt("]")
        while !isAt("]") {
            if !items.isEmpty || bounds != nil {
                try expect(",")
                isTuple = true
            }
            if bounds != nil { throw failure("a slice cannot be part of a tuple") }
            let start = isAt(":") ? nil : try parseExpression()
            guard skip(":") else {
                if let start { items.append(start) }
                continue
            }
            guard items.isEmpty else { throw failure("a slice cannot be part of a tuple") }
            let stop = isAtSliceEnd || isAt(":") ? nil : try parseExpression()
            let step = skip(":") && !isAtSliceEnd ? try parseExpression() : nil
            bounds = [start, stop, step]
        }
        try expect("]")
        if let bounds, !isTuple { return JinjaSliceExpression(base, bounds: bounds, line: line) }
        if let item = items.first, items.count == 1 { return JinjaItem(base, index: item, line: line) }
        return JinjaItem(base, index: JinjaSequenceLiteral(items, isTuple: true, line: line), line: line)
    }

    private var isAtSliceEnd: Bool { isAt("]") || isAt(",") }

    private mutating func parseCall(_ callee: any JinjaExpression) throws -> any JinjaExpression {
        let line = line
        return JinjaCall(callee, try parseArguments(), line: line)
    }

    private mutating func parseArguments() throws -> JinjaArgumentList {
        var list = JinjaArgumentList()
        try expect("(")
        var isFirst = true
        while !isAt(")") {
            if !isFirst {
                try expect(",")
                if isAt(")") { break }
            }
            isFirst = false
            if isAt("*"), list.spread == nil, list.spreadNamed == nil {
                advance()
                list.spread = try parseExpression()
            } else if isAt("**"), list.spreadNamed == nil {
                advance()
                list.spreadNamed = try parseExpression()
            } else if list.spreadNamed == nil, case .name(let name) = current.kind, following.kind == .symbol("=") {
                guard !list.named.contains(where: { $0.name == name }) else {
                    throw failure("the keyword argument \(name) is repeated")
                }
                advance()
                advance()
                list.named.append((name, try parseExpression()))
            } else if list.spread == nil, list.spreadNamed == nil, list.named.isEmpty {
                list.positional.append(try parseExpression())
            } else {
                throw failure("a positional argument follows a named one")
            }
        }
        try expect(")")
        return list
    }

    /// Parses `|name(arguments)` as often as it follows.
    ///
    /// - Parameter isFirstWithoutBar: For the tag `filter name`.
    mutating func parseFilters(
        _ base: (any JinjaExpression)?, isFirstWithoutBar: Bool = false
    ) throws -> any JinjaExpression {
        var expression = base
        var takesName = isFirstWithoutBar
        while takesName || isAt("|") {
            if !takesName { advance() }
            takesName = false
            let line = line
            let name = try parseDottedName()
            let arguments = isAt("(") ? try parseArguments() : JinjaArgumentList()
            expression = try checked(JinjaFilterCall(expression, name: name, arguments, line: line))
        }
        guard let expression else { throw expected("the name of a filter") }
        return expression
    }

    private mutating func parseDottedName() throws -> String {
        var name = try expectName()
        while skip(".") { name += "." + (try expectName()) }
        return name
    }

    private mutating func parseTest(_ base: any JinjaExpression) throws -> any JinjaExpression {
        let line = line
        advance()
        let isNegated = skip(name: "not")
        let name = try parseDottedName()
        var arguments = JinjaArgumentList()
        if isAt("(") {
            arguments = try parseArguments()
        } else if startsTestArgument {
            if isAt(name: "is") { throw failure("tests cannot be chained with 'is'") }
            let primary = try nested { try $0.parsePrimary(allowingNamespace: false) }
            arguments.positional = [try parsePostfix(primary)]
        }
        let test = JinjaTestCall(base, name: name, arguments, line: line)
        return isNegated ? JinjaUnary(.not, test, line: line) : test
    }

    /// True where the one argument of a test follows without parentheses.
    private var startsTestArgument: Bool {
        switch current.kind {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .integer, .float, .symbol("["), .symbol("{"): true
        default: false
        }
    }
}
