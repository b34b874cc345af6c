/// Why a chat template cannot be parsed or rendered.
public struct JinjaError: Error, CustomStringConvertible, Sendable, Equatable {
    /// The kinds of failure that a caller may want to tell apart.
    public enum Kind: Sendable, Equatable {
        /// The source is not a template.
        case syntax
        /// The template uses a part of Jinja that Apus refuses or does not have.
        case unsupported
        /// An undefined value was used for something other than printing or testing.
        case undefined
        /// A value has the wrong type or is out of range.
        case value
        /// The template itself called `raise_exception`.
        case raised
        /// A limit of `JinjaLimits` was reached.
        case limit
    }

    public let kind: Kind
    public let message: String
    /// Line of the template, from 1.
    public internal(set) var line: Int?

    init(_ kind: Kind, _ message: String, line: Int? = nil) {
        self.kind = kind
        self.message = message
        self.line = line
    }

    public var description: String {
        let place = line.map { "chat template, line \($0)" } ?? "chat template"
        return "\(place): \(message)"
    }

    static func value(_ message: String) -> JinjaError { JinjaError(.value, message) }
    static func limit(_ message: String) -> JinjaError { JinjaError(.limit, message) }
    static func unsupported(_ message: String) -> JinjaError { JinjaError(.unsupported, message) }
}
