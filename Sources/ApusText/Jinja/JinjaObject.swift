/// A template value with behaviour of its own: functions, iterators, loops, namespaces.
class JinjaObject {
    var typeName: String { "object" }
    /// See `JinjaValue.depth`.
    var depth: Int { 1 }
    var isCallable: Bool { false }

    func isTrue() throws -> Bool { true }

    /// What Python's `repr` shows.
    func repr(_ interpreter: JinjaInterpreter) throws -> String { "<\(typeName) object>" }

    /// `len(object)`, or nil where Python has none.
    func length() throws -> Int? { nil }

    /// True when `object[index]` exists.
    var isSequence: Bool { false }

    /// The items one after another, or nil where Python cannot iterate.
    func iterator(_ interpreter: JinjaInterpreter) throws -> JinjaIterator? { nil }

    /// `object.name`, or nil.
    func attribute(_ name: String, _ interpreter: JinjaInterpreter) throws -> JinjaValue? { nil }

    /// `object[key]`, or nil.
    func item(_ key: JinjaValue) throws -> JinjaValue? { nil }

    func call(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        throw JinjaError.value("'\(typeName)' object is not callable")
    }
}

/// A one-shot source of values.
struct JinjaIterator {
    let next: () throws -> JinjaValue?

    init(_ next: @escaping () throws -> JinjaValue?) { self.next = next }

    init(_ items: [JinjaValue]) {
        var position = 0
        next = {
            guard position < items.count else { return nil }
            defer { position += 1 }
            return items[position]
        }
    }
}

/// What a Python generator is to a template: lazy, iterable once, without a length, always true.
final class JinjaGenerator: JinjaObject {
    private let source: JinjaIterator
    private let ownDepth: Int

    /// - Parameter depth: One more than that of the values that `source` holds on to.
    init(_ source: JinjaIterator, depth: Int) {
        self.source = source
        ownDepth = depth
    }

    override var typeName: String { "generator" }
    override var depth: Int { ownDepth }
    override func iterator(_ interpreter: JinjaInterpreter) -> JinjaIterator? { source }
}

/// `range(start, stop, step)`.
final class JinjaRange: JinjaObject {
    let start: Int
    let step: Int
    let count: Int

    init(start: Int, step: Int, count: Int) {
        self.start = start
        self.step = step
        self.count = count
    }

    // Every member lies between two Ints that were given, so neither operation overflows.
    private func member(_ index: Int) -> JinjaValue { .int(start &+ index &* step) }

    override var typeName: String { "range" }
    override func isTrue() -> Bool { count > 0 }
    override func length() -> Int? { count }
    override var isSequence: Bool { true }

    override func repr(_ interpreter: JinjaInterpreter) -> String {
        let stop = start &+ count &* step
        return step == 1 ? "range(\(start), \(stop))" : "range(\(start), \(stop), \(step))"
    }

    override func iterator(_ interpreter: JinjaInterpreter) -> JinjaIterator? {
        var index = 0
        return JinjaIterator { [self] in
            guard index < count else { return nil }
            defer { index += 1 }
            return member(index)
        }
    }

    override func item(_ key: JinjaValue) -> JinjaValue? {
        guard let index = key.integer else { return nil }
        let position = index < 0 ? index + count : index
        return position >= 0 && position < count ? member(position) : nil
    }

    override func attribute(_ name: String, _ interpreter: JinjaInterpreter) throws -> JinjaValue? {
        switch name {
        case "start": return .int(start)
        case "stop": return .int(start &+ count &* step)
        case "step": return .int(step)
        case "count", "index":
            return .object(
                JinjaFunction(name) { [self] arguments, interpreter in
                    let wanted = try arguments.one("range.\(name)", "value")
                    var position = 0
                    while position < count {
                        try interpreter.step()
                        if try interpreter.areEqual(member(position), wanted) {
                            return .int(name == "index" ? position : 1)
                        }
                        position += 1
                    }
                    if name == "count" { return .int(0) }
                    throw JinjaError.value("the value is not in range")
                })
        default: return nil
        }
    }

    func sliced(_ slice: JinjaSlice) -> JinjaRange {
        JinjaRange(start: start &+ slice.start &* step, step: step &* slice.step, count: slice.count)
    }
}

/// `namespace(...)`: the only value that a template can change.
final class JinjaNamespace: JinjaObject {
    private(set) var attributes: [String: JinjaValue] = [:]
    private var order: [String] = []

    override var typeName: String { "Namespace" }

    func set(_ name: String, _ value: JinjaValue) {
        if attributes.updateValue(value, forKey: name) == nil { order.append(name) }
    }

    /// Lets go of all values; ends reference cycles when a rendering is over.
    func clear() { attributes = [:] }

    override func attribute(_ name: String, _ interpreter: JinjaInterpreter) -> JinjaValue? { attributes[name] }

    override func repr(_ interpreter: JinjaInterpreter) throws -> String {
        let dictionary = JinjaDictionary()
        for name in order { if let value = attributes[name] { try dictionary.set(.text(name), value) } }
        return "<Namespace \(try interpreter.repr(.dictionary(dictionary)).string)>"
    }
}

/// A function that the template environment or a value provides.
final class JinjaFunction: JinjaObject {
    typealias Body = (JinjaArguments, JinjaInterpreter) throws -> JinjaValue

    private let name: String
    private let ownDepth: Int
    private let body: Body

    /// - Parameter depth: One more than that of the values that `body` holds on to.
    init(_ name: String, depth: Int = 1, body: @escaping Body) {
        self.name = name
        ownDepth = depth
        self.body = body
    }

    override var typeName: String { "function" }
    override var depth: Int { ownDepth }
    override var isCallable: Bool { true }
    override func repr(_ interpreter: JinjaInterpreter) -> String { "<function \(name)>" }

    override func call(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        try body(arguments, interpreter)
    }
}

/// `dict.keys()`, `dict.values()` and `dict.items()`.
final class JinjaDictionaryView: JinjaObject {
    enum Part: String { case keys, values, items }

    private let part: Part
    let items: [JinjaValue]
    private let ownDepth: Int

    init(_ part: Part, items: [JinjaValue], depth: Int) {
        self.part = part
        self.items = items
        ownDepth = depth
    }

    override var typeName: String { "dict_\(part.rawValue)" }
    override var depth: Int { ownDepth }
    override func isTrue() -> Bool { !items.isEmpty }
    override func length() -> Int? { items.count }
    override func iterator(_ interpreter: JinjaInterpreter) -> JinjaIterator? { JinjaIterator(items) }

    override func repr(_ interpreter: JinjaInterpreter) throws -> String {
        let list = JinjaValue.list(JinjaList(items, depth: ownDepth))
        return "\(typeName)(\(try interpreter.repr(list).string))"
    }
}

/// `cycler(...)`.
final class JinjaCycler: JinjaObject {
    private let items: [JinjaValue]
    private var position = 0

    init(_ items: [JinjaValue]) { self.items = items }

    override var typeName: String { "Cycler" }
    override var depth: Int { (items.map(\.depth).max() ?? 0) + 1 }

    override func attribute(_ name: String, _ interpreter: JinjaInterpreter) -> JinjaValue? {
        switch name {
        case "current": items[position]
        case "pos": .int(position)
        case "items": .tuple(JinjaList(items, depth: depth))
        case "next":
            .object(
                JinjaFunction("next", depth: depth + 1) { [self] _, _ in
                    defer { position = (position + 1) % items.count }
                    return items[position]
                })
        case "reset":
            .object(
                JinjaFunction("reset", depth: depth + 1) { [self] _, _ in
                    position = 0
                    return .none
                })
        default: nil
        }
    }
}

/// `joiner(separator)`: nothing at the first call, the separator afterwards.
final class JinjaJoiner: JinjaObject {
    private let separator: JinjaValue
    private var isUsed = false

    init(_ separator: JinjaValue) { self.separator = separator }

    override var typeName: String { "Joiner" }
    override var depth: Int { separator.depth + 1 }
    override var isCallable: Bool { true }

    override func attribute(_ name: String, _ interpreter: JinjaInterpreter) -> JinjaValue? {
        switch name {
        case "sep": separator
        case "used": .bool(isUsed)
        default: nil
        }
    }

    override func call(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        defer { isUsed = true }
        return isUsed ? separator : .text(.empty)
    }
}
