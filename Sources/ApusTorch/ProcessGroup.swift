/// The processes that train one model together, each on its own part of a step.
package protocol ProcessGroup {
    var count: Int { get }

    /// Replaces each tensor by its sum over all processes.
    func sum(_ tensors: [Tensor]) throws

    /// The sums of numbers over all processes.
    func sum(_ numbers: [Double]) throws -> [Double]
}

/// One process alone.
package struct SingleProcess: ProcessGroup {
    package init() {}

    package var count: Int { 1 }
    package func sum(_ tensors: [Tensor]) {}
    package func sum(_ numbers: [Double]) -> [Double] { numbers }
}
