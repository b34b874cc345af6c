/// The dynamic 8-bit code: 256 numbers in ascending order, the closer together the nearer to zero, of which blockwise
/// quantisation keeps the index of the nearest.
///
/// `± 10ᵉ · f`: e from -6 to 0, and of each power of ten twice as many fractions f as of the one below, the middles of
/// equal parts of [0.1, 1]; beside them 0 and 1. Without signs there are twice as many fractions. Bit-equal to
/// `create_dynamic_map` of bitsandbytes.
///
/// Dettmers 2015, <https://arxiv.org/abs/1511.04561>; Dettmers et al. 2021, <https://arxiv.org/abs/2110.02861>.
package enum DynamicCode {
    /// From -0.99296874 to 1.
    package static let signed = code(isSigned: true)
    /// From 0 to 1.
    package static let unsigned = code(isSigned: false)

    private static func code(isSigned: Bool) -> [Float] {
        var numbers: [Float] = [0, 1]
        for (index, scale) in ([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1] as [Float]).enumerated() {
            let bounds = evenlySpaced(((isSigned ? 1 : 2) << index) + 1)
            let middles = zip(bounds, bounds.dropFirst()).map { scale * (($0 + $1) / 2) }
            numbers += middles
            if isSigned { numbers += middles.map { -$0 } }
        }
        return numbers.sorted()
    }

    /// Numbers from 0.1 to 1 in equal steps, from both ends to the middle and rounded once each, as libtorch makes them.
    private static func evenlySpaced(_ count: Int) -> [Float] {
        let (start, end): (Float, Float) = (0.1, 1)
        let step = (end - start) / Float(count - 1)
        return (0..<count).map { index in
            index < count / 2
                ? start.addingProduct(step, Float(index)) : end.addingProduct(-step, Float(count - 1 - index))
        }
    }
}
