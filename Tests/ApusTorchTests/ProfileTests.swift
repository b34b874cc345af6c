import Testing

@testable import ApusTorch

/// Where time goes.
@Suite(.serialized) struct ProfileTests {
    @Test func operationsAreTold() throws {
        let (x, w) = (try Tensor.full([64, 32], 1), try Tensor.full([128, 32], 0.5))
        try x.setRequiresGradient(true)
        let profile = try Profile.of(measuresProducts: true) {
            let y = try linear(x, w)
            try y.sum().backward()
        }
        #expect(profile.entries.contains { $0.name == "ct_linear" && $0.calls == 1 })
        #expect(profile.entries.contains { $0.name == "ct_backward" && $0.calls == 1 })
        let products = profile.entries.filter { $0.operations > 0 }
        // Forward, and the gradient of the input.
        let operations = products.reduce(0.0) { $0 + $1.operations * Double($1.calls) }
        let wanted: Double = 2 * 2 * 64 * 32 * 128
        #expect(operations == wanted, "\(products)")
        #expect(products.allSatisfy { $0.alone > 0 && $0.seconds > 0 && $0.shapes.contains("×") })
        // What is inside an operation is not counted twice.
        #expect(profile.entries.allSatisfy { $0.seconds >= 0 })
    }

    /// After it nothing is timed, and what fails inside is thrown.
    @Test func itEnds() throws {
        struct Failure: Error {}
        #expect(throws: Failure.self) { _ = try Profile.of { throw Failure() } }
        #expect(try Profile.of {}.entries.isEmpty)
    }
}
