import Foundation

/// Arithmetic, comparison and membership, with Python's rules.
extension JinjaInterpreter {
    func arithmetic(
        _ operation: JinjaArithmetic.Operator, _ left: JinjaValue, _ right: JinjaValue
    ) throws -> JinjaValue {
        for case .undefined(let undefined) in [left, right] {
            // A string's % formats an undefined value as nothing.
            if case .text = left, operation == .modulo { break }
            throw undefined.error
        }
        if let a = left.integer, let b = right.integer { return try integerArithmetic(operation, a, b) }
        if let a = left.number, let b = right.number {
            if operation != .divide {
                for case .digits in [left, right] { throw JinjaError.value("the integer does not fit into 64 bits") }
            }
            return try floatArithmetic(operation, a, b)
        }
        switch (operation, left, right) {
        case (.add, .text(let a), .text(let b)): return .text(try concatenation(a, b))
        case (.add, .list(let a), .list(let b)):
            try charge(bytes: MemoryLayout<JinjaValue>.stride, times: a.items.count + b.items.count)
            return try list(a.items + b.items)
        case (.add, .tuple(let a), .tuple(let b)):
            try charge(bytes: MemoryLayout<JinjaValue>.stride, times: a.items.count + b.items.count)
            return try tuple(a.items + b.items)
        case (.multiply, .text(let text), _):
            if let count = right.integer { return .text(try repeated(text, count)) }
        case (.multiply, _, .text(let text)):
            if let count = left.integer { return .text(try repeated(text, count)) }
        case (.multiply, .list(let items), _), (.multiply, .tuple(let items), _):
            if let count = right.integer { return try repeated(items, left, count) }
        case (.multiply, _, .list(let items)), (.multiply, _, .tuple(let items)):
            if let count = left.integer { return try repeated(items, right, count) }
        case (.modulo, .text(let format), _):
            return .text(try PercentFormat.formatted(format, right, self))
        case (.subtract, .object(is JinjaDictionaryView), _), (.subtract, _, .object(is JinjaDictionaryView)):
            throw JinjaError.unsupported("Python's sets are not supported in chat templates")
        default: break
        }
        throw JinjaError.value(
            "unsupported operand types for \(operation.symbol): '\(left.typeName)' and '\(right.typeName)'")
    }

    private func concatenation(_ left: JinjaText, _ right: JinjaText) throws -> JinjaText {
        let isMarkup = left.isMarkup || right.isMarkup
        let (a, b) = isMarkup ? (try escaped(left), try escaped(right)) : (left, right)
        try charge(bytes: a.bytes.count + b.bytes.count)
        return JinjaText(a.bytes + b.bytes, isASCII: a.isASCII && b.isASCII, isMarkup: isMarkup)
    }

    private func repeated(_ text: JinjaText, _ count: Int) throws -> JinjaText {
        try charge(bytes: text.bytes.count, times: count)
        return text.isEmpty ? text : JinjaText(text.bytes.repeated(count), isMarkup: text.isMarkup)
    }

    private func repeated(_ items: JinjaList, _ value: JinjaValue, _ count: Int) throws -> JinjaValue {
        let (size, overflow) = items.items.count.multipliedReportingOverflow(by: max(count, 0))
        try charge(bytes: MemoryLayout<JinjaValue>.stride, times: overflow ? Int.max : size)
        let repeated = items.items.isEmpty ? [] : Array(repeatElement(items.items, count: max(count, 0)).joined())
        if case .list = value { return try list(repeated) }
        return try tuple(repeated)
    }

    // MARK: - Numbers

    private func integerArithmetic(_ operation: JinjaArithmetic.Operator, _ a: Int, _ b: Int) throws -> JinjaValue {
        func exact(_ result: (partialValue: Int, overflow: Bool)) throws -> JinjaValue {
            if result.overflow { throw overflow(operation) }
            return .int(result.partialValue)
        }
        switch operation {
        case .add: return try exact(a.addingReportingOverflow(b))
        case .subtract: return try exact(a.subtractingReportingOverflow(b))
        case .multiply: return try exact(a.multipliedReportingOverflow(by: b))
        case .divide:
            guard b != 0 else { throw JinjaError.value("division by zero") }
            return .double(Double(a) / Double(b))
        case .floorDivide, .modulo:
            guard b != 0 else { throw JinjaError.value("integer division or modulo by zero") }
            if b == -1 { return operation == .modulo ? .int(0) : try exact((0).subtractingReportingOverflow(a)) }
            let (quotient, remainder) = a.quotientAndRemainder(dividingBy: b)
            // Python rounds towards minus infinity, Swift towards zero.
            let isRounded = remainder != 0 && (remainder < 0) != (b < 0)
            if operation == .floorDivide { return .int(isRounded ? quotient - 1 : quotient) }
            return .int(isRounded ? remainder + b : remainder)
        case .power:
            if b < 0 {
                guard a != 0 else { throw JinjaError.value("0.0 cannot be raised to a negative power") }
                return .double(pow(Double(a), Double(b)))
            }
            return try .int(power(a, b))
        }
    }

    private func power(_ base: Int, _ exponent: Int) throws -> Int {
        if base == 0 || base == 1 || exponent == 0 { return exponent == 0 ? 1 : base }
        if base == -1 { return exponent.isMultiple(of: 2) ? 1 : -1 }
        // Any other base overflows by the 63rd power.
        guard exponent < 64 else { throw overflow(.power) }
        var result = 1
        for _ in 0..<exponent {
            let (product, isTooLarge) = result.multipliedReportingOverflow(by: base)
            if isTooLarge { throw overflow(.power) }
            result = product
        }
        return result
    }

    private func floatArithmetic(
        _ operation: JinjaArithmetic.Operator, _ a: Double, _ b: Double
    ) throws -> JinjaValue {
        switch operation {
        case .add: return .double(a + b)
        case .subtract: return .double(a - b)
        case .multiply: return .double(a * b)
        case .divide:
            guard b != 0 else { throw JinjaError.value("float division by zero") }
            return .double(a / b)
        case .floorDivide, .modulo:
            guard b != 0 else { throw JinjaError.value("float floor division or modulo by zero") }
            var remainder = fmod(a, b)
            var quotient = (a - remainder) / b
            if remainder != 0, (b < 0) != (remainder < 0) {
                remainder += b
                quotient -= 1
            }
            if operation == .modulo {
                return .double(remainder == 0 ? (b < 0 ? -0.0 : 0.0) : remainder)
            }
            guard quotient != 0 else { return .double((a / b).sign == .minus ? -0.0 : 0.0) }
            let floor = quotient.rounded(.down)
            return .double(quotient - floor > 0.5 ? floor + 1 : floor)
        case .power:
            if a == 0, b < 0 { throw JinjaError.value("0.0 cannot be raised to a negative power") }
            let result = pow(a, b)
            if result.isNaN, !a.isNaN, !b.isNaN { throw JinjaError.value("complex numbers are not supported") }
            if result.isInfinite, a.isFinite, b.isFinite { throw overflow(.power) }
            return .double(result)
        }
    }

    private func overflow(_ operation: JinjaArithmetic.Operator) -> JinjaError {
        JinjaError.value("the result of \(operation.symbol) does not fit into 64 bits")
    }

    func signed(_ isNegated: Bool, _ value: JinjaValue) throws -> JinjaValue {
        if case .undefined(let undefined) = value { throw undefined.error }
        if let integer = value.integer {
            if !isNegated { return .int(integer) }
            return try arithmetic(.subtract, .int(0), .int(integer))
        }
        guard let number = value.number else {
            throw JinjaError.value("bad operand type for unary operator: '\(value.typeName)'")
        }
        return .double(isNegated ? -number : number)
    }

    // MARK: - Comparison

    func compare(_ operation: JinjaComparison.Operator, _ left: JinjaValue, _ right: JinjaValue) throws -> Bool {
        switch operation {
        case .equal: try areEqual(left, right)
        case .notEqual: try !areEqual(left, right)
        case .less: try isOrdered(left, right, orEqual: false)
        case .lessOrEqual: try isOrdered(left, right, orEqual: true)
        case .greater: try isOrdered(right, left, orEqual: false)
        case .greaterOrEqual: try isOrdered(right, left, orEqual: true)
        case .isIn: try contains(right, left)
        case .isNotIn: try !contains(right, left)
        }
    }

    func areEqual(_ left: JinjaValue, _ right: JinjaValue) throws -> Bool {
        switch (left, right) {
        case (.text(let a), .text(let b)):
            try charge(bytes: min(a.bytes.count, b.bytes.count))
            return a == b
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            if a === b { return true }
            guard a.items.count == b.items.count else { return false }
            try guardStack()
            for (x, y) in zip(a.items, b.items) {
                try step()
                if try !areEqual(x, y) { return false }
            }
            return true
        case (.dictionary(let a), .dictionary(let b)):
            if a === b { return true }
            guard a.count == b.count else { return false }
            try guardStack()
            for entry in a.entries {
                try step()
                guard let other = b[entry.key], try areEqual(entry.value, other) else { return false }
            }
            return true
        case (.object(let a as JinjaRange), .object(let b as JinjaRange)):
            return try areEqual(list(items(of: .object(a))), list(items(of: .object(b))))
        default: return JinjaKey(left) == JinjaKey(right)
        }
    }

    /// `left < right`, or `<=`.
    func isOrdered(_ left: JinjaValue, _ right: JinjaValue, orEqual: Bool) throws -> Bool {
        for case .undefined(let undefined) in [left, right] { throw undefined.error }
        try step()
        if let a = left.integer, let b = right.integer { return orEqual ? a <= b : a < b }
        if let a = left.number, let b = right.number { return orEqual ? a <= b : a < b }
        switch (left, right) {
        case (.text(let a), .text(let b)):
            try charge(bytes: min(a.bytes.count, b.bytes.count))
            return orEqual ? !(b < a) : a < b
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            try guardStack()
            for (x, y) in zip(a.items, b.items) where try !areEqual(x, y) {
                return try isOrdered(x, y, orEqual: orEqual)
            }
            return orEqual ? a.items.count <= b.items.count : a.items.count < b.items.count
        default:
            throw JinjaError.value("'<' not supported between '\(left.typeName)' and '\(right.typeName)'")
        }
    }

    /// `member in container`.
    func contains(_ container: JinjaValue, _ member: JinjaValue) throws -> Bool {
        switch container {
        case .text(let text):
            let part = try member.requiredText("the left side of 'in' a string")
            try charge(bytes: text.bytes.count, times: 2)
            return text.contains(part)
        case .dictionary(let dictionary):
            guard JinjaKey.isHashable(member) else {
                throw JinjaError.value("unhashable type: '\(member.typeName)'")
            }
            if case .text(let name) = member { try charge(bytes: name.bytes.count) }
            return dictionary[member] != nil
        case .list(let list), .tuple(let list):
            for item in list.items {
                try step()
                if try areEqual(item, member) { return true }
            }
            return false
        default:
            let iterator = try iterator(over: container)
            while let item = try iterator.next() {
                try step()
                if try areEqual(item, member) { return true }
            }
            return false
        }
    }
}

extension JinjaArithmetic.Operator {
    var symbol: String {
        switch self {
        case .add: "+"
        case .subtract: "-"
        case .multiply: "*"
        case .divide: "/"
        case .floorDivide: "//"
        case .modulo: "%"
        case .power: "**"
        }
    }
}
