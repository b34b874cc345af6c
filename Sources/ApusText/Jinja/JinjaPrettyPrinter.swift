/// Writes a value over several lines as Python's `pprint.pformat` does, 80 characters wide and with sorted keys.
struct JinjaPrettyPrinter {
    let interpreter: JinjaInterpreter
    private var output: [UInt8] = []

    private static let width = 80

    init(_ interpreter: JinjaInterpreter) { self.interpreter = interpreter }

    mutating func text(of value: JinjaValue) throws -> JinjaText {
        try write(value, indent: 0, allowance: 0, level: 0)
        return JinjaText(output)
    }

    /// - Parameters:
    ///   - allowance: The room that what follows in the line needs.
    ///   - level: How many containers are around the value.
    private mutating func write(_ value: JinjaValue, indent: Int, allowance: Int, level: Int) throws {
        try interpreter.step()
        try interpreter.guardStack()
        let line = try line(value)
        if line.count <= Self.width - indent - allowance { return append(line) }
        switch value {
        case .dictionary(let dictionary):
            append("{")
            try writeEntries(of: dictionary, indent: indent + 1, allowance: allowance + 1, level: level + 1)
            append("}")
        case .list(let list):
            append("[")
            try write(list.items, indent: indent + 1, allowance: allowance + 1, level: level + 1)
            append("]")
        case .tuple(let list):
            let closing: JinjaText = list.items.count == 1 ? ",)" : ")"
            append("(")
            try write(list.items, indent: indent + 1, allowance: allowance + closing.count, level: level + 1)
            append(closing)
        case .text(let text) where !text.isMarkup:
            try write(text, indent: indent, allowance: allowance, isAlone: level == 0)
        default: append(line)
        }
    }

    private mutating func append(_ text: JinjaText) { output += text.bytes }

    private mutating func startLine(_ indent: Int) throws {
        try interpreter.charge(bytes: indent + 1)
        output.append(0x0A)
        output += [UInt8](repeating: UInt8(ascii: " "), count: indent)
    }

    private mutating func writeEntries(
        of dictionary: JinjaDictionary, indent: Int, allowance: Int, level: Int
    ) throws {
        for (index, entry) in try sorted(dictionary).enumerated() {
            if index > 0 {
                append(",")
                try startLine(indent)
            }
            let key = try line(entry.key)
            append(key)
            append(": ")
            let isLast = index == dictionary.count - 1
            try write(
                entry.value, indent: indent + key.count + 2, allowance: isLast ? allowance : 1, level: level)
        }
    }

    private mutating func write(_ items: [JinjaValue], indent: Int, allowance: Int, level: Int) throws {
        for (index, item) in items.enumerated() {
            if index > 0 {
                append(",")
                try startLine(indent)
            }
            try write(item, indent: indent, allowance: index == items.count - 1 ? allowance : 1, level: level)
        }
    }

    // MARK: - Strings

    /// A long string in pieces, each a literal in a line of its own; in parentheses where nothing else is around them.
    private mutating func write(_ text: JinjaText, indent: Int, allowance: Int, isAlone: Bool) throws {
        let (indent, allowance) = isAlone ? (indent + 1, allowance + 1) : (indent, allowance)
        let room = Self.width - indent
        var literals: [JinjaText] = []
        let lines = text.lines(keepingEnds: true)
        for (number, line) in lines.enumerated() {
            let isLastLine = number == lines.count - 1
            let literal = try interpreter.repr(.text(line))
            if literal.count <= room - (isLastLine ? allowance : 0) {
                literals.append(literal)
                continue
            }
            let words = Self.words(of: line)
            var current = JinjaText.empty
            for (index, word) in words.enumerated() {
                try interpreter.step()
                let isLast = isLastLine && index == words.count - 1
                let candidate = JinjaText(current.bytes + word.bytes)
                if try interpreter.repr(.text(candidate)).count > room - (isLast ? allowance : 0) {
                    if !current.isEmpty { literals.append(try interpreter.repr(.text(current))) }
                    current = word
                } else {
                    current = candidate
                }
            }
            if !current.isEmpty { literals.append(try interpreter.repr(.text(current))) }
        }
        // A text of one piece is written as its last line, which is the same.
        if literals.count == 1 { return append(try interpreter.repr(.text(lines.last ?? .empty))) }
        if isAlone { append("(") }
        for (index, literal) in literals.enumerated() {
            if index > 0 { try startLine(indent) }
            append(literal)
        }
        if isAlone { append(")") }
    }

    /// Words with the white space after them; white space at the start is a word of its own.
    private static func words(of line: JinjaText) -> [JinjaText] {
        var words: [[Unicode.Scalar]] = []
        var wasSpace = true
        for scalar in line.scalars {
            let isSpace = PythonCharacter.isSpace(scalar)
            if words.isEmpty || (wasSpace && !isSpace) { words.append([]) }
            words[words.count - 1].append(scalar)
            wasSpace = isSpace
        }
        return words.map { JinjaText(scalars: $0) }
    }

    // MARK: - One line

    /// `repr(value)` with sorted keys.
    private func line(_ value: JinjaValue) throws -> JinjaText {
        var bytes: [UInt8] = []
        try writeLine(value, into: &bytes)
        return JinjaText(bytes)
    }

    private func writeLine(_ value: JinjaValue, into bytes: inout [UInt8]) throws {
        try interpreter.step()
        try interpreter.guardStack()
        func write(_ items: [JinjaValue], _ opening: String, _ closing: String) throws {
            bytes += opening.utf8
            for (index, item) in items.enumerated() {
                if index > 0 { bytes += ", ".utf8 }
                try writeLine(item, into: &bytes)
            }
            bytes += closing.utf8
        }
        switch value {
        case .list(let list): try write(list.items, "[", "]")
        case .tuple(let list): try write(list.items, "(", list.items.count == 1 ? ",)" : ")")
        case .dictionary(let dictionary):
            bytes += "{".utf8
            for (index, entry) in try sorted(dictionary).enumerated() {
                if index > 0 { bytes += ", ".utf8 }
                try writeLine(entry.key, into: &bytes)
                bytes += ": ".utf8
                try writeLine(entry.value, into: &bytes)
            }
            bytes += "}".utf8
        default:
            let text = try interpreter.repr(value)
            try interpreter.charge(bytes: text.bytes.count)
            bytes += text.bytes
        }
    }

    /// The entries by their keys; keys that Python cannot compare are ordered by the names of their types.
    private func sorted(_ dictionary: JinjaDictionary) throws -> [(key: JinjaValue, value: JinjaValue)] {
        try dictionary.entries.sorted { left, right in
            do {
                return try interpreter.isOrdered(left.key, right.key, orEqual: false)
            } catch let error as JinjaError where error.kind == .value {
                return left.key.typeName < right.key.typeName
            }
        }
    }
}

extension JinjaFilters {
    static let pprint: Function = plain("pprint") { interpreter, value in
        var printer = JinjaPrettyPrinter(interpreter)
        return .text(try printer.text(of: value))
    }
}
