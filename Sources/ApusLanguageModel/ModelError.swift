/// Why a model cannot be described or loaded: what, where, and what to try.
public struct ModelError: Error, CustomStringConvertible, Sendable {
    public let description: String

    package init(_ description: String) { self.description = description }
}
