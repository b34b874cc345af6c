/// MT19937 (Matsumoto and Nishimura, 1998), seeded with one 32-bit number.
///
/// NumPy's legacy `RandomState(seed)` and PyTorch's CPU generator both run on this sequence, so the selections and
/// orders that ms-swift and the Hugging Face Trainer draw from them can be repeated bit for bit.
struct MersenneTwister {
    private static let size = 624
    private var state: [UInt32]
    private var position = MersenneTwister.size

    init(seed: UInt32) {
        state = [UInt32](repeating: 0, count: Self.size)
        state[0] = seed
        for index in 1..<Self.size {
            let previous = state[index - 1]
            state[index] = 1_812_433_253 &* (previous ^ previous >> 30) &+ UInt32(index)
        }
    }

    /// Seeded with several numbers, the reference's `init_by_array`.
    init(key: [UInt32]) {
        self.init(seed: 19_650_218)
        func mixed(_ index: Int, _ factor: UInt32) -> UInt32 {
            let previous = state[index - 1]
            return state[index] ^ (previous ^ previous >> 30) &* factor
        }
        var index = 1
        func advanced() -> Int { index + 1 == Self.size ? 1 : index + 1 }
        for round in 0..<max(Self.size, key.count) {
            let place = round % key.count
            state[index] = mixed(index, 1_664_525) &+ key[place] &+ UInt32(place)
            index = advanced()
            if index == 1 { state[0] = state[Self.size - 1] }
        }
        for _ in 1..<Self.size {
            state[index] = mixed(index, 1_566_083_941) &- UInt32(index)
            index = advanced()
            if index == 1 { state[0] = state[Self.size - 1] }
        }
        state[0] = 0x8000_0000
    }

    mutating func next() -> UInt32 {
        if position == Self.size { refill() }
        var word = state[position]
        position += 1
        word ^= word >> 11
        word ^= word << 7 & 0x9D2C_5680
        word ^= word << 15 & 0xEFC6_0000
        return word ^ word >> 18
    }

    private mutating func refill() {
        for index in 0..<Self.size {
            let word = state[index] & 0x8000_0000 | state[(index + 1) % Self.size] & 0x7FFF_FFFF
            let mixed = word >> 1 ^ (word & 1 == 0 ? 0 : 0x9908_B0DF)
            state[index] = state[(index + 397) % Self.size] ^ mixed
        }
        position = 0
    }
}

/// `random.Random(seed)` of Python, as far as tossing a coin needs it.
package struct PythonRandom {
    private var twister: MersenneTwister

    package init(seed: Int) {
        let size = UInt64(seed.magnitude)
        let words = [UInt32(truncatingIfNeeded: size), UInt32(truncatingIfNeeded: size >> 32)]
        twister = MersenneTwister(key: words[1] == 0 ? [words[0]] : words)
    }

    /// `random()`: 53 bits in [0, 1).
    package mutating func uniform() -> Double {
        let (high, low) = (twister.next() >> 5, twister.next() >> 6)
        return (Double(high) * 67_108_864 + Double(low)) / 9_007_199_254_740_992
    }
}

/// `numpy.random.RandomState(seed)`, as far as choosing rows needs it.
struct NumPyRandomState {
    private var twister: MersenneTwister

    init(seed: UInt32) {
        twister = MersenneTwister(seed: seed)
    }

    /// `permutation(count)`: Fisher–Yates from the end, positions drawn by masked rejection.
    mutating func permutation(_ count: Int) -> [Int] {
        var indices = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            indices.swapAt(last, Int(below(UInt32(truncatingIfNeeded: last))))
        }
        return indices
    }

    /// `randint(0, 2**31 - 1)`: the seed that ms-swift hands on to the generators of `datasets`.
    mutating func derivedSeed() -> UInt32 {
        below(0x7FFF_FFFE)
    }

    /// A number in `0...maximum`.
    private mutating func below(_ maximum: UInt32) -> UInt32 {
        let mask = UInt32.max >> UInt32(maximum.leadingZeroBitCount)
        while true {
            let candidate = twister.next() & mask
            if candidate <= maximum { return candidate }
        }
    }
}

/// From this count on PyTorch draws 64-bit numbers.
let torchPermutationLimit = Int(UInt32.max / 20)

/// `torch.randperm(count, generator: torch.Generator().manual_seed(seed))` on the CPU.
///
/// - Precondition: `count` is below `torchPermutationLimit`.
func torchPermutation(_ count: Int, seed: UInt64) -> [Int32] {
    var twister = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
    var indices = Array(0..<Int32(count))
    for position in 0..<max(count - 1, 0) {
        indices.swapAt(position, position + Int(twister.next()) % (count - position))
    }
    return indices
}
