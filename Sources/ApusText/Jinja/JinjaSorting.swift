/// Python's stable sort.
enum JinjaSorting {
    static func sorted<Element>(
        _ elements: [Element], _ interpreter: JinjaInterpreter, reversed: Bool = false,
        by key: (Element) throws -> JinjaValue
    ) throws -> [Element] {
        try interpreter.charge(bytes: MemoryLayout<JinjaValue>.stride, times: elements.count * 2)
        let keyed = try elements.enumerated().map { (index: $0, key: try key($1)) }
        let order = try keyed.sorted { left, right in
            let (low, high) = reversed ? (right, left) : (left, right)
            if try interpreter.isOrdered(low.key, high.key, orEqual: false) { return true }
            // Equal elements keep their order, in a reversed sort too.
            if left.index > right.index { return false }
            return try !interpreter.isOrdered(high.key, low.key, orEqual: false)
        }
        return order.map { elements[$0.index] }
    }
}

/// The dotted path that filters take as `attribute`.
struct JinjaAttributePath {
    private let parts: [JinjaValue]

    init(_ attribute: JinjaValue?, _ interpreter: JinjaInterpreter) throws {
        switch attribute {
        case nil, .some(.none): parts = []
        case .text(let text):
            try interpreter.charge(bytes: text.bytes.count, times: 32)
            parts = text.split(on: ".", limit: -1).map { part in
                let isIndex = part.isNonEmpty(allSatisfying: PythonCharacter.isDigit)
                return isIndex ? .int(Int(part.string) ?? .max) : .text(part)
            }
        case let other?: parts = [other]
        }
    }

    func value(in item: JinjaValue, _ interpreter: JinjaInterpreter, default fallback: JinjaValue? = nil) throws
        -> JinjaValue
    {
        var value = item
        for part in parts {
            try interpreter.step()
            value = try interpreter.item(of: value, key: part)
            if value.isUndefined, let fallback, !fallback.isNone { value = fallback }
        }
        return value
    }
}
