import CTorch

/// What operations take: those of libtorch, of this library and of the backward pass, each without those inside it.
package struct Profile: Sendable {
    /// All calls of one operation, of a product those of one shape.
    package struct Entry: Sendable {
        /// libtorch's name, or the name of a function of `CTorch`.
        package let name: String
        /// Of a product, such as `[512, 896] Float × [896, 4864] Float`; else empty.
        package let shapes: String
        package let calls: Int
        package let seconds: Double
        /// Floating-point operations of a call; 0 of what is no product.
        package let operations: Double
        /// The shortest time of a call of this product alone in a loop; 0 where it was not measured.
        package let alone: Double
    }

    package let entries: [Entry]

    /// Times what `body` does.
    ///
    /// - Parameter measuresProducts: Whether each product is then called alone, for its best rate.
    package static func of(measuresProducts: Bool = false, _ body: () throws -> Void) throws -> Profile {
        if ct_profile_start() != 0 { throw TorchError.last() }
        let outcome = Result { try body() }
        final class Collector { var entries: [Entry] = [] }
        let collector = Collector()
        let code = ct_profile_end(
            measuresProducts,
            { context, name, shapes, calls, seconds, operations, alone in
                guard let context, let name, let shapes else { return }
                Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue().entries.append(
                    Entry(
                        name: String(cString: name), shapes: String(cString: shapes), calls: Int(calls),
                        seconds: seconds,
                        operations: operations, alone: alone))
            }, Unmanaged.passUnretained(collector).toOpaque())
        try outcome.get()
        if code != 0 { throw TorchError.last() }
        return Profile(entries: collector.entries)
    }
}
