/// The filters of jinja2 and of transformers, by name.
enum JinjaFilters {
    typealias Function = @Sendable (JinjaInterpreter, JinjaValue, JinjaArguments) throws -> JinjaValue

    static let table: [String: Function] = textFilters.merging(sequenceFilters) { $1 }
        .merging(selectionFilters) { $1 }.merging(numberFilters) { $1 }.merging(valueFilters) { $1 }

    static func unknown(_ name: String) -> JinjaError {
        if name == "random" {
            return JinjaError.unsupported(
                "the filter 'random' is not supported in chat templates, as it would give one conversation many texts")
        }
        return JinjaError(.syntax, "No filter named '\(name)'.")
    }

    /// Applies a filter by its name, as `map` does.
    static func apply(
        _ name: String, to value: JinjaValue, _ arguments: JinjaArguments, _ interpreter: JinjaInterpreter
    ) throws -> JinjaValue {
        guard let function = table[name] else { throw unknown(name) }
        return try function(interpreter, value, arguments)
    }

    /// A filter without arguments.
    static func plain(
        _ name: String, _ body: @escaping @Sendable (JinjaInterpreter, JinjaValue) throws -> JinjaValue
    ) -> Function {
        { interpreter, value, arguments in
            _ = try arguments.matched(name, [])
            return try body(interpreter, value)
        }
    }

    // MARK: - Filters of any value

    private static let valueFilters: [String: Function] = [
        "default": defaultValue,
        "d": defaultValue,
        "string": plain("string") { interpreter, value in
            if case .text = value { return value }
            return .text(try interpreter.string(value))
        },
        "tojson": tojson,
        "pprint": pprint,
        "attr": { interpreter, value, arguments in
            let name = try arguments.one("attr", "name").requiredText("the name of attr")
            // Only Python's attributes count here, not the items of a dictionary.
            if case .dictionary(let dictionary) = value, JinjaCollectionMethods.dictionary[name.string] == nil,
                dictionary[name] != nil
            {
                return .undefined(JinjaUndefined("'dict object' has no attribute '\(name.string)'"))
            }
            return try interpreter.attribute(of: value, name: name.string, key: name)
        },
    ]

    private static let defaultValue: Function = { _, value, arguments in
        let values = try arguments.matched("default", ["default_value", "boolean"])
        let isMissing =
            value.isUndefined ? true : try values[1].isTrue(default: false) ? !(try value.isTrue()) : false
        return isMissing ? values[0] ?? .text(.empty) : value
    }

    private static let tojson: Function = { interpreter, value, arguments in
        let values = try arguments.matched("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])
        var indent: JinjaText?
        switch values[1] {
        case nil, .some(.none): break
        case .text(let text): indent = text
        case let other:
            // Python writes a text alone without looking at the indentation; else one of a wrong type is an error.
            if case .text = value, other?.integer == nil { break }
            let width = max(try other.integer("indent", default: 0), 0)
            try interpreter.charge(bytes: width)
            indent = JinjaText([UInt8](repeating: UInt8(ascii: " "), count: width))
        }
        var separators = (item: JinjaText(indent == nil ? ", " : ","), key: JinjaText(": "))
        if let pair = values[2], !pair.isNone {
            let items = try interpreter.items(of: pair)
            guard items.count == 2 else { throw JinjaError.value("separators must be two strings") }
            separators = (try items[0].requiredText("a separator"), try items[1].requiredText("a separator"))
        }
        var writer = JinjaJSONWriter(
            interpreter: interpreter, indent: indent, separators: separators,
            escapesNonASCII: try values[0].isTrue(default: false), sortsKeys: try values[3].isTrue(default: false))
        return .text(try writer.text(of: value))
    }
}
