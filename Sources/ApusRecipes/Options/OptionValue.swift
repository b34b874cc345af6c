/// The value of an option once its words have been read as the kind the option has.
package enum OptionValue: Sendable, Equatable {
    case text(String)
    case integer(Int)
    case number(Double)
    case boolean(Bool)
    case list([String])
    case integers([Int])
    case numbers([Double])
    case mapping([String: String])
}

/// A type that a field of a settings struct may have.
package protocol OptionConvertible: Sendable {
    /// Nil when the value is of another kind.
    init?(_ value: OptionValue)
    /// Nil when nothing is set.
    var optionValue: OptionValue? { get }
}

extension String: OptionConvertible {
    package init?(_ value: OptionValue) {
        guard case .text(let text) = value else { return nil }
        self = text
    }
    package var optionValue: OptionValue? { .text(self) }
}

extension Int: OptionConvertible {
    package init?(_ value: OptionValue) {
        guard case .integer(let integer) = value else { return nil }
        self = integer
    }
    package var optionValue: OptionValue? { .integer(self) }
}

extension Double: OptionConvertible {
    package init?(_ value: OptionValue) {
        guard case .number(let number) = value else { return nil }
        self = number
    }
    package var optionValue: OptionValue? { .number(self) }
}

extension Bool: OptionConvertible {
    package init?(_ value: OptionValue) {
        guard case .boolean(let boolean) = value else { return nil }
        self = boolean
    }
    package var optionValue: OptionValue? { .boolean(self) }
}

extension [String: String]: OptionConvertible {
    package init?(_ value: OptionValue) {
        guard case .mapping(let mapping) = value else { return nil }
        self = mapping
    }
    package var optionValue: OptionValue? { isEmpty ? nil : .mapping(self) }
}

extension Array: OptionConvertible where Element: OptionListElement {
    package init?(_ value: OptionValue) {
        guard let elements = Element.elements(of: value) else { return nil }
        self = elements
    }
    package var optionValue: OptionValue? { Element.optionValue(of: self) }
}

extension Optional: OptionConvertible where Wrapped: OptionConvertible {
    package init?(_ value: OptionValue) {
        guard let wrapped = Wrapped(value) else { return nil }
        self = .some(wrapped)
    }
    package var optionValue: OptionValue? { flatMap(\.optionValue) }
}

/// A type that a list option may hold.
package protocol OptionListElement: Sendable {
    static func elements(of value: OptionValue) -> [Self]?
    static func optionValue(of elements: [Self]) -> OptionValue
}

extension String: OptionListElement {
    package static func elements(of value: OptionValue) -> [String]? {
        guard case .list(let list) = value else { return nil }
        return list
    }
    package static func optionValue(of elements: [String]) -> OptionValue { .list(elements) }
}

extension Int: OptionListElement {
    package static func elements(of value: OptionValue) -> [Int]? {
        guard case .integers(let integers) = value else { return nil }
        return integers
    }
    package static func optionValue(of elements: [Int]) -> OptionValue { .integers(elements) }
}

extension Double: OptionListElement {
    package static func elements(of value: OptionValue) -> [Double]? {
        guard case .numbers(let numbers) = value else { return nil }
        return numbers
    }
    package static func optionValue(of elements: [Double]) -> OptionValue { .numbers(elements) }
}

/// An enumeration whose raw values are the words that ms-swift accepts.
package protocol OptionChoice: OptionConvertible, OptionListElement, CaseIterable, RawRepresentable<String> {}

extension OptionChoice {
    package init?(_ value: OptionValue) {
        guard case .text(let text) = value else { return nil }
        self.init(rawValue: text)
    }

    package var optionValue: OptionValue? { .text(rawValue) }

    package static func elements(of value: OptionValue) -> [Self]? {
        guard case .list(let list) = value else { return nil }
        let elements = list.compactMap(Self.init(rawValue:))
        return elements.count == list.count ? elements : nil
    }

    package static func optionValue(of elements: [Self]) -> OptionValue { .list(elements.map(\.rawValue)) }
}
