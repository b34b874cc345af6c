extension JinjaFilters {
    static let sequenceFilters: [String: Function] = [
        "length": length,
        "count": length,
        "join": join,
        "first": plain("first") { interpreter, value in
            try interpreter.iterator(over: value).next()
                ?? .undefined(JinjaUndefined("No first item, sequence was empty."))
        },
        "last": last,
        "list": plain("list") { interpreter, value in
            if case .text(let text) = value { try interpreter.charge(bytes: text.bytes.count, times: 48) }
            return try interpreter.list(interpreter.items(of: value))
        },
        "reverse": reverse,
        "items": plain("items") { interpreter, value in
            if value.isUndefined { return try interpreter.generator(over: value) { nil } }
            guard case .dictionary(let dictionary) = value else {
                throw JinjaError.value("Can only get item pairs from a mapping.")
            }
            var index = 0
            return try interpreter.generator(over: value) {
                guard let entry = dictionary.entries[safe: index] else { return nil }
                index += 1
                return try interpreter.tuple([entry.key, entry.value])
            }
        },
        "dictsort": dictsort,
        "sort": sort,
        "unique": unique,
        "min": { try extreme($0, $1, $2, "min") { try $0.isOrdered($1, $2, orEqual: false) } },
        "max": { try extreme($0, $1, $2, "max") { try $0.isOrdered($2, $1, orEqual: false) } },
        "sum": sum,
        "batch": batch,
        "slice": slice,
        "groupby": groupby,
    ]

    private static let length: Function = plain("length") { interpreter, value in
        guard let length = try interpreter.length(of: value) else {
            throw JinjaError.value("object of type '\(value.typeName)' has no len()")
        }
        return .int(length)
    }

    private static let join: Function = { interpreter, value, arguments in
        let values = try arguments.matched("join", ["d", "attribute"])
        let separator = try values[0].map(interpreter.string) ?? .empty
        let path = try JinjaAttributePath(values[1], interpreter)
        let iterator = try interpreter.iterator(over: value)
        var bytes: [UInt8] = []
        var isFirst = true
        while let item = try iterator.next() {
            try interpreter.step()
            let text = try interpreter.string(path.value(in: item, interpreter))
            try interpreter.charge(bytes: text.bytes.count + separator.bytes.count)
            if !isFirst { bytes += separator.bytes }
            isFirst = false
            bytes += text.bytes
        }
        return .text(JinjaText(bytes))
    }

    private static let last: Function = plain("last") { interpreter, value in
        if case .object(let generator as JinjaGenerator) = value {
            throw JinjaError.value("'\(generator.typeName)' object is not reversible")
        }
        return try interpreter.items(of: value).last
            ?? .undefined(JinjaUndefined("No last item, sequence was empty."))
    }

    private static let reverse: Function = plain("reverse") { interpreter, value in
        if case .text(let text) = value {
            try interpreter.charge(bytes: text.bytes.count, times: text.isASCII ? 2 : 16)
            return .text(try text.sliced(start: nil, stop: nil, step: -1))
        }
        let items = try interpreter.items(of: value)
        if case .object(is JinjaGenerator) = value { return try interpreter.list(items.reversed()) }
        var index = items.count
        return try interpreter.generator(over: value) {
            index -= 1
            return items[safe: index]
        }
    }

    /// What sorting compares: strings without case, unless the case counts.
    private static func foldedKey(
        _ value: JinjaValue, isCaseSensitive: Bool, _ interpreter: JinjaInterpreter
    ) throws -> JinjaValue {
        guard !isCaseSensitive, case .text(let text) = value else { return value }
        try interpreter.charge(bytes: text.bytes.count, times: text.isASCII ? 1 : 16)
        return .text(text.lowercased())
    }

    private static let dictsort: Function = { interpreter, value, arguments in
        let values = try arguments.matched("dictsort", ["case_sensitive", "by", "reverse"])
        if case .undefined(let undefined) = value { throw undefined.error }
        guard case .dictionary(let dictionary) = value else { throw JinjaError.value("dictsort takes a mapping") }
        let order = try values[1]?.requiredText("by") ?? "key"
        guard order == "key" || order == "value" else {
            throw JinjaError.value("You can only sort by either \"key\" or \"value\"")
        }
        let isCaseSensitive = try values[0].isTrue(default: false)
        let entries = try JinjaSorting.sorted(
            dictionary.entries, interpreter, reversed: reverses(values[2])
        ) { try foldedKey(order == "key" ? $0.key : $0.value, isCaseSensitive: isCaseSensitive, interpreter) }
        return try interpreter.list(entries.map { try interpreter.tuple([$0.key, $0.value]) })
    }

    private static let sort: Function = { interpreter, value, arguments in
        let values = try arguments.matched("sort", ["reverse", "case_sensitive", "attribute"])
        let isCaseSensitive = try values[1].isTrue(default: false)
        var attributes: [JinjaValue?] = [values[2]]
        if case .text(let text) = values[2] { attributes = text.split(on: ",", limit: -1).map { .text($0) } }
        if let text = values[2]?.text { try interpreter.charge(bytes: text.bytes.count, times: 32) }
        let paths = try attributes.map { try JinjaAttributePath($0, interpreter) }
        let items = try interpreter.items(of: value)
        let sorted = try JinjaSorting.sorted(items, interpreter, reversed: reverses(values[0])) { item in
            try interpreter.list(
                paths.map {
                    try foldedKey($0.value(in: item, interpreter), isCaseSensitive: isCaseSensitive, interpreter)
                })
        }
        return try interpreter.list(sorted)
    }

    private static let unique: Function = { interpreter, value, arguments in
        let values = try arguments.matched("unique", ["case_sensitive", "attribute"])
        let isCaseSensitive = try values[0].isTrue(default: false)
        let path = try JinjaAttributePath(values[1], interpreter)
        let iterator = try interpreter.iterator(over: value)
        var seen: Set<JinjaKey> = []
        return try interpreter.generator(over: value) {
            while let item = try iterator.next() {
                try interpreter.step()
                let key = try foldedKey(
                    path.value(in: item, interpreter), isCaseSensitive: isCaseSensitive, interpreter)
                guard JinjaKey.isHashable(key) else { throw JinjaError.value("unhashable type: '\(key.typeName)'") }
                try interpreter.charge(bytes: key.text?.bytes.count ?? 16)
                if seen.insert(JinjaKey(key)).inserted { return item }
            }
            return nil
        }
    }

    /// - Parameter isBetter: Whether the first value beats the second.
    private static func extreme(
        _ interpreter: JinjaInterpreter, _ value: JinjaValue, _ arguments: JinjaArguments, _ name: String,
        _ isBetter: (JinjaInterpreter, JinjaValue, JinjaValue) throws -> Bool
    ) throws -> JinjaValue {
        let values = try arguments.matched(name, ["case_sensitive", "attribute"])
        let isCaseSensitive = try values[0].isTrue(default: false)
        let path = try JinjaAttributePath(values[1], interpreter)
        var best: (item: JinjaValue, key: JinjaValue)?
        for item in try interpreter.items(of: value) {
            let key = try foldedKey(
                path.value(in: item, interpreter), isCaseSensitive: isCaseSensitive, interpreter)
            if let current = best, !(try isBetter(interpreter, key, current.key)) { continue }
            best = (item, key)
        }
        return best?.item ?? .undefined(JinjaUndefined("No aggregated item, sequence was empty."))
    }

    private static let sum: Function = { interpreter, value, arguments in
        let values = try arguments.matched("sum", ["attribute", "start"])
        let path = try JinjaAttributePath(values[0], interpreter)
        var total = values[1] ?? .int(0)
        if case .text = total { throw JinjaError.value("sum() can't sum strings [use ''.join(seq) instead]") }
        for item in try interpreter.items(of: value) {
            try interpreter.step()
            let part = try path.value(in: item, interpreter)
            total = try interpreter.arithmetic(.add, total, part)
        }
        return total
    }

    /// `reverse` of Python's `sorted`, which takes integers only.
    static func reverses(_ value: JinjaValue?) throws -> Bool { try value.integer("reverse", default: 0) != 0 }

    private static let batch: Function = { interpreter, value, arguments in
        let values = try arguments.matched("batch", ["linecount", "fill_with"], required: 1)
        // No line has a length that is no number, so that one takes all.
        let size = values[0].flatMap { $0.number }.map { $0 == $0.rounded() ? Int(exactly: $0) ?? -1 : -1 } ?? -1
        let fill = values[1].flatMap { $0.isNone ? nil : $0 }
        let iterator = try interpreter.iterator(over: value)
        var pending = try iterator.next()
        var startsEmpty = size == 0
        return try interpreter.generator(over: value) {
            guard let first = pending else { return nil }
            if startsEmpty {
                startsEmpty = false
                return try interpreter.list([])
            }
            var line = [first]
            pending = try iterator.next()
            while line.count != size, let item = pending {
                try interpreter.step()
                line.append(item)
                pending = try iterator.next()
            }
            if fill != nil, values[0]?.number == nil {
                throw JinjaError.value("linecount must be a number to fill lines up")
            }
            if let fill, line.count < size {
                try interpreter.charge(bytes: MemoryLayout<JinjaValue>.stride, times: size - line.count)
                line += Array(repeating: fill, count: size - line.count)
            }
            return try interpreter.list(line)
        }
    }

    private static let slice: Function = { interpreter, value, arguments in
        let values = try arguments.matched("slice", ["slices", "fill_with"], required: 1)
        let count = try values[0].integer("slices", default: 1)
        let fill = values[1].flatMap { $0.isNone ? nil : $0 }
        let items = try interpreter.items(of: value)
        guard count != 0 else { throw JinjaError.value("integer division or modulo by zero") }
        var number = 0
        var offset = 0
        return try interpreter.generator(over: value) {
            guard number < count else { return nil }
            let isLong = number < items.count % count
            let size = items.count / count + (isLong ? 1 : 0)
            var part = Array(items[offset..<offset + size])
            offset += size
            number += 1
            if let fill, !isLong { part.append(fill) }
            return try interpreter.list(part)
        }
    }

    private static let groupby: Function = { interpreter, value, arguments in
        let values = try arguments.matched("groupby", ["attribute", "default", "case_sensitive"], required: 1)
        let path = try JinjaAttributePath(values[0], interpreter)
        let isCaseSensitive = try values[2].isTrue(default: false)
        let keyed = try interpreter.items(of: value).map { item in
            let value = try path.value(in: item, interpreter, default: values[1])
            return (
                item: item, value: value,
                key: try foldedKey(value, isCaseSensitive: isCaseSensitive, interpreter)
            )
        }
        var groups: [(value: JinjaValue, key: JinjaValue, items: [JinjaValue])] = []
        for entry in try JinjaSorting.sorted(keyed, interpreter, by: { $0.key }) {
            if let last = groups.last, try interpreter.areEqual(last.key, entry.key) {
                groups[groups.count - 1].items.append(entry.item)
            } else {
                groups.append((entry.value, entry.key, [entry.item]))
            }
        }
        return try interpreter.list(
            groups.map { try interpreter.tuple([$0.value, interpreter.list($0.items)], isGroup: true) })
    }
}
