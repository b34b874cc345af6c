/// The tests of jinja2 (`value is name`), by name.
enum JinjaTests {
    typealias Function = @Sendable (JinjaInterpreter, JinjaValue, JinjaArguments) throws -> Bool

    static func unknown(_ name: String) -> JinjaError { JinjaError(.syntax, "No test named '\(name)'.") }

    /// Applies a test by its name, as `select` does.
    static func apply(
        _ name: String, to value: JinjaValue, _ arguments: JinjaArguments, _ interpreter: JinjaInterpreter
    ) throws -> Bool {
        guard let function = table[name] else { throw unknown(name) }
        return try function(interpreter, value, arguments)
    }

    static let table: [String: Function] = kinds.merging(comparisons) { $1 }.merging(contents) { $1 }

    private static func kind(_ test: @escaping @Sendable (JinjaValue) -> Bool) -> Function {
        plain { _, value in test(value) }
    }

    /// A test without arguments.
    private static func plain(_ test: @escaping @Sendable (JinjaInterpreter, JinjaValue) throws -> Bool) -> Function {
        { interpreter, value, arguments in
            _ = try arguments.matched("this test", [])
            return try test(interpreter, value)
        }
    }

    private static let kinds: [String: Function] = [
        "defined": kind { !$0.isUndefined },
        "undefined": kind { $0.isUndefined },
        "none": kind { $0.isNone },
        "boolean": kind { if case .bool = $0 { true } else { false } },
        "true": kind { if case .bool(true) = $0 { true } else { false } },
        "false": kind { if case .bool(false) = $0 { true } else { false } },
        "integer": kind {
            switch $0 {
            case .int, .digits: true
            default: false
            }
        },
        "float": kind { if case .double = $0 { true } else { false } },
        "number": kind { $0.number != nil },
        "string": kind { $0.text != nil },
        "mapping": kind { if case .dictionary = $0 { true } else { false } },
        "escaped": kind { $0.text?.isMarkup ?? false },
        "callable": kind {
            switch $0 {
            case .object(let object): object.isCallable
            // Undefined has `__call__`, though calling it fails.
            case .undefined: true
            default: false
            }
        },
        "sequence": kind {
            switch $0 {
            case .undefined, .text, .list, .tuple, .dictionary: true
            case .object(let object): object.isSequence
            default: false
            }
        },
        "iterable": plain { interpreter, value in
            switch value {
            case .undefined, .text, .list, .tuple, .dictionary: true
            case .object(let object): try object.iterator(interpreter) != nil
            default: false
            }
        },
    ]

    // MARK: - Comparisons

    private static func comparison(_ operation: JinjaComparison.Operator) -> Function {
        { interpreter, value, arguments in
            try interpreter.compare(operation, value, arguments.one("this test", "other"))
        }
    }

    private static let comparisons: [String: Function] = [
        "eq": comparison(.equal), "equalto": comparison(.equal), "==": comparison(.equal),
        "ne": comparison(.notEqual), "!=": comparison(.notEqual),
        "lt": comparison(.less), "lessthan": comparison(.less), "<": comparison(.less),
        "le": comparison(.lessOrEqual), "<=": comparison(.lessOrEqual),
        "gt": comparison(.greater), "greaterthan": comparison(.greater), ">": comparison(.greater),
        "ge": comparison(.greaterOrEqual), ">=": comparison(.greaterOrEqual),
        "in": comparison(.isIn),
        "sameas": { _, value, arguments in
            let other = try arguments.one("sameas", "other")
            return switch (value, other) {
            case (.none, .none): true
            case (.bool(let a), .bool(let b)): a == b
            case (.int(let a), .int(let b)): a == b
            case (.double(let a), .double(let b)): a == b
            case (.text(let a), .text(let b)): a == b
            case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): a === b
            case (.dictionary(let a), .dictionary(let b)): a === b
            case (.object(let a), .object(let b)): a === b
            case (.undefined(let a), .undefined(let b)): a === b
            default: false
            }
        },
    ]

    // MARK: - Contents

    private static func remainder(_ name: String, of divisor: Int?, equals wanted: Int) -> Function {
        { interpreter, value, arguments in
            if divisor != nil { _ = try arguments.matched(name, []) }
            let divisor = try divisor.map { JinjaValue.int($0) } ?? arguments.one(name, "num")
            return try interpreter.areEqual(interpreter.arithmetic(.modulo, value, divisor), .int(wanted))
        }
    }

    private static func casing(_ test: @escaping @Sendable (JinjaText) -> Bool) -> Function {
        plain { interpreter, value in
            let text = try interpreter.string(value)
            try interpreter.charge(bytes: text.bytes.count, times: 8)
            return test(text)
        }
    }

    private static let contents: [String: Function] = [
        "odd": remainder("odd", of: 2, equals: 1),
        "even": remainder("even", of: 2, equals: 0),
        "divisibleby": remainder("divisibleby", of: nil, equals: 0),
        "lower": casing { $0.isLowercase },
        "upper": casing { $0.isUppercase },
        "filter": plain { try isName($1, $0) { JinjaFilters.table[$0] != nil } },
        "test": plain { try isName($1, $0) { table[$0] != nil } },
    ]

    private static func isName(
        _ value: JinjaValue, _ interpreter: JinjaInterpreter, _ isKnown: (String) -> Bool
    ) throws -> Bool {
        if let name = value.text { try interpreter.charge(bytes: name.bytes.count, times: 4) }
        guard JinjaKey.isHashable(value) else { throw JinjaError.value("unhashable type: '\(value.typeName)'") }
        return value.text.map { isKnown($0.string) } ?? false
    }
}
