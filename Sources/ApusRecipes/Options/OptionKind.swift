/// What values an option takes.
package enum OptionKind: Sendable, Equatable {
    case text
    /// A text in which `\n` stands for a line break.
    case escapedText
    /// Such a text, or the path of a `.txt` file that holds it.
    case prompt
    case integer(ClosedRange<Int>)
    case number(NumberRange)
    case boolean
    /// One of the named words. `later` are words that ms-swift also accepts and Apus does not yet.
    case choice([String], later: [String] = [])
    /// Several of the named words.
    case choices([String], later: [String] = [])
    /// A word of the first list, of the second, or several of the second behind one of the first, with `+` between.
    case chain([String], [String])
    case list
    case integers
    case numbers(NumberRange)
    /// A JSON object of strings, or the path of a file that holds one.
    case mapping
    /// A JSON text, or the path of a file that holds one; kept as text.
    case json

    /// Whether the value is one text.
    var isText: Bool {
        switch self {
        case .text, .escapedText, .prompt: true
        default: false
        }
    }

    /// Whether several words may follow the option.
    package var isList: Bool {
        switch self {
        case .list, .integers, .numbers, .choices: true
        default: false
        }
    }

    /// The word that stands for the value in help, such as `INT`.
    package var placeholder: String {
        switch self {
        case .text, .escapedText, .prompt: "TEXT"
        case .integer: "INT"
        case .number: "NUMBER"
        case .boolean: "BOOL"
        case .choice(let words, _): words.joined(separator: "|")
        case .choices(let words, _): "\(words.joined(separator: "|")) …"
        case .list: "TEXT …"
        case .chain(let first, _): "\(first.joined(separator: "|"))[+…]"
        case .integers: "INT …"
        case .numbers: "NUMBER …"
        case .mapping, .json: "JSON"
        }
    }
}

extension OptionKind {
    /// Counts beyond this are slips, and products of two counts still fit into an `Int`.
    static let largestCount = 2_147_483_647

    static let integer = OptionKind.integer(Int.min...Int.max)

    /// One of the raw values of an enumeration, in its order.
    ///
    /// - Parameter later: Words of ms-swift for which there may be no value yet.
    static func words<Choice: OptionChoice>(of _: Choice.Type, later: [String] = []) -> OptionKind {
        let words = Choice.allCases.map(\.rawValue)
        return .choice(words, later: later.filter { !words.contains($0) })
    }

    static func integer(from lower: Int) -> OptionKind {
        .integer(lower...largestCount)
    }
}

/// An interval of finite numbers.
package struct NumberRange: Sendable, Equatable, CustomStringConvertible {
    private let lower: Double
    private let upper: Double
    private let includesLower: Bool
    private let includesUpper: Bool

    static let any = NumberRange(
        lower: -.greatestFiniteMagnitude, upper: .greatestFiniteMagnitude, includesLower: true, includesUpper: true)

    /// Steps between two events, or below one a share of all steps.
    static let interval = NumberRange.above(0, upTo: Double(OptionKind.largestCount))

    static func above(_ lower: Double) -> NumberRange {
        NumberRange(lower: lower, upper: .greatestFiniteMagnitude, includesLower: false, includesUpper: true)
    }

    static func from(_ lower: Double, upTo upper: Double = .greatestFiniteMagnitude) -> NumberRange {
        NumberRange(lower: lower, upper: upper, includesLower: true, includesUpper: true)
    }

    static func from(_ lower: Double, below upper: Double) -> NumberRange {
        NumberRange(lower: lower, upper: upper, includesLower: true, includesUpper: false)
    }

    static func above(_ lower: Double, upTo upper: Double) -> NumberRange {
        NumberRange(lower: lower, upper: upper, includesLower: false, includesUpper: true)
    }

    func contains(_ value: Double) -> Bool {
        value.isFinite && (includesLower ? value >= lower : value > lower)
            && (includesUpper ? value <= upper : value < upper)
    }

    package var description: String {
        var bounds: [String] = []
        if lower > -.greatestFiniteMagnitude {
            bounds.append("\(includesLower ? "at least" : "more than") \(readable(lower))")
        }
        if upper < .greatestFiniteMagnitude {
            bounds.append("\(includesUpper ? "at most" : "less than") \(readable(upper))")
        }
        return bounds.isEmpty ? "a finite number" : "a number of \(bounds.joined(separator: " and "))"
    }
}

/// A number as a person would write it: `5`, not `5.0`.
func readable(_ number: Double) -> String {
    Int(exactly: number).map(String.init) ?? "\(number)"
}
