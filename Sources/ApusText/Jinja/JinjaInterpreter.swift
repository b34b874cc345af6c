/// One rendering of one template: variables, output, and what is left of the limits.
final class JinjaInterpreter {
    let limits: JinjaLimits
    let clock: TemplateClock
    /// The line that errors name.
    var line = 1
    var scope: JinjaScope

    private let template: JinjaTemplate
    private let stack: StackGuard
    private var context: [JinjaValue?]
    private var stepsLeft: Int
    private var workLeft: Int
    private var calls = 0
    private var output: [UInt8] = []
    private var captures = 0
    private var blockInputs: [JinjaText] = []
    private var keptScopes: [JinjaScope] = []
    private var namespaces: [JinjaNamespace] = []
    /// Byte ranges of the output inside `generation` blocks; nil once one was rendered inside a macro or set block.
    private(set) var generations: [Range<Int>]? = []

    init(template: JinjaTemplate, variables: (String) -> JinjaValue?, clock: TemplateClock) {
        self.template = template
        limits = template.limits
        self.clock = clock
        stack = StackGuard(limit: template.limits.stackBytes)
        stepsLeft = template.limits.steps
        workLeft = template.limits.workBytes
        scope = JinjaScope(parent: nil, unset: template.unsetNames[0])
        context = template.names.map { variables($0) ?? JinjaGlobals.value($0) }
    }

    /// Renders the whole template; an interpreter runs once.
    func run() throws -> [UInt8] {
        defer { tearDown() }
        do {
            _ = try template.body.execute(self)
            return output
        } catch var error as JinjaError {
            if error.line == nil { error.line = line }
            throw error
        }
    }

    /// Ends the cycles between scopes, macros, namespaces and iterators.
    private func tearDown() {
        for namespace in namespaces { namespace.clear() }
        for scope in keptScopes { scope.clear() }
        scope.clear()
        context = []
    }

    // MARK: - Limits

    /// Counts one evaluated node and remembers its line.
    func enter(_ line: Int) throws {
        self.line = line
        try step()
        try stack.check()
    }

    func step(_ count: Int = 1) throws {
        stepsLeft -= count
        if stepsLeft < 0 { throw JinjaError.limit("stopped after \(limits.steps) steps") }
    }

    /// Counts bytes made or scanned, before the work is done.
    func charge(bytes: Int) throws {
        guard bytes <= workLeft else {
            throw JinjaError.limit("stopped after \(limits.workBytes) bytes of strings and lists")
        }
        workLeft -= bytes
    }

    /// Counts a string of `count` pieces of `size` bytes, whose product may overflow.
    func charge(bytes size: Int, times count: Int) throws {
        let (product, overflow) = size.multipliedReportingOverflow(by: max(count, 0))
        try charge(bytes: overflow ? Int.max : product)
    }

    /// Guards recursion that walks a value.
    func guardStack() throws { try stack.check() }

    func checkDepth(_ depth: Int) throws {
        if depth > limits.valueDepth { throw JinjaError.limit("values are nested deeper than \(limits.valueDepth)") }
    }

    // MARK: - Making values

    private func depth(around values: [JinjaValue]) throws -> Int {
        try charge(bytes: MemoryLayout<JinjaValue>.stride, times: values.count + 2)
        let depth = values.reduce(0) { max($0, $1.depth) } + 1
        try checkDepth(depth)
        return depth
    }

    func list(_ values: [JinjaValue]) throws -> JinjaValue {
        .list(JinjaList(values, depth: try depth(around: values)))
    }

    func tuple(_ values: [JinjaValue], isGroup: Bool = false) throws -> JinjaValue {
        .tuple(JinjaList(values, depth: try depth(around: values), isGroup: isGroup))
    }

    func checked(_ dictionary: JinjaDictionary) throws -> JinjaValue {
        try charge(bytes: 2 * MemoryLayout<JinjaValue>.stride, times: dictionary.count + 2)
        try checkDepth(dictionary.depth)
        return .dictionary(dictionary)
    }

    /// A lazy sequence that holds on to `value`.
    func generator(over value: JinjaValue, _ next: @escaping () throws -> JinjaValue?) throws -> JinjaValue {
        try checkDepth(value.depth + 1)
        return .object(JinjaGenerator(JinjaIterator(next), depth: value.depth + 1))
    }

    func namespace() -> JinjaNamespace {
        let namespace = JinjaNamespace()
        namespaces.append(namespace)
        return namespace
    }

    func closure(_ definition: JinjaMacroDefinition) throws -> JinjaMacro {
        try charge(bytes: 128)
        if keptScopes.last !== scope { keptScopes.append(scope) }
        return JinjaMacro(definition, scope: scope)
    }

    // MARK: - Variables and scopes

    func unsetNames(_ scope: Int) -> [Int] { template.unsetNames[scope] }

    func variable(_ id: Int) -> JinjaValue {
        switch scope.lookup(id) {
        case .value(let value): value
        case .absent: context[id] ?? .undefined(JinjaUndefined(name: template.names[id]))
        case .unset: .undefined(JinjaUndefined(name: template.names[id]))
        }
    }

    func inScope(_ number: Int, _ body: () throws -> JinjaCompletion) throws -> JinjaCompletion {
        let unset = template.unsetNames[number]
        try step(unset.count)
        return try inScope(JinjaScope(parent: scope, unset: unset), body)
    }

    func inScope(_ inner: JinjaScope, _ body: () throws -> JinjaCompletion) throws -> JinjaCompletion {
        let outer = scope
        scope = inner
        defer { scope = outer }
        return try body()
    }

    func assign(_ target: JinjaTarget, _ value: JinjaValue) throws {
        switch target {
        case .name(let id): scope.set(id, value)
        case .attribute(let reference, let name):
            guard case .object(let object) = try reference.evaluate(self), let namespace = object as? JinjaNamespace
            else {
                throw JinjaError.value("cannot assign '\(name)' on non-namespace object '\(reference.name)'")
            }
            namespace.set(name, value)
        case .tuple(let targets):
            let values = try items(of: value)
            guard values.count == targets.count else {
                throw JinjaError.value("cannot unpack \(values.count) values into \(targets.count) names")
            }
            try step(values.count)
            for (target, value) in zip(targets, values) { try assign(target, value) }
        }
    }

    // MARK: - Output

    var outputCount: Int { output.count }

    func write(_ bytes: [UInt8]) throws {
        try charge(bytes: bytes.count)
        guard output.count + bytes.count <= limits.outputBytes else {
            throw JinjaError.limit("the text grew beyond \(limits.outputBytes) bytes")
        }
        output.append(contentsOf: bytes)
    }

    /// What `body` writes, instead of writing it.
    func captured(_ body: () throws -> JinjaCompletion) throws -> (JinjaText, JinjaCompletion) {
        let outer = output
        output = []
        captures += 1
        defer {
            output = outer
            captures -= 1
        }
        let completion = try body()
        return (JinjaText(output), completion)
    }

    /// What `body` writes in a macro or recursive loop, in `scope`.
    func nestedCall(
        scope inner: JinjaScope, _ body: () throws -> JinjaCompletion
    ) throws -> (JinjaText, JinjaCompletion) {
        guard calls < limits.callDepth else {
            throw JinjaError.limit("macros call each other more than \(limits.callDepth) deep")
        }
        calls += 1
        let outer = scope
        scope = inner
        defer {
            scope = outer
            calls -= 1
        }
        return try captured(body)
    }

    /// Applies the filters of a block to what its body wrote.
    func filteredBlock(_ text: JinjaText, _ filter: any JinjaExpression) throws -> JinjaValue {
        blockInputs.append(text)
        defer { blockInputs.removeLast() }
        return try filter.evaluate(self)
    }

    var blockInput: JinjaValue { .text(blockInputs.last ?? .empty) }

    func recordGeneration(from start: Int) {
        if captures > 0 {
            generations = nil
        } else {
            generations?.append(start..<output.count)
        }
    }
}
