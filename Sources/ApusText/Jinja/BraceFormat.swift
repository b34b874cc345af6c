/// `str.format`.
enum BraceFormat {
    static func formatted(
        _ format: JinjaText, _ arguments: JinjaArguments, _ interpreter: JinjaInterpreter
    ) throws -> JinjaValue {
        var formatter = Formatter(arguments: arguments, interpreter: interpreter, isMarkup: format.isMarkup)
        let text = try formatter.format(Array(format.scalars), nesting: 2)
        return .text(JinjaText(text.bytes, isMarkup: format.isMarkup))
    }

    private struct Formatter {
        let arguments: JinjaArguments
        let interpreter: JinjaInterpreter
        let isMarkup: Bool
        private var nextIndex = 0
        private var numbersFields: Bool?

        init(arguments: JinjaArguments, interpreter: JinjaInterpreter, isMarkup: Bool) {
            self.arguments = arguments
            self.interpreter = interpreter
            self.isMarkup = isMarkup
        }

        mutating func format(_ scalars: [Unicode.Scalar], nesting: Int) throws -> JinjaText {
            guard nesting > 0 else { throw JinjaError.value("Max string recursion exceeded") }
            try interpreter.charge(bytes: scalars.count, times: 8)
            var result: [UInt8] = []
            var index = 0
            while index < scalars.count {
                let scalar = scalars[index]
                index += 1
                if scalar == "{" || scalar == "}", scalars[safe: index] == scalar {
                    result += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
                    index += 1
                } else if scalar == "{" {
                    let end = try endOfField(scalars, from: index)
                    let text = try field(Array(scalars[index..<end]), nesting: nesting)
                    try interpreter.charge(bytes: text.bytes.count)
                    result += text.bytes
                    index = end + 1
                } else if scalar == "}" {
                    throw JinjaError.value("Single '}' encountered in format string")
                } else {
                    result += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
                }
            }
            return JinjaText(result)
        }

        private func endOfField(_ scalars: [Unicode.Scalar], from start: Int) throws -> Int {
            var depth = 1
            for index in start..<scalars.count {
                if scalars[index] == "{" { depth += 1 }
                if scalars[index] == "}" { depth -= 1 }
                if depth == 0 { return index }
            }
            throw JinjaError.value("expected '}' before end of string")
        }

        /// One field: `name!conversion:specification`.
        private mutating func field(_ scalars: [Unicode.Scalar], nesting: Int) throws -> JinjaText {
            var nameEnd = 0
            var bracketDepth = 0
            while nameEnd < scalars.count {
                let scalar = scalars[nameEnd]
                if scalar == "[" { bracketDepth += 1 }
                if scalar == "]" { bracketDepth -= 1 }
                if bracketDepth <= 0, scalar == "!" || scalar == ":" { break }
                nameEnd += 1
            }
            var value = try lookup(Array(scalars[..<nameEnd]))
            var rest = scalars[nameEnd...]
            if rest.first == "!" {
                rest = rest.dropFirst()
                switch rest.popFirst() {
                case "s": value = .text(try interpreter.string(value))
                case "r", "a": value = .text(try interpreter.repr(value))
                default: throw JinjaError.value("unknown conversion in a format string")
                }
                guard rest.isEmpty || rest.first == ":" else {
                    throw JinjaError.value("expected ':' after conversion specifier")
                }
            }
            let specification = rest.isEmpty ? .empty : try format(Array(rest.dropFirst()), nesting: nesting - 1)
            let text = try FormatSpecification(specification).apply(value, interpreter)
            let isSafe = value.text?.isMarkup ?? false
            return isMarkup && !isSafe ? try interpreter.escaped(text) : text
        }

        /// The value that a field names: `0`, `name`, `name.attribute[item]`, or nothing for the next one.
        private mutating func lookup(_ scalars: [Unicode.Scalar]) throws -> JinjaValue {
            let firstEnd = scalars.firstIndex { $0 == "." || $0 == "[" } ?? scalars.count
            var value = try argument(String(String.UnicodeScalarView(scalars[..<firstEnd])))
            var rest = scalars[firstEnd...]
            while let separator = rest.popFirst() {
                if separator == "." {
                    let name = rest.prefix { $0 != "." && $0 != "[" }
                    rest = rest.dropFirst(name.count)
                    let key = JinjaText(scalars: name)
                    value = try interpreter.attribute(of: value, name: key.string, key: key)
                } else {
                    let key = rest.prefix { $0 != "]" }
                    rest = rest.dropFirst(key.count + 1)
                    let text = JinjaText(scalars: key)
                    value = try interpreter.item(of: value, key: Int(text.string).map { .int($0) } ?? .text(text))
                }
            }
            return value
        }

        private mutating func argument(_ name: String) throws -> JinjaValue {
            if name.isEmpty || name.utf8.allSatisfy({ $0 &- 0x30 < 10 }) {
                let isNumbered = !name.isEmpty
                guard numbersFields ?? isNumbered == isNumbered else {
                    throw JinjaError.value("cannot switch between automatic and manual field numbering")
                }
                numbersFields = isNumbered
                let index = name.isEmpty ? nextIndex : Int(name) ?? Int.max
                if name.isEmpty { nextIndex += 1 }
                guard let value = arguments.positional[safe: index] else {
                    throw JinjaError.value("Replacement index \(index) out of range for positional args tuple")
                }
                return value
            }
            try interpreter.step(arguments.named.count)
            guard let value = arguments.named.first(where: { $0.name == name })?.value else {
                throw JinjaError.value("format: no argument '\(name)'")
            }
            return value
        }
    }
}
