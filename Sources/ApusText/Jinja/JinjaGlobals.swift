/// The functions that every template can call.
enum JinjaGlobals {
    static func value(_ name: String) -> JinjaValue? {
        guard let body = functions[name] else { return nil }
        return .object(JinjaFunction(name, body: body))
    }

    private static let functions: [String: @Sendable (JinjaArguments, JinjaInterpreter) throws -> JinjaValue] = [
        "range": range,
        "namespace": namespace,
        "dict": dictionary,
        "cycler": { arguments, interpreter in
            guard !arguments.positional.isEmpty else { throw JinjaError.value("at least one item has to be provided") }
            guard arguments.named.isEmpty else { throw JinjaError.value("cycler takes no named arguments") }
            _ = try interpreter.list(arguments.positional)
            return .object(JinjaCycler(arguments.positional))
        },
        "joiner": { arguments, _ in
            .object(JinjaJoiner(try arguments.matched("joiner", ["sep"])[0] ?? .text(", ")))
        },
        "lipsum": { _, _ in
            throw JinjaError.unsupported(
                "'lipsum' is not supported in chat templates, as it would give one conversation many texts")
        },
        "raise_exception": { arguments, interpreter in
            let message = try arguments.one("raise_exception", "message")
            throw JinjaError(.raised, try interpreter.string(message).string)
        },
        "strftime_now": { arguments, interpreter in
            let format = try arguments.one("strftime_now", "format").requiredText("the format of strftime_now")
            return .text(try interpreter.clock.formatted(format))
        },
    ]

    /// The sandbox of jinja2 refuses longer ranges.
    private static let maximumRange = 100_000

    private static func range(_ arguments: JinjaArguments, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        guard arguments.named.isEmpty, (1...3).contains(arguments.positional.count) else {
            throw JinjaError.value("range takes one to three integers")
        }
        let numbers = try arguments.positional.map { value in
            if case .undefined(let undefined) = value { throw undefined.error }
            guard let number = value.integer else {
                throw JinjaError.value("'\(value.typeName)' object cannot be interpreted as an integer")
            }
            return number
        }
        let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        let step = numbers.count == 3 ? numbers[2] : 1
        guard step != 0 else { throw JinjaError.value("range() arg 3 must not be zero") }
        let isEmpty = step > 0 ? stop <= start : stop >= start
        if isEmpty { return .object(JinjaRange(start: start, step: step, count: 0)) }
        // Two's complement gives the distance even where it does not fit into Int.
        let distance = UInt(bitPattern: step > 0 ? stop &- start : start &- stop)
        let count = (distance - 1) / step.magnitude + 1
        guard count <= maximumRange else {
            throw JinjaError.limit("Range too big. The sandbox blocks ranges larger than MAX_RANGE (\(maximumRange)).")
        }
        return .object(JinjaRange(start: start, step: step, count: Int(count)))
    }

    private static func dictionary(
        _ arguments: JinjaArguments, _ interpreter: JinjaInterpreter
    ) throws -> JinjaValue {
        let result = JinjaDictionary()
        guard arguments.positional.count <= 1 else { throw JinjaError.value("dict takes at most one argument") }
        if case .undefined(let undefined)? = arguments.positional.first { throw undefined.error }
        if case .dictionary(let source) = arguments.positional.first {
            for entry in source.entries { try result.set(entry.key, entry.value) }
        } else if let pairs = arguments.positional.first {
            for pair in try interpreter.items(of: pairs) {
                let items = try interpreter.items(of: pair)
                guard items.count == 2 else { throw JinjaError.value("dict takes pairs") }
                try result.set(items[0], items[1])
            }
        }
        for (name, value) in arguments.named { try result.set(.text(name), value) }
        return try interpreter.checked(result)
    }

    private static func namespace(
        _ arguments: JinjaArguments, _ interpreter: JinjaInterpreter
    ) throws -> JinjaValue {
        let namespace = interpreter.namespace()
        guard case .dictionary(let dictionary) = try dictionary(arguments, interpreter) else { return .none }
        for entry in dictionary.entries {
            if case .text(let name) = entry.key { namespace.set(name.string, entry.value) }
        }
        return .object(namespace)
    }
}
