package import ApusTorch

/// What comes of each of some elements, for all of them together; in halves where there is no memory for that.
///
/// - Parameters:
///   - range: The elements.
///   - onHalving: Sees what was too much for how many of them.
///   - work: What comes of some of them, in order.
package func inHalves<Result>(
    _ range: Range<Int>, onHalving: (TorchError, Int) -> Void = { _, _ in },
    _ work: (Range<Int>) throws -> [Result]
) throws -> [Result] {
    do {
        return try work(range)
    } catch let error as TorchError where error.kind == .outOfMemory && range.count > 1 {
        onHalving(error, range.count)
        let middle = range.lowerBound + range.count / 2
        return try inHalves(range.lowerBound..<middle, onHalving: onHalving, work)
            + inHalves(middle..<range.upperBound, onHalving: onHalving, work)
    }
}
