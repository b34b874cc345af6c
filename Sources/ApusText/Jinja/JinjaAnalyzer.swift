/// Finds what a template's structure decides before it runs: which names a block must not look up outside itself,
/// and mistakes that jinja2 reports without running the template.
///
/// jinja2 compiles each block to local variables. A name that a block assigns before it reads it is local to that
/// block from its start, even where the assignment comes after an inner block that reads it.
struct JinjaAnalyzer {
    /// Names that a block declares, by scope number.
    private var unsetNames: [[Int]]
    private let loopName: Int?
    private let stack: StackGuard

    static func unsetNames(of body: [any JinjaStatement], parser: JinjaParser) throws -> [[Int]] {
        var analyzer = JinjaAnalyzer(
            unsetNames: Array(repeating: [], count: parser.scopeCount), loopName: parser.names.firstIndex(of: "loop"),
            stack: StackGuard(limit: parser.limits.stackBytes))
        let root = Symbols(parent: nil)
        try analyzer.analyze(body, scope: 0, symbols: root, isInLoop: false)
        return analyzer.unsetNames
    }

    // MARK: - Symbols of one block

    private enum Origin { case given, outside, unset }

    /// The names that one block refers to, and where their first value comes from.
    private struct Symbols {
        // A copy of the enclosing block's names is enough: it is complete before inner blocks are analysed.
        let outer: Set<Int>
        var origins: [Int: Origin] = [:]
        var stores: Set<Int> = []

        init(parent: Symbols?) { outer = parent.map { $0.outer.union($0.origins.keys) } ?? [] }

        mutating func load(_ name: Int) {
            if origins[name] == nil, !outer.contains(name) { origins[name] = .outside }
        }

        mutating func store(_ name: Int) {
            stores.insert(name)
            if origins[name] == nil { origins[name] = outer.contains(name) ? .outside : .unset }
        }

        mutating func declare(_ name: Int) {
            stores.insert(name)
            origins[name] = .given
        }

        /// Takes over what the branches of an `if` refer to; what only a branch assigns keeps its outer value.
        mutating func merge(_ branches: [Symbols]) {
            let assigned = branches.reduce(into: Set<Int>()) { $0.formUnion($1.stores) }.subtracting(stores)
            for branch in branches {
                origins.merge(branch.origins) { $1 }
                stores.formUnion(branch.stores)
            }
            for name in assigned { origins[name] = .outside }
        }
    }

    private mutating func analyze(
        _ body: [any JinjaStatement], scope: Int, symbols initial: Symbols, isInLoop: Bool
    ) throws {
        try stack.check()
        var symbols = initial
        for statement in body { declare(statement, in: &symbols) }
        unsetNames[scope] = symbols.origins.filter { $0.value == .unset }.map(\.key).sorted()
        for statement in body { try visit(statement, symbols: symbols, isInLoop: isInLoop, isSoft: false) }
    }

    // MARK: - First pass: names of the block itself

    private func declare(_ statement: any JinjaStatement, in symbols: inout Symbols) {
        switch statement {
        case let output as JinjaOutput: load(output.expression, in: &symbols)
        case let set as JinjaSet:
            load(set.value, in: &symbols)
            store(set.target, in: &symbols)
        case let set as JinjaSetBlock: store(set.target, in: &symbols)
        case let loop as JinjaFor: load(loop.iterable, in: &symbols)
        case let macro as JinjaMacroDefinition: symbols.store(macro.id)
        case let block as JinjaCallBlock: load(block.call, in: &symbols)
        case let block as JinjaFilterBlock: load(block.filter, in: &symbols)
        case let with as JinjaWith: for binding in with.bindings { load(binding.value, in: &symbols) }
        case let condition as JinjaIf: declare(condition, in: &symbols)
        default: break
        }
    }

    private func declare(_ condition: JinjaIf, in symbols: inout Symbols) {
        guard let first = condition.branches.first else { return }
        load(first.test, in: &symbols)
        func branch(_ body: (inout Symbols) -> Void) -> Symbols {
            var copy = symbols
            body(&copy)
            return copy
        }
        let consequence = branch { for statement in first.body { declare(statement, in: &$0) } }
        // Every `elif` is an `if` of its own, inside one common branch.
        let others = branch {
            for other in condition.branches.dropFirst() { declare(JinjaIf([other], alternative: []), in: &$0) }
        }
        let alternative = branch { for statement in condition.alternative { declare(statement, in: &$0) } }
        symbols.merge([consequence, others, alternative])
    }

    private func load(_ expression: any JinjaExpression, in symbols: inout Symbols) {
        if let name = expression as? JinjaName { symbols.load(name.id) }
        for child in expression.children { load(child, in: &symbols) }
    }

    private func store(_ target: JinjaTarget, in symbols: inout Symbols) {
        for reference in target.namespaces { symbols.load(reference.id) }
        for name in target.names { symbols.store(name) }
    }

    // MARK: - Second pass: inner blocks, and mistakes

    private mutating func visit(
        _ statement: any JinjaStatement, symbols: Symbols, isInLoop: Bool, isSoft: Bool
    ) throws {
        try stack.check()
        switch statement {
        case let output as JinjaOutput: try check(output.expression, isSoft: isSoft)
        case let set as JinjaSet: try check(set.value, isSoft: isSoft)
        case let set as JinjaSetBlock:
            if let filter = set.filter { try check(filter, isSoft: false) }
            try analyze(set.body, scope: set.scope, symbols: Symbols(parent: symbols), isInLoop: isInLoop)
        case let block as JinjaFilterBlock:
            try check(block.filter, isSoft: false)
            try analyze(block.body, scope: block.scope, symbols: Symbols(parent: symbols), isInLoop: isInLoop)
        case let block as JinjaGeneration:
            try analyze(block.body, scope: block.scope, symbols: Symbols(parent: symbols), isInLoop: false)
        case let macro as JinjaMacroDefinition: try visit(macro, symbols: symbols)
        case let block as JinjaCallBlock:
            try check(block.call, isSoft: isSoft)
            try visit(block.caller, symbols: symbols)
        case let with as JinjaWith:
            for binding in with.bindings { try check(binding.value, isSoft: isSoft) }
            var inner = Symbols(parent: symbols)
            for binding in with.bindings { for name in binding.target.names { inner.declare(name) } }
            try analyze(with.body, scope: with.scope, symbols: inner, isInLoop: isInLoop)
        case let condition as JinjaIf:
            for branch in condition.branches {
                try check(branch.test, isSoft: true)
                for statement in branch.body {
                    try visit(statement, symbols: symbols, isInLoop: isInLoop, isSoft: true)
                }
            }
            for statement in condition.alternative {
                try visit(statement, symbols: symbols, isInLoop: isInLoop, isSoft: true)
            }
        case let loop as JinjaFor: try visit(loop, symbols: symbols, isInLoop: isInLoop, isSoft: isSoft)
        case let control as JinjaLoopControl where !isInLoop:
            let name = control.completion == .breaking ? "break" : "continue"
            throw JinjaError(.syntax, "'\(name)' outside of a loop", line: control.line)
        default: break
        }
    }

    private mutating func visit(_ macro: JinjaMacroDefinition, symbols: Symbols) throws {
        var inner = Symbols(parent: symbols)
        for parameter in macro.parameters {
            inner.declare(parameter.id)
            if let fallback = parameter.fallback { try check(fallback, isSoft: false) }
        }
        for special in [macro.specials.caller, macro.specials.keywords, macro.specials.extras] {
            if let special { inner.declare(special) }
        }
        for parameter in macro.parameters { if let fallback = parameter.fallback { load(fallback, in: &inner) } }
        try analyze(macro.body, scope: macro.scope, symbols: inner, isInLoop: false)
    }

    private mutating func visit(_ loop: JinjaFor, symbols: Symbols, isInLoop: Bool, isSoft: Bool) throws {
        try check(loop.iterable, isSoft: isSoft)
        if let loopName {
            let stored = loop.target.names + assignedNames(in: loop.body) + assignedNames(in: loop.alternative)
            if stored.contains(loopName) {
                throw JinjaError(.syntax, "cannot assign to the special variable 'loop' in a loop", line: loop.line)
            }
        }
        var inner = Symbols(parent: symbols)
        if let loopName { inner.declare(loopName) }
        for name in loop.target.names { inner.declare(name) }
        try analyze(loop.body, scope: loop.scope, symbols: inner, isInLoop: true)
        if let test = loop.test { try check(test, isSoft: false) }
        let isAlternativeInLoop = isInLoop && !loop.isRecursive
        try analyze(
            loop.alternative, scope: loop.alternativeScope, symbols: Symbols(parent: symbols),
            isInLoop: isAlternativeInLoop)
    }

    private func assignedNames(in body: [any JinjaStatement]) -> [Int] {
        body.flatMap { statement -> [Int] in
            switch statement {
            case let set as JinjaSet: set.target.names
            case let set as JinjaSetBlock: set.target.names + assignedNames(in: set.body)
            case let block as JinjaFilterBlock: assignedNames(in: block.body)
            case let block as JinjaGeneration: assignedNames(in: block.body)
            case let macro as JinjaMacroDefinition: assignedNames(in: macro.body)
            case let block as JinjaCallBlock: assignedNames(in: block.caller.body)
            case let with as JinjaWith: assignedNames(in: with.body)
            case let condition as JinjaIf:
                condition.branches.flatMap { assignedNames(in: $0.body) } + assignedNames(in: condition.alternative)
            // Inner loops have been checked on their own.
            default: []
            }
        }
    }

    /// Unknown filters and tests are mistakes where the expression surely runs; under a condition they only are
    /// when they run.
    private func check(_ expression: any JinjaExpression, isSoft: Bool) throws {
        if !isSoft {
            if let call = expression as? JinjaFilterCall, call.function == nil {
                var error = JinjaFilters.unknown(call.name)
                error.line = call.line
                throw error
            }
            if let call = expression as? JinjaTestCall, call.function == nil {
                var error = JinjaTests.unknown(call.name)
                error.line = call.line
                throw error
            }
        }
        // jinja2 folds constants first: what follows a deciding constant is never looked at.
        if let logical = expression as? JinjaLogical, let first = logical.operands.first as? JinjaLiteral,
            try first.value.isTrue() == logical.decisive
        {
            return
        }
        for child in expression.children { try check(child, isSoft: isSoft || expression is JinjaConditional) }
    }
}
