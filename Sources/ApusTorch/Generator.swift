internal import CTorch

/// A seeded stream of random numbers (libtorch's Mersenne Twister on the CPU).
public final class Generator {
    private let raw: ct_generator

    public init(seed: UInt64) throws {
        guard let handle = ct_generator_new(seed) else { throw TorchError.last() }
        raw = handle
    }

    deinit { ct_generator_free(raw) }

    fileprivate func withRaw<Result>(_ body: (ct_generator) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(raw) }
    }
}

extension Tensor {
    /// Overwrites with draws from the uniform distribution on [low, high).
    public func fillUniform(_ low: Double, _ high: Double, generator: Generator) throws {
        try check(withHandles(self) { x in generator.withRaw { ct_uniform(x, low, high, $0) } })
    }

    /// Overwrites with draws from the normal distribution.
    public func fillNormal(mean: Double = 0, deviation: Double = 1, generator: Generator) throws {
        try check(withHandles(self) { x in generator.withRaw { ct_normal(x, mean, deviation, $0) } })
    }

    /// Ones with these probabilities, else zeros.
    package func drawn(generator: Generator) throws -> Tensor {
        try Tensor(owning: withHandles(self) { x in generator.withRaw { ct_bernoulli(x, $0) } })
    }
}

extension Generator {
    /// Whole numbers from 0 to below the largest of int64 (`torch.randint`), int64.
    package func integers(_ count: Int) throws -> Tensor {
        try Tensor(owning: withRaw { ct_random_integers(Int64(count), $0) })
    }

    /// The numbers below `count` in random order (`torch.randperm`), int64.
    package func permutation(of count: Int) throws -> Tensor {
        try Tensor(owning: withRaw { ct_randperm(Int64(count), $0) })
    }
}

/// A 64-bit key that depends on every part of a place in a run, for dropout masks and seeds.
///
/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) after each part: a pure function, the same on every machine.
package func streamKey(_ parts: UInt64...) -> UInt64 {
    var key: UInt64 = 0x9E37_79B9_7F4A_7C15
    for part in parts {
        var z = key ^ part &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        key = z ^ (z >> 31)
    }
    return key
}
