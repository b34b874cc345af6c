/// A value inside a template: the Python types that templates can reach.
enum JinjaValue {
    case undefined(JinjaUndefined)
    case none
    case bool(Bool)
    case int(Int)
    /// An integer beyond 64 bits, by its digits; it is written as it is, compared as the nearest double, and not calculated with.
    case digits(String)
    case double(Double)
    case text(JinjaText)
    case list(JinjaList)
    case tuple(JinjaList)
    case dictionary(JinjaDictionary)
    case object(JinjaObject)

    static func text(_ string: String) -> JinjaValue { .text(JinjaText(string)) }

    /// Python's name of the type, as its error messages spell it.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int, .digits: "int"
        case .double: "float"
        case .text(let text): text.isMarkup ? "Markup" : "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dictionary: "dict"
        case .object(let object): object.typeName
        }
    }

    /// Containers inside this one, itself included; bounded, so that walking and releasing a value cannot exhaust
    /// the stack.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .dictionary(let dictionary): dictionary.depth
        case .object(let object): object.depth
        default: 0
        }
    }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }
    var isNone: Bool { if case .none = self { true } else { false } }

    /// The value where Python takes an `int`: booleans count as 0 and 1.
    var integer: Int? {
        switch self {
        case .int(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    /// The value of any number.
    var number: Double? {
        switch self {
        case .double(let value): value
        case .digits(let digits): Double(digits)
        default: integer.map(Double.init)
        }
    }

    var text: JinjaText? { if case .text(let text) = self { text } else { nil } }

    /// Python's truth value.
    func isTrue() throws -> Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .double(let value): value != 0
        case .digits: true
        case .text(let text): !text.isEmpty
        case .list(let list), .tuple(let list): !list.items.isEmpty
        case .dictionary(let dictionary): dictionary.count > 0
        case .object(let object): try object.isTrue()
        }
    }
}

/// A value that is not there: prints as nothing, fails when used for anything else.
final class JinjaUndefined {
    private let makeMessage: () -> String

    init(_ message: @autoclosure @escaping () -> String) { makeMessage = message }

    convenience init(name: String) { self.init("'\(name)' is undefined") }

    var error: JinjaError { JinjaError(.undefined, makeMessage()) }
}

/// The items of a Python list or tuple.
///
/// Templates cannot change them.
final class JinjaList {
    let items: [JinjaValue]
    let depth: Int
    /// True for what `groupby` returns: the two items are also called `grouper` and `list`.
    let isGroup: Bool

    /// - Parameter depth: Already known to be within the limits.
    init(_ items: [JinjaValue], depth: Int, isGroup: Bool = false) {
        self.items = items
        self.depth = depth
        self.isGroup = isGroup
    }
}

/// A Python dictionary: entries in the order of insertion.
///
/// Templates cannot change it.
final class JinjaDictionary {
    private(set) var entries: [(key: JinjaValue, value: JinjaValue)] = []
    private(set) var depth = 1
    // Messages have a handful of keys: comparing them all is faster than hashing.
    private var positions: [JinjaKey: Int] = [:]
    private static let hashThreshold = 8

    var count: Int { entries.count }

    func position(of key: JinjaValue) -> Int? {
        if entries.count > Self.hashThreshold { return positions[JinjaKey(key)] }
        return entries.firstIndex { JinjaKey($0.key) == JinjaKey(key) }
    }

    subscript(key: JinjaValue) -> JinjaValue? { position(of: key).map { entries[$0].value } }

    subscript(name: JinjaText) -> JinjaValue? {
        if entries.count > Self.hashThreshold { return self[.text(name)] }
        for entry in entries {
            if case .text(let text) = entry.key, text == name { return entry.value }
        }
        return nil
    }

    /// Adds or replaces an entry while the dictionary is built.
    ///
    /// - Throws: When `key` has no hash in Python.
    func set(_ key: JinjaValue, _ value: JinjaValue) throws {
        guard JinjaKey.isHashable(key) else { throw JinjaError.value("unhashable type: '\(key.typeName)'") }
        depth = max(depth, max(key.depth, value.depth) + 1)
        if let position = position(of: key) {
            entries[position].value = value
            return
        }
        entries.append((key, value))
        if entries.count == Self.hashThreshold + 1 {
            for (position, entry) in entries.enumerated() { positions[JinjaKey(entry.key)] = position }
        } else if entries.count > Self.hashThreshold {
            positions[JinjaKey(key)] = entries.count - 1
        }
    }
}

/// A hashable value as Python hashes it: `1`, `1.0` and `True` are one key.
struct JinjaKey: Hashable {
    let value: JinjaValue

    init(_ value: JinjaValue) { self.value = value }

    /// Lists and dictionaries have no hash.
    ///
    /// Of tuples only small flat ones do here: hashing a nested one can take exponential time where parts are shared.
    static func isHashable(_ value: JinjaValue) -> Bool {
        switch value {
        case .list, .dictionary: false
        case .tuple(let list): list.items.count <= 32 && list.items.allSatisfy { $0.depth == 0 }
        default: true
        }
    }

    static func == (lhs: JinjaKey, rhs: JinjaKey) -> Bool {
        switch (lhs.value, rhs.value) {
        case (.undefined, .undefined), (.none, .none): true
        case (.text(let left), .text(let right)): left == right
        case (.tuple(let left), .tuple(let right)):
            left.items.count == right.items.count
                && zip(left.items, right.items).allSatisfy { JinjaKey($0) == JinjaKey($1) }
        case (.object(let left), .object(let right)): left === right
        default:
            if case .digits(let left) = lhs.value, case .digits(let right) = rhs.value {
                left == right
            } else if let left = lhs.value.integer, let right = rhs.value.integer {
                left == right
            } else if let left = lhs.value.number, let right = rhs.value.number {
                left == right
            } else {
                false
            }
        }
    }

    func hash(into hasher: inout Hasher) {
        switch value {
        case .text(let text): text.hash(into: &hasher)
        case .tuple(let list): for item in list.items { JinjaKey(item).hash(into: &hasher) }
        case .object(let object): hasher.combine(ObjectIdentifier(object))
        default: if let number = value.number { hasher.combine(number) }
        }
    }
}
