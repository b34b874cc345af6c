/// Python's `format % values`.
enum PercentFormat {
    static func formatted(
        _ format: JinjaText, _ right: JinjaValue, _ interpreter: JinjaInterpreter
    ) throws -> JinjaText {
        var values = Values(right)
        var result: [UInt8] = []
        let scalars = Array(format.scalars)
        try interpreter.charge(bytes: format.bytes.count, times: 8)
        var index = 0
        while index < scalars.count {
            guard scalars[index] == "%" else {
                result += UTF8.encode(scalars[index]) ?? UTF8.encodedReplacementCharacter
                index += 1
                continue
            }
            index += 1
            let field = try Field(scalars, &index, &values)
            let text = try field.text(&values, interpreter, isMarkup: format.isMarkup)
            try interpreter.charge(bytes: text.bytes.count)
            result += text.bytes
        }
        guard values.areUsed else {
            throw JinjaError.value("not all arguments converted during string formatting")
        }
        return JinjaText(result, isMarkup: format.isMarkup)
    }

    /// The right side of `%`: a tuple's items one by one, or one value, or a mapping by name.
    private struct Values {
        private var rest: ArraySlice<JinjaValue>
        private var mapping: JinjaDictionary?
        private let mayBeLeftOver: Bool

        init(_ value: JinjaValue) {
            if case .tuple(let list) = value { rest = list.items[...] } else { rest = [value] }
            if case .dictionary(let dictionary) = value { mapping = dictionary }
            // Python only asks whether the right side has `__getitem__`.
            switch value {
            case .dictionary, .list, .undefined: mayBeLeftOver = true
            case .object(let object): mayBeLeftOver = object.isSequence
            default: mayBeLeftOver = false
            }
        }

        var areUsed: Bool { rest.isEmpty || mayBeLeftOver }

        mutating func next() throws -> JinjaValue {
            guard let value = rest.popFirst() else {
                throw JinjaError.value("not enough arguments for format string")
            }
            return value
        }

        func named(_ name: JinjaText) throws -> JinjaValue {
            guard let mapping else { throw JinjaError.value("format requires a mapping") }
            guard let value = mapping[name] else { throw JinjaError.value("no value named '\(name.string)'") }
            return value
        }
    }

    private struct Field {
        private var name: JinjaText?
        private var flags: Set<Unicode.Scalar> = []
        private var width = 0
        private var precision: Int?
        private var type: Unicode.Scalar = "%"

        init(_ scalars: [Unicode.Scalar], _ index: inout Int, _ values: inout Values) throws {
            func next() throws -> Unicode.Scalar {
                guard let scalar = scalars[safe: index] else { throw JinjaError.value("incomplete format") }
                index += 1
                return scalar
            }
            var scalar = try next()
            if scalar == "(" {
                let start = index
                var depth = 1
                while depth > 0 {
                    scalar = try next()
                    if scalar == "(" { depth += 1 }
                    if scalar == ")" { depth -= 1 }
                }
                name = JinjaText(scalars: scalars[start..<index - 1])
                scalar = try next()
            }
            while "-+ #0".unicodeScalars.contains(scalar) {
                flags.insert(scalar)
                scalar = try next()
            }
            func number() throws -> Int {
                if scalar == "*" {
                    let value = try JinjaValue?.some(values.next()).integer("* in a format", default: 0)
                    scalar = try next()
                    return value
                }
                var value = 0
                while ("0"..."9").contains(scalar) {
                    value = value * 10 + Int(scalar.value - 0x30)
                    if value > 1 << 40 { throw JinjaError.value("width too big") }
                    scalar = try next()
                }
                return value
            }
            width = try number()
            if width < 0 {
                flags.insert("-")
                width = width == .min ? .max : -width
            }
            if scalar == "." {
                scalar = try next()
                precision = max(try number(), 0)
            }
            while "hlL".unicodeScalars.contains(scalar) { scalar = try next() }
            type = scalar
        }

        func text(_ values: inout Values, _ interpreter: JinjaInterpreter, isMarkup: Bool) throws -> JinjaText {
            if type == "%" { return "%" }
            let value = try name.map { try values.named($0) } ?? values.next()
            switch type {
            case "s", "r", "a":
                var text = type == "s" ? try interpreter.string(value) : try interpreter.repr(value)
                if isMarkup, !(value.text?.isMarkup ?? false) { text = try interpreter.escaped(text) }
                try interpreter.charge(bytes: text.bytes.count)
                if let precision { text = try text.sliced(start: 0, stop: precision, step: nil) }
                return try padded("", text, isNumber: false, interpreter)
            case "d", "i", "u":
                guard let real = value.number else {
                    throw JinjaError.value("%d format: a real number is required, not '\(value.typeName)'")
                }
                guard let number = value.integer ?? Int(exactly: real.rounded(.towardZero)) else {
                    throw JinjaError.value("%d format: the integer does not fit into 64 bits")
                }
                return try integer(number, "d", interpreter)
            case "x", "X", "o":
                guard let number = value.integer else {
                    throw JinjaError.value("%\(type) format: an integer is required, not '\(value.typeName)'")
                }
                return try integer(number, Character(type), interpreter)
            case "e", "E", "f", "F", "g", "G":
                guard let number = value.number else {
                    throw JinjaError.value("must be real number, not '\(value.typeName)'")
                }
                let digits = try NumberFormat.float(
                    number.magnitude, type: Character(type), precision: precision ?? 6,
                    keepsPoint: flags.contains("#"))
                return try padded(
                    sign(number.sign == .minus && !number.isNaN), JinjaText(digits), isNumber: true, interpreter)
            case "c":
                if let code = value.integer {
                    guard let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init) else {
                        throw JinjaError.value("%c arg not in range(0x110000)")
                    }
                    return try padded("", JinjaText(scalars: [scalar]), isNumber: false, interpreter)
                }
                guard let text = value.text, text.count == 1 else {
                    throw JinjaError.value("%c requires int or char")
                }
                return try padded("", text, isNumber: false, interpreter)
            default: throw JinjaError.value("unsupported format character '\(type)'")
            }
        }

        private func integer(
            _ number: Int, _ type: Character, _ interpreter: JinjaInterpreter
        ) throws -> JinjaText {
            var digits = NumberFormat.integer(number.magnitude, type: type) ?? ""
            if let precision {
                guard precision <= NumberFormat.maximumPrecision else { throw JinjaError.limit("precision too large") }
                digits = String(repeating: "0", count: max(precision - digits.count, 0)) + digits
            }
            let prefix = flags.contains("#") && type != "d" ? "0\(type)" : ""
            return try padded(sign(number < 0) + prefix, JinjaText(digits), isNumber: true, interpreter)
        }

        private func sign(_ isNegative: Bool) -> String {
            isNegative ? "-" : flags.contains("+") ? "+" : flags.contains(" ") ? " " : ""
        }

        private func padded(
            _ prefix: String, _ body: JinjaText, isNumber: Bool, _ interpreter: JinjaInterpreter
        ) throws -> JinjaText {
            let prefix = Array(prefix.utf8)
            let gap = max(width - body.count - prefix.count, 0)
            try interpreter.charge(bytes: gap)
            if flags.contains("-") { return JinjaText(prefix + body.bytes + spaces(gap)) }
            if flags.contains("0"), isNumber {
                return JinjaText(prefix + [UInt8](repeating: UInt8(ascii: "0"), count: gap) + body.bytes)
            }
            return JinjaText(spaces(gap) + prefix + body.bytes)
        }

        private func spaces(_ count: Int) -> [UInt8] { [UInt8](repeating: UInt8(ascii: " "), count: count) }
    }
}
