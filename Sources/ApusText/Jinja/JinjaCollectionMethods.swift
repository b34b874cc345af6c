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
        "copy": { _, dictionary, _ in .dictionary(dictionary) },
        "fromkeys": { _, _, _ in throw JinjaError.unsupported("dict.fromkeys is not supported in chat templates") },
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
        case "real": value.integer.map { .int($0) } ?? value
        case "imag": if case .double = value { .double(0) } else { .int(0) }
        case "numerator": value.integer.map { .int($0) }
        case "denominator": value.integer.map { _ in .int(1) }
        case "is_integer":
            if case .double(let number) = value {
                .object(JinjaFunction(name) { _, _ in .bool(number.isFinite && number == number.rounded()) })
            } else {
                nil
            }
        case "bit_length":
            value.integer.map { number in
                .object(JinjaFunction(name) { _, _ in .int(Int.bitWidth - number.magnitude.leadingZeroBitCount) })
            }
        default: nil
        }
    }
}
