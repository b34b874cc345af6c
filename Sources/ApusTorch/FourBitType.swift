/// A set of sixteen numbers from -1 to 1 that four bits stand for, in the order of their indices.
package enum FourBitType: String, Sendable, CaseIterable {
    /// Quantiles of the normal distribution, an index each, with zero among them.
    ///
    /// Dettmers et al. 2023, <https://arxiv.org/abs/2305.14314>, appendix E.
    case nf4
    /// Floats of one sign, two exponent bits and one bit of fraction, as bitsandbytes lays them out.
    case fp4

    package var code: [Float] {
        switch self {
        case .nf4:
            [
                -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
                1,
            ]
        case .fp4:
            ([0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3] as [Float]).map { $0 / 12 }
        }
    }
}
