/// `for target in iterable if test recursive` … `else` … `endfor`.
final class JinjaFor: JinjaStatement {
    let target: JinjaTarget
    let iterable: any JinjaExpression
    let test: (any JinjaExpression)?
    let isRecursive: Bool
    let body: [any JinjaStatement]
    let alternative: [any JinjaStatement]
    let line: Int
    /// Scopes of the body, of the test and of the alternative.
    let scope: Int
    let testScope: Int
    let alternativeScope: Int
    /// The number of the name `loop`.
    let loopName: Int

    init(
        target: JinjaTarget, iterable: any JinjaExpression, test: (any JinjaExpression)?, isRecursive: Bool,
        body: [any JinjaStatement], alternative: [any JinjaStatement], line: Int,
        scopes: (body: Int, test: Int, alternative: Int), loopName: Int
    ) {
        self.target = target
        self.iterable = iterable
        self.test = test
        self.isRecursive = isRecursive
        self.body = body
        self.alternative = alternative
        self.line = line
        scope = scopes.body
        testScope = scopes.test
        alternativeScope = scopes.alternative
        self.loopName = loopName
    }

    func execute(_ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        try interpreter.enter(line)
        let items = try iterable.evaluate(interpreter)
        interpreter.line = line
        return try run(over: items, depth: 0, interpreter)
    }

    /// Runs the loop in the interpreter's current scope.
    ///
    /// - Parameter depth: How many loops of this statement call each other around this one.
    func run(over items: JinjaValue, depth: Int, _ interpreter: JinjaInterpreter) throws -> JinjaCompletion {
        var iterator = try interpreter.iterator(over: items)
        if let test { iterator = filtered(iterator, test, interpreter) }
        let loop = JinjaLoop(
            // With a test, Python sees a generator, whose length has to be counted.
            iterable: test == nil ? items : nil, iterator: iterator, depth: depth, interpreter: interpreter,
            recursion: isRecursive ? (self, interpreter.scope) : nil)
        defer { loop.finish() }
        // As in jinja2, `else` also runs when no turn reached the end of the body.
        var finishedATurn = false
        let unset = interpreter.unsetNames(scope)
        var turn = JinjaScope(parent: interpreter.scope, unset: unset)
        while let item = try loop.advance() {
            try interpreter.enter(line)
            // A turn costs as much as a few nodes, even with nothing in it.
            try interpreter.step(unset.count + 2)
            // A macro may have kept the scope of the last turn.
            if isKnownUniquelyReferenced(&turn) {
                turn.reset(unset: unset)
            } else {
                turn = JinjaScope(parent: interpreter.scope, unset: unset)
            }
            let completion = try interpreter.inScope(turn) {
                interpreter.scope.set(loopName, .object(loop))
                try interpreter.assign(target, item)
                return try body.execute(interpreter)
            }
            if completion == .breaking { break }
            if completion == .normal { finishedATurn = true }
        }
        if finishedATurn || alternative.isEmpty { return .normal }
        return try interpreter.inScope(alternativeScope) { try alternative.execute(interpreter) }
    }

    private func filtered(
        _ iterator: JinjaIterator, _ test: any JinjaExpression, _ interpreter: JinjaInterpreter
    ) -> JinjaIterator {
        let outer = interpreter.scope
        return JinjaIterator { [self] in
            let current = interpreter.scope
            interpreter.scope = outer
            defer { interpreter.scope = current }
            while let item = try iterator.next() {
                try interpreter.enter(line)
                var isKept = false
                _ = try interpreter.inScope(testScope) {
                    try interpreter.assign(target, item)
                    isKept = try test.evaluate(interpreter).isTrue()
                    return .normal
                }
                if isKept { return item }
            }
            return nil
        }
    }
}

/// The variable `loop` inside a `for`.
final class JinjaLoop: JinjaObject {
    private var iterable: JinjaValue?
    private var iterator: JinjaIterator
    private let depth0: Int
    private unowned let interpreter: JinjaInterpreter
    /// The statement to run again, and where, when the loop is called.
    private var recursion: (statement: JinjaFor, scope: JinjaScope)?
    private var index0 = -1
    private var knownLength: Int?
    private var previous: JinjaValue?
    private var current: JinjaValue?
    private var upcoming: JinjaValue?
    private var lastChanged: [JinjaValue]?

    init(
        iterable: JinjaValue?, iterator: JinjaIterator, depth: Int, interpreter: JinjaInterpreter,
        recursion: (statement: JinjaFor, scope: JinjaScope)?
    ) {
        self.iterable = iterable
        self.iterator = iterator
        depth0 = depth
        self.interpreter = interpreter
        self.recursion = recursion
    }

    /// Lets go of all values.
    ///
    /// A template may keep a loop; a chain of kept loops would be released recursively.
    func finish() {
        iterable = nil
        iterator = JinjaIterator([])
        recursion = nil
        previous = nil
        current = nil
        upcoming = nil
        lastChanged = nil
    }

    /// The next item, which becomes the current one.
    func advance() throws -> JinjaValue? {
        guard let item = try peek() else { return nil }
        upcoming = nil
        index0 += 1
        previous = current
        current = item
        return item
    }

    private func peek() throws -> JinjaValue? {
        if upcoming == nil { upcoming = try iterator.next() }
        return upcoming
    }

    override var typeName: String { "LoopContext" }
    override var isCallable: Bool { true }
    override func isTrue() throws -> Bool { try length() != 0 }

    override func repr(_ interpreter: JinjaInterpreter) throws -> String {
        "<LoopContext \(index0 + 1)/\(try length() ?? 0)>"
    }

    override func length() throws -> Int? {
        if let knownLength { return knownLength }
        if let iterable, let length = try interpreter.length(of: iterable) {
            knownLength = length
            return length
        }
        var rest: [JinjaValue] = []
        while let item = try iterator.next() {
            try interpreter.step()
            rest.append(item)
        }
        iterator = JinjaIterator(rest)
        knownLength = rest.count + index0 + 1 + (upcoming == nil ? 0 : 1)
        return knownLength
    }

    override func attribute(_ name: String, _ interpreter: JinjaInterpreter) throws -> JinjaValue? {
        switch name {
        case "index": .int(index0 + 1)
        case "index0": .int(index0)
        case "first": .bool(index0 == 0)
        case "last": .bool(try peek() == nil)
        case "length": .int(try length() ?? 0)
        case "revindex": .int((try length() ?? 0) - index0)
        case "revindex0": .int((try length() ?? 0) - index0 - 1)
        case "depth": .int(depth0 + 1)
        case "depth0": .int(depth0)
        case "previtem": previous ?? .undefined(JinjaUndefined("there is no previous item"))
        case "nextitem": try peek() ?? .undefined(JinjaUndefined("there is no next item"))
        case "cycle":
            .object(
                JinjaFunction("cycle") { [self] arguments, _ in
                    let values = arguments.positional
                    guard !values.isEmpty else { throw JinjaError.value("no items for cycling given") }
                    return values[index0 % values.count]
                })
        case "changed":
            .object(JinjaFunction("changed") { [self] in try .bool(hasChanged($0, $1)) })
        default: nil
        }
    }

    private func hasChanged(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> Bool {
        let values = arguments.positional
        if let lastChanged, lastChanged.count == values.count {
            var isSame = true
            for (old, new) in zip(lastChanged, values) {
                isSame = try interpreter.areEqual(old, new)
                if !isSame { break }
            }
            if isSame { return false }
        }
        lastChanged = values
        return true
    }

    /// Renders the loop's body over inner items.
    override func call(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        guard let (statement, scope) = recursion else {
            throw JinjaError.value("The loop must have the 'recursive' marker to be called recursively.")
        }
        let items = try arguments.one("loop", "iterable")
        let (text, _) = try interpreter.nestedCall(scope: scope) {
            try statement.run(over: items, depth: depth0 + 1, interpreter)
        }
        return .text(text)
    }
}
