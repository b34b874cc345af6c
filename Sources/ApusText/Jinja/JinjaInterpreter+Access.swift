/// Attributes, items, iteration and calls.
extension JinjaInterpreter {
    /// `object.name`: Python's attribute first, then the item of that name.
    func attribute(of object: JinjaValue, name: String, key: JinjaText) throws -> JinjaValue {
        if case .undefined(let undefined) = object { throw undefined.error }
        try charge(bytes: key.bytes.count)
        if let member = try member(of: object, name: name) { return member }
        if case .dictionary(let dictionary) = object, let value = dictionary[key] { return value }
        return missing(.text(key), in: object)
    }

    /// `object[key]`: the item first, then Python's attribute of that name.
    func item(of object: JinjaValue, key: JinjaValue) throws -> JinjaValue {
        if case .text(let name) = key { try charge(bytes: name.bytes.count) }
        switch object {
        case .undefined(let undefined): throw undefined.error
        case .list(let list), .tuple(let list):
            if let index = key.integer {
                let position = index < 0 ? index + list.items.count : index
                if list.items.indices.contains(position) { return list.items[position] }
            }
        case .text(let text):
            if let index = key.integer {
                if !text.isASCII { try charge(bytes: text.bytes.count) }
                if let character = text.character(at: index) { return .text(character) }
            }
        case .dictionary(let dictionary):
            if JinjaKey.isHashable(key), let value = dictionary[key] { return value }
        case .object(let object):
            if let value = try object.item(key) { return value }
        default: break
        }
        if case .text(let name) = key, let member = try member(of: object, name: name.string) { return member }
        return missing(key, in: object)
    }

    private func missing(_ key: JinjaValue, in object: JinjaValue) -> JinjaValue {
        let owner = object.isNone ? "None" : "\(object.typeName) object"
        if case .text(let name) = key {
            return .undefined(JinjaUndefined("'\(owner)' has no attribute '\(name.string)'"))
        }
        let shown = key.integer.map(String.init) ?? key.typeName
        return .undefined(JinjaUndefined("\(owner) has no element \(shown)"))
    }

    /// What Python's `getattr` finds, with jinja2's sandbox around it.
    private func member(of object: JinjaValue, name: String) throws -> JinjaValue? {
        switch object {
        case .text(let text):
            guard let method = JinjaTextMethods.table[name] else { return nil }
            return bound(name, object) { try method($1, text, $0) }
        case .dictionary(let dictionary):
            if let method = JinjaCollectionMethods.dictionary[name] {
                return bound(name, object) { try method($1, dictionary, $0) }
            }
            return JinjaCollectionMethods.changingDictionary.contains(name) ? unsafe(name, object) : nil
        case .list(let list), .tuple(let list):
            if let method = JinjaCollectionMethods.list[name] {
                return bound(name, object) { try method($1, list, $0) }
            }
            if list.isGroup, name == "grouper" || name == "list" { return list.items[safe: name == "list" ? 1 : 0] }
            guard case .list = object else { return nil }
            if name == "copy" {
                return bound(name, object) { arguments, _ in
                    _ = try arguments.matched("list.copy", [])
                    return object
                }
            }
            return JinjaCollectionMethods.changingList.contains(name) ? unsafe(name, object) : nil
        case .digits: return name == "real" || name == "numerator" ? object : nil
        case .int, .bool, .double: return try JinjaNumberMethods.member(of: object, name: name)
        case .object(let object):
            guard let value = try object.attribute(name, self) else { return nil }
            return name.hasPrefix("_") ? unsafe(name, .object(object)) : value
        case .none, .undefined: return nil
        }
    }

    private func bound(_ name: String, _ receiver: JinjaValue, _ body: @escaping JinjaFunction.Body) -> JinjaValue {
        .object(JinjaFunction(name, depth: receiver.depth + 1, body: body))
    }

    private func unsafe(_ name: String, _ object: JinjaValue) -> JinjaValue {
        let type = object.typeName
        return .undefined(JinjaUndefined("access to attribute '\(name)' of '\(type)' object is unsafe."))
    }

    func slice(of object: JinjaValue, start: Int?, stop: Int?, step: Int?) throws -> JinjaValue {
        switch object {
        case .undefined(let undefined): throw undefined.error
        case .text(let text):
            try charge(bytes: text.isASCII ? 16 : text.bytes.count)
            let part = try text.sliced(start: start, stop: stop, step: step)
            try charge(bytes: part.bytes.count)
            return .text(part)
        case .list(let list), .tuple(let list):
            let slice = try JinjaSlice(start: start, stop: stop, step: step, length: list.items.count)
            let items = slice.positions.map { list.items[$0] }
            if case .list = object { return try self.list(items) }
            return try tuple(items)
        case .object(let object as JinjaRange):
            return .object(
                object.sliced(try JinjaSlice(start: start, stop: stop, step: step, length: object.count)))
        default: throw JinjaError.value("'\(object.typeName)' object cannot be sliced")
        }
    }

    // MARK: - Iteration

    func iterator(over value: JinjaValue) throws -> JinjaIterator {
        switch value {
        case .undefined: return JinjaIterator([])
        case .list(let list), .tuple(let list): return JinjaIterator(list.items)
        case .dictionary(let dictionary):
            try charge(bytes: MemoryLayout<JinjaValue>.stride, times: dictionary.count)
            return JinjaIterator(dictionary.entries.map(\.key))
        case .text(let text):
            try charge(bytes: 32, times: text.bytes.count)
            return JinjaIterator(text.characters().map { .text($0) })
        case .object(let object):
            if let iterator = try object.iterator(self) { return iterator }
            fallthrough
        default: throw JinjaError.value("'\(value.typeName)' object is not iterable")
        }
    }

    /// All items of an iterable.
    func items(of value: JinjaValue) throws -> [JinjaValue] {
        switch value {
        case .list(let list), .tuple(let list): return list.items
        default:
            let iterator = try iterator(over: value)
            var items: [JinjaValue] = []
            while let item = try iterator.next() {
                try step()
                try charge(bytes: MemoryLayout<JinjaValue>.stride)
                items.append(item)
            }
            return items
        }
    }

    /// `len(value)`, or nil where Python has none.
    func length(of value: JinjaValue) throws -> Int? {
        switch value {
        case .undefined: return 0
        case .text(let text):
            if !text.isASCII { try charge(bytes: text.bytes.count) }
            return text.count
        case .list(let list), .tuple(let list): return list.items.count
        case .dictionary(let dictionary): return dictionary.count
        case .object(let object): return try object.length()
        default: return nil
        }
    }

    func call(_ function: JinjaValue, _ arguments: JinjaArguments) throws -> JinjaValue {
        switch function {
        case .object(let object):
            try guardStack()
            return try object.call(arguments, self)
        case .undefined(let undefined): throw undefined.error
        default: throw JinjaError.value("'\(function.typeName)' object is not callable")
        }
    }
}
