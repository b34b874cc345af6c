/// Builds the syntax tree of a template from its tokens.
///
/// The grammar is jinja2's, with the tags of `loopcontrols` and transformers' `generation`.
struct JinjaParser {
    var tokens: [JinjaToken]
    var position = 0
    let limits: JinjaLimits
    private let stack: StackGuard
    private var nesting = 0
    private var nameNumbers: [String: Int] = [:]
    private(set) var names: [String] = []
    private(set) var scopeCount = 1

    init(source: String, limits: JinjaLimits) throws {
        guard source.utf8.count <= limits.sourceBytes else {
            throw JinjaError.limit("the template is longer than \(limits.sourceBytes) bytes")
        }
        self.limits = limits
        stack = StackGuard(limit: limits.stackBytes)
        tokens = try JinjaLexer.tokens(of: source)
    }

    /// Parses the whole template.
    mutating func parse() throws -> [any JinjaStatement] {
        let body = try parseBody(until: [])
        if case .end = current.kind { return body }
        throw unexpected()
    }

    // MARK: - Names and limits

    mutating func number(of name: String) throws -> Int {
        if let number = nameNumbers[name] { return number }
        guard names.count < limits.names else {
            throw JinjaError(.limit, "the template has more than \(limits.names) names", line: line)
        }
        nameNumbers[name] = names.count
        names.append(name)
        return names.count - 1
    }

    mutating func makeScope() -> Int {
        scopeCount += 1
        return scopeCount - 1
    }

    mutating func nested<Result>(_ body: (inout JinjaParser) throws -> Result) throws -> Result {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= limits.sourceDepth else { throw tooDeep() }
        do {
            try stack.check()
        } catch { throw tooDeep() }
        return try body(&self)
    }

    func checked(_ expression: any JinjaExpression) throws -> any JinjaExpression {
        if expression.depth > limits.sourceDepth { throw tooDeep() }
        return expression
    }

    private func tooDeep() -> JinjaError {
        JinjaError(.limit, "nested deeper than \(limits.sourceDepth) levels", line: line)
    }

    // MARK: - Tokens

    var current: JinjaToken { tokens[position] }
    var line: Int { current.line }
    var following: JinjaToken { tokens[min(position + 1, tokens.count - 1)] }

    /// Moves past the current token; the token at the end of the template stays.
    @discardableResult
    mutating func advance() -> JinjaToken {
        let token = current
        if position < tokens.count - 1 { position += 1 }
        return token
    }

    func isAt(_ symbol: String) -> Bool { current.kind == .symbol(symbol) }
    func isAt(name: String) -> Bool { current.kind == .name(name) }

    mutating func skip(_ symbol: String) -> Bool {
        guard isAt(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(name: String) -> Bool {
        guard isAt(name: name) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: String) throws {
        guard skip(symbol) else { throw expected("'\(symbol)'") }
    }

    mutating func expect(_ kind: JinjaToken.Kind) throws {
        guard current.kind == kind else { throw expected("'\(JinjaToken(kind: kind, line: 0).description)'") }
        advance()
    }

    mutating func expectName() throws -> String {
        guard case .name(let name) = current.kind else { throw expected("a name") }
        advance()
        return name
    }

    func expected(_ what: String) -> JinjaError { failure("expected \(what), found '\(current.description)'") }
    func unexpected() -> JinjaError { failure("unexpected '\(current.description)'") }
    func failure(_ message: String) -> JinjaError { JinjaError(.syntax, message, line: line) }

    // MARK: - Blocks

    /// Parses text and tags up to one of the block names, whose token becomes the current one.
    mutating func parseBody(until ends: [String]) throws -> [any JinjaStatement] {
        var body: [any JinjaStatement] = []
        while true {
            switch current.kind {
            case .data(let bytes):
                body.append(JinjaData(bytes))
                advance()
            case .variableBegin:
                advance()
                body.append(JinjaOutput(try parseTuple()))
                try expect(.variableEnd)
            case .blockBegin:
                advance()
                if case .name(let name) = current.kind, ends.contains(name) { return body }
                body += try nested { try $0.parseStatement(insideOf: ends) }
                try expect(.blockEnd)
            case .end:
                if ends.isEmpty { return body }
                throw failure("the template ends where \(ends.joined(separator: " or ")) was expected")
            default: throw unexpected()
            }
        }
    }

    /// Parses the end of an opening tag, the body, and the closing tag's name.
    mutating func parseBlock(until ends: String...) throws -> (body: [any JinjaStatement], end: String) {
        _ = skip(":")
        try expect(.blockEnd)
        let body = try parseBody(until: ends)
        return (body, try expectName())
    }

    private mutating func parseStatement(insideOf ends: [String]) throws -> [any JinjaStatement] {
        guard case .name(let tag) = current.kind else { throw expected("the name of a tag") }
        let line = line
        advance()
        switch tag {
        case "if": return [try parseIf()]
        case "for": return [try parseFor(line: line)]
        case "set": return [try parseSet()]
        case "macro": return [try parseMacro()]
        case "call": return [try parseCallBlock(line: line)]
        case "filter": return [try parseFilterBlock()]
        case "with": return [try parseWith()]
        case "print": return try parsePrint()
        case "generation":
            let scope = makeScope()
            return [JinjaGeneration(body: try parseBlock(until: "endgeneration").body, scope: scope)]
        case "break": return [JinjaLoopControl(.breaking, line: line)]
        case "continue": return [JinjaLoopControl(.continuing, line: line)]
        case "include", "import", "from", "extends", "block", "autoescape":
            throw JinjaError(.unsupported, "the tag '\(tag)' is not supported in chat templates", line: line)
        default:
            let wanted = ends.isEmpty ? "" : "; expected \(ends.joined(separator: " or "))"
            throw JinjaError(.syntax, "unknown tag '\(tag)'\(wanted)", line: line)
        }
    }

    private mutating func parseIf() throws -> any JinjaStatement {
        var branches: [(test: any JinjaExpression, body: [any JinjaStatement])] = []
        while true {
            let test = try parseTuple(allowingConditional: false)
            let (body, end) = try parseBlock(until: "elif", "else", "endif")
            branches.append((test, body))
            switch end {
            case "elif": continue
            case "else": return JinjaIf(branches, alternative: try parseBlock(until: "endif").body)
            default: return JinjaIf(branches, alternative: [])
            }
        }
    }

    private mutating func parseFor(line: Int) throws -> any JinjaStatement {
        let target = try parseTarget(end: "in")
        guard skip(name: "in") else { throw expected("'in'") }
        let iterable = try parseTuple(allowingConditional: false, end: "recursive")
        let test = skip(name: "if") ? try parseExpression() : nil
        let isRecursive = skip(name: "recursive")
        let scopes = (body: makeScope(), test: makeScope(), alternative: makeScope())
        let (body, end) = try parseBlock(until: "endfor", "else")
        let alternative = end == "else" ? try parseBlock(until: "endfor").body : []
        return JinjaFor(
            target: target, iterable: iterable, test: test, isRecursive: isRecursive, body: body,
            alternative: alternative, line: line, scopes: scopes, loopName: try number(of: "loop"))
    }

    private mutating func parseSet() throws -> any JinjaStatement {
        let target = try parseTarget(allowingNamespace: true)
        if skip("=") { return JinjaSet(target, try parseTuple()) }
        let filter = isAt("|") ? try parseFilters(nil) : nil
        let scope = makeScope()
        return JinjaSetBlock(target, filter: filter, body: try parseBlock(until: "endset").body, scope: scope)
    }

    private mutating func parseWith() throws -> any JinjaStatement {
        var bindings: [(target: JinjaTarget, value: any JinjaExpression)] = []
        while current.kind != .blockEnd {
            if !bindings.isEmpty { try expect(",") }
            let target = try parseTarget()
            try expect("=")
            bindings.append((target, try parseExpression()))
        }
        let scope = makeScope()
        return JinjaWith(bindings, body: try parseBlock(until: "endwith").body, scope: scope)
    }

    private mutating func parsePrint() throws -> [any JinjaStatement] {
        var outputs: [any JinjaStatement] = []
        while current.kind != .blockEnd {
            if !outputs.isEmpty { try expect(",") }
            outputs.append(JinjaOutput(try parseExpression()))
        }
        return outputs
    }

    private mutating func parseFilterBlock() throws -> any JinjaStatement {
        let filter = try parseFilters(nil, isFirstWithoutBar: true)
        let scope = makeScope()
        return JinjaFilterBlock(filter, body: try parseBlock(until: "endfilter").body, scope: scope)
    }

    // MARK: - Macros

    private mutating func parseMacro() throws -> any JinjaStatement {
        let name = try expectName()
        let id = try number(of: name)
        let parameters = try parseParameters()
        return try parseMacroBody(name: name, id: id, parameters: parameters, end: "endmacro")
    }

    private mutating func parseCallBlock(line: Int) throws -> any JinjaStatement {
        let parameters = isAt("(") ? try parseParameters() : []
        guard let call = try parseExpression() as? JinjaCall else {
            throw JinjaError(.syntax, "expected a call after 'call'", line: line)
        }
        let caller = try parseMacroBody(name: nil, id: 0, parameters: parameters, end: "endcall")
        return JinjaCallBlock(call, caller: caller)
    }

    private mutating func parseParameters() throws -> [JinjaMacroDefinition.Parameter] {
        var parameters: [JinjaMacroDefinition.Parameter] = []
        try expect("(")
        while !isAt(")") {
            if !parameters.isEmpty { try expect(",") }
            let name = try expectName()
            let fallback = skip("=") ? try parseExpression() : nil
            if fallback == nil, parameters.last?.fallback != nil {
                throw failure("the parameter '\(name)' without a default follows one with a default")
            }
            guard !parameters.contains(where: { $0.name == name }) else {
                throw failure("the parameter '\(name)' appears twice")
            }
            parameters.append(
                JinjaMacroDefinition.Parameter(name: name, id: try number(of: name), fallback: fallback))
        }
        try expect(")")
        return parameters
    }

    private mutating func parseMacroBody(
        name: String?, id: Int, parameters: [JinjaMacroDefinition.Parameter], end: String
    ) throws -> JinjaMacroDefinition {
        let scope = makeScope()
        let start = position
        let body = try parseBlock(until: end).body
        // The body takes extra arguments exactly when it mentions their names.
        var specials = JinjaMacroDefinition.Specials()
        let mentioned = tokens[start..<position].reduce(into: Set<String>()) {
            if case .name(let name) = $1.kind { $0.insert(name) }
        }
        let declared = Set(parameters.map(\.name))
        func special(_ name: String) throws -> Int? {
            mentioned.contains(name) && !declared.contains(name) ? try number(of: name) : nil
        }
        if mentioned.contains("caller"), parameters.contains(where: { $0.name == "caller" && $0.fallback == nil }) {
            throw failure("the parameter 'caller' must be omitted or have a default")
        }
        specials.caller = try special("caller")
        specials.keywords = try special("kwargs")
        specials.extras = try special("varargs")
        return JinjaMacroDefinition(
            name: name, id: id, parameters: parameters, specials: specials, body: body, scope: scope)
    }

    // MARK: - Targets

    /// Parses what stands left of `=` or of a loop's `in`.
    private mutating func parseTarget(allowingNamespace: Bool = false, end: String? = nil) throws -> JinjaTarget {
        let expression = try parseTuple(isTarget: true, allowingNamespace: allowingNamespace, end: end)
        return try target(expression)
    }

    private func target(_ expression: any JinjaExpression) throws -> JinjaTarget {
        switch expression {
        case let name as JinjaName: return .name(name.id)
        case let reference as JinjaNamespaceReference:
            return .attribute(namespace: reference.namespace, name: reference.attribute)
        case let tuple as JinjaSequenceLiteral where tuple.isTuple: return .tuple(try tuple.items.map(target))
        default: throw JinjaError(.syntax, "cannot assign to this expression", line: expression.line)
        }
    }
}
