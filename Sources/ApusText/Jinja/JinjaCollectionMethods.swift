/// The methods of Python's lists, tuples and dictionaries that the sandbox allows.
enum JinjaCollectionMethods {
    typealias ListMethod = @Sendable (JinjaInterpreter, JinjaList, JinjaArguments) throws -> JinjaValue
    typealias DictionaryMethod = @Sendable (JinjaInterpreter, JinjaDictionary, JinjaArguments) throws -> JinjaValue

    /// Methods that the sandbox refuses, because they change their object.
    static let changingList: Set = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]
    static let changingDictionary: Set = ["clear", "pop", "popitem", "setdefault", "update"]

    static let list: [String: ListMethod] = [
        "count": { interpreter, list, arguments in
            let wanted = try arguments.one("list.count", "value")
            var count = 0
            for item in list.items {
                try interpreter.step()
                if try interpreter.areEqual(item, wanted) { count += 1 }
            }
            return .int(count)
        },
        "index": { interpreter, list, arguments in
            let values = try arguments.matched("list.index", ["value", "start", "stop"], required: 1)
            let slice = try JinjaSlice(
                start: values[1].integer("start", default: 0),
                stop: values[2].integer("stop", default: list.items.count), step: nil, length: list.items.count)
            for position in slice.positions {
                try interpreter.step()
                if let wanted = values[0], try interpreter.areEqual(list.items[position], wanted) {
                    return .int(position)
                }
            }
            throw JinjaError.value("the value is not in the list")
        },
    ]

    static let dictionary: [String: DictionaryMethod] = [
        "get": { interpreter, dictionary, arguments in
            guard arguments.named.isEmpty else { throw JinjaError.value("dict.get() takes no keyword arguments") }
            let values = try arguments.matched("dict.get", ["key", "default"], required: 1)
            guard let key = values[0], JinjaKey.isHashable(key) else { throw JinjaError.value("unhashable key") }
            if case .text(let name) = key { try interpreter.charge(bytes: name.bytes.count) }
            return dictionary[key] ?? values[1] ?? .none
        },
        "keys": { try view(.keys, $0, $1, $2) { $0.key } },
        "values": { try view(.values, $0, $1, $2) { $0.value } },
        "items": { interpreter, dictionary, arguments in
            let tuples = try dictionary.entries.map { try interpreter.tuple([$0.key, $0.value]) }
            return try view(.items, tuples, dictionary.depth + 2, interpreter, arguments)
        },
        "copy": { _, dictionary, arguments in
            _ = try arguments.matched("dict.copy", [])
            return .dictionary(dictionary)
        },
        "fromkeys": { interpreter, _, arguments in
            guard arguments.named.isEmpty else { throw JinjaError.value("fromkeys() takes no keyword arguments") }
            let values = try arguments.matched("dict.fromkeys", ["iterable", "value"], required: 1)
            let result = JinjaDictionary()
            for key in try values[0].map(interpreter.items) ?? [] {
                guard JinjaKey.isHashable(key) else { throw JinjaError.value("unhashable key") }
                try result.set(key, values[1] ?? .none)
            }
            return try interpreter.checked(result)
        },
    ]

    private static func view(
        _ part: JinjaDictionaryView.Part, _ interpreter: JinjaInterpreter, _ dictionary: JinjaDictionary,
        _ arguments: JinjaArguments, _ selected: ((key: JinjaValue, value: JinjaValue)) -> JinjaValue
    ) throws -> JinjaValue {
        try view(part, dictionary.entries.map(selected), dictionary.depth + 1, interpreter, arguments)
    }

    private static func view(
        _ part: JinjaDictionaryView.Part, _ items: [JinjaValue], _ depth: Int, _ interpreter: JinjaInterpreter,
        _ arguments: JinjaArguments
    ) throws -> JinjaValue {
        _ = try arguments.matched("dict.\(part.rawValue)", [])
        try interpreter.charge(bytes: MemoryLayout<JinjaValue>.stride, times: items.count)
        try interpreter.checkDepth(depth)
        return .object(JinjaDictionaryView(part, items: items, depth: depth))
    }
}

/// The attributes of Python's numbers that templates may ask for.
enum JinjaNumberMethods {
    static func member(of value: JinjaValue, name: String) throws -> JinjaValue? {
        switch name {
        case "real": return value.integer.map { .int($0) } ?? value
        case "imag": return if case .double = value { .double(0) } else { .int(0) }
        case "numerator": return value.integer.map { .int($0) }
        case "denominator": return value.integer.map { _ in .int(1) }
        case "to_bytes", "from_bytes", "fromhex":
            throw JinjaError.unsupported(
                "\(value.typeName).\(name) is not supported in chat templates: there are no bytes")
        default: break
        }
        let result: @Sendable (JinjaInterpreter) throws -> JinjaValue
        switch (name, value.integer, value.number) {
        case ("conjugate", let number?, _): result = { _ in .int(number) }
        case ("conjugate", nil, let number?): result = { _ in .double(number) }
        case ("as_integer_ratio", let number?, _): result = { try $0.tuple([.int(number), .int(1)]) }
        case ("as_integer_ratio", nil, let number?): result = { try ratio(number, $0) }
        case ("bit_length", let number?, _):
            result = { _ in .int(Int.bitWidth - number.magnitude.leadingZeroBitCount) }
        case ("bit_count", let number?, _): result = { _ in .int(number.magnitude.nonzeroBitCount) }
        case ("is_integer", nil, let number?):
            result = { _ in .bool(number.isFinite && number == number.rounded()) }
        case ("hex", nil, let number?): result = { _ in .text(JinjaText(PythonFloat.hexadecimal(number))) }
        default: return nil
        }
        return .object(
            JinjaFunction(name) { arguments, interpreter in
                _ = try arguments.matched(name, [])
                return try result(interpreter)
            })
    }

    /// A number as a fraction in lowest terms.
    private static func ratio(_ number: Double, _ interpreter: JinjaInterpreter) throws -> JinjaValue {
        guard number.isFinite else { throw JinjaError.value("cannot convert \(number) to integer ratio") }
        guard number != 0 else { return try interpreter.tuple([.int(0), .int(1)]) }
        let significand = number.significandBitPattern | (number.isNormal ? 1 << 52 : 0)
        let exponent = (number.isNormal ? Int(number.exponentBitPattern) - 1075 : -1074)
        let shift = exponent + significand.trailingZeroBitCount
        let odd = Int(significand >> UInt64(significand.trailingZeroBitCount))
        guard shift > -63, shift <= 0 || odd.leadingZeroBitCount > shift else {
            throw JinjaError.value("the ratio does not fit into 64 bits")
        }
        let numerator = shift > 0 ? odd << shift : odd
        return try interpreter.tuple([.int(number < 0 ? -numerator : numerator), .int(shift < 0 ? 1 << -shift : 1)])
    }
}
