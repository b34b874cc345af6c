/// Why an adapter cannot be attached, read or merged: what, where, and what to try.
public struct AdapterError: Error, CustomStringConvertible, Sendable {
    public let description: String

    package init(_ description: String) { self.description = description }

    static func unmergeable(_ method: String) -> AdapterError {
        AdapterError(
            "adapters of the method \(method) cannot be merged: no weight of the model can do what they do. Give the adapter "
                + "with --adapters")
    }
}
