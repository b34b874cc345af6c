import ApusJSON
import Foundation

/// The label of a row as its file has it, before anything is known about the task.
package enum RowLabel: Sendable, Equatable {
    /// A number written without a fraction: a class, or a score.
    case integer(Int)
    case number(Double)
    /// A class by its name.
    case name(String)
    case integers([Int])
    case numbers([Double])
    case names([String])
}

extension RowLabel {
    /// Reads the value of a label column; texts that are numbers count as numbers, truth values as 1 and 0.
    ///
    /// - Returns: `nil` for null and blank texts.
    /// - Throws: `RowFault` for a value that cannot be a label.
    init?(_ value: JSONValue) throws {
        switch value {
        case .null: return nil
        case .bool(let isTrue): self = .integer(isTrue ? 1 : 0)
        case .int(let number): self = .integer(number)
        case .double(let number): self = .number(number)
        case .number: self = .number(value.doubleValue ?? .infinity)
        case .string(let text):
            let text = text.trimmedOfInvisibles
            if text.isEmpty { return nil }
            // A table holds lists as text, in JSON or as Python prints them.
            if text.hasPrefix("["), let list = try? LooseJSON.value(text, column: "label"), list.arrayValue != nil {
                guard let label = try RowLabel(list) else { return nil }
                self = label
            } else if let integer = Int(text) {
                self = .integer(integer)
            } else if let number = Self.number(text) {
                self = .number(number)
            } else {
                self = .name(text)
            }
        case .array(let values):
            self = try Self.list(values)
        case .object:
            throw RowFault("the label is an object: \(value.excerpt); give a number, a class name or a list of them")
        }
    }

    private static func list(_ values: [JSONValue]) throws -> RowLabel {
        var (integers, numbers, names): ([Int], [Double], [String]) = ([], [], [])
        for value in values {
            switch try value.arrayValue == nil ? RowLabel(value) : nil {
            case .integer(let integer)?:
                integers.append(integer)
                numbers.append(Double(integer))
            case .number(let number)?: numbers.append(number)
            case .name(let name)?: names.append(name)
            default:
                throw RowFault(
                    "the label is a list with \(value.kind) in it: \(JSONValue.array(values).excerpt); "
                        + "give numbers or class names")
            }
        }
        guard names.isEmpty || numbers.isEmpty else {
            throw RowFault("the label mixes numbers and names: \(JSONValue.array(values).excerpt)")
        }
        if !names.isEmpty { return .names(names) }
        return integers.count == numbers.count ? .integers(integers) : .numbers(numbers)
    }

    /// A decimal number, or the spellings of NaN and infinity; not the hexadecimal ones that `Double` takes.
    private static func number(_ text: String) -> Double? {
        let digits = text.utf8.allSatisfy { (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }
        let bare = text.lowercased().trimmingCharacters(in: CharacterSet(charactersIn: "+-"))
        return digits || ["nan", "inf", "infinity"].contains(bare) ? Double(text) : nil
    }

    /// What may stand between several classes that are written as one text.
    private static let separators: Set<Character> = [",", "，", "、", ";", "；", "|", "｜"]

    /// The parts of a text that may name several classes; nil for other labels and for texts of one part.
    var parts: [String]? {
        guard case .name(let text) = self, text.contains(where: Self.separators.contains) else { return nil }
        let parts = text.split(whereSeparator: Self.separators.contains).map { String($0).trimmedOfInvisibles }
        return parts.filter { !$0.isEmpty }
    }

    /// The label as a list of classes: a text is split at its separators, and one class is a list of one.
    var several: RowLabel {
        switch self {
        case .integer(let value): return .integers([value])
        case .number(let value): return .numbers([value])
        case .name(let name):
            guard let parts else { return .names([name]) }
            let integers = parts.compactMap { Int($0) }
            return integers.count == parts.count ? .integers(integers) : .names(parts)
        case .integers, .numbers, .names: return self
        }
    }

    /// The label as the user would write it, for messages.
    var excerpt: String {
        switch self {
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .name(let name): JSONValue.string(name).excerpt
        case .integers(let values): JSONValue.array(values.map(JSONValue.int)).excerpt
        case .numbers(let values): "[" + values.map { "\($0)" }.joined(separator: ", ").prefix(60) + "]"
        case .names(let names): JSONValue.array(names.map(JSONValue.string)).excerpt
        }
    }
}

extension String {
    /// Without the spaces of any script, and without marks that cannot be seen, at its ends.
    ///
    /// A full-width space behind the name of a class would make another class of it.
    var trimmedOfInvisibles: String {
        func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace
                || ["\u{200B}", "\u{200E}", "\u{200F}", "\u{2060}", "\u{FEFF}"].contains(scalar)
        }
        guard unicodeScalars.first.map(isInvisible) == true || unicodeScalars.last.map(isInvisible) == true else {
            return self
        }
        let rest = unicodeScalars.drop(while: isInvisible)
        let end = rest.lastIndex { !isInvisible($0) }.map { rest.index(after: $0) } ?? rest.startIndex
        return String(rest[..<end])
    }
}
