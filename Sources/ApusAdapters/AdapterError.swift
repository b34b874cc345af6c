/// Why an adapter cannot be attached, read or merged: what, where, and what to try.
public struct AdapterError: Error, CustomStringConvertible, Sendable {
    public let description: String

    package init(_ description: String) { self.description = description }
}
