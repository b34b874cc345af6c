extension JinjaFilters {
    static let selectionFilters: [String: Function] = [
        "map": map,
        "select": { try select($0, $1, $2, keeps: true, byAttribute: false) },
        "reject": { try select($0, $1, $2, keeps: false, byAttribute: false) },
        "selectattr": { try select($0, $1, $2, keeps: true, byAttribute: true) },
        "rejectattr": { try select($0, $1, $2, keeps: false, byAttribute: true) },
    ]

    /// `map('filter', …)` or `map(attribute='path', default=…)`.
    private static let map: Function = { interpreter, value, arguments in
        guard try value.isTrue() else { return try interpreter.generator(over: value) { nil } }
        let transform: (JinjaValue) throws -> JinjaValue
        var holdings = value
        if arguments.positional.isEmpty, arguments.named.contains(where: { $0.name == "attribute" }) {
            let values = try JinjaArguments(named: arguments.named).matched("map", ["attribute", "default"])
            let path = try JinjaAttributePath(values[0], interpreter)
            let fallback = values[1]
            transform = { try path.value(in: $0, interpreter, default: fallback) }
        } else {
            guard let name = arguments.positional.first else {
                throw JinjaError.value("map requires a filter argument")
            }
            let filter = try named(name, "the filter of map", interpreter)
            let rest = JinjaArguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
            transform = { try apply(filter, to: $0, rest, interpreter) }
            holdings = try interpreter.list([value] + rest.positional + rest.named.map(\.value))
        }
        let iterator = try interpreter.iterator(over: value)
        return try interpreter.generator(over: holdings) {
            try interpreter.step()
            try interpreter.guardStack()
            return try iterator.next().map(transform)
        }
    }

    private static func named(_ value: JinjaValue, _ what: String, _ interpreter: JinjaInterpreter) throws -> String {
        let name = try value.requiredText(what)
        try interpreter.charge(bytes: name.bytes.count, times: 4)
        return name.string
    }

    private static func select(
        _ interpreter: JinjaInterpreter, _ value: JinjaValue, _ arguments: JinjaArguments, keeps: Bool,
        byAttribute: Bool
    ) throws -> JinjaValue {
        guard try value.isTrue() else { return try interpreter.generator(over: value) { nil } }
        var positional = arguments.positional[...]
        var path = try JinjaAttributePath(nil, interpreter)
        if byAttribute {
            guard let attribute = positional.popFirst() else {
                throw JinjaError.value("Missing parameter for attribute name")
            }
            path = try JinjaAttributePath(attribute, interpreter)
        }
        let test = try positional.popFirst().map { try named($0, "the name of a test", interpreter) }
        let rest = JinjaArguments(positional: Array(positional), named: arguments.named)
        let holdings = try interpreter.list([value] + rest.positional + rest.named.map(\.value))
        let iterator = try interpreter.iterator(over: value)
        return try interpreter.generator(over: holdings) {
            while let item = try iterator.next() {
                try interpreter.step()
                try interpreter.guardStack()
                let subject = try path.value(in: item, interpreter)
                let isTrue = try test.map { try JinjaTests.apply($0, to: subject, rest, interpreter) }
                if try (isTrue ?? subject.isTrue()) == keeps { return item }
            }
            return nil
        }
    }
}
