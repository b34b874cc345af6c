import ApusNN
import ApusTorch

/// What adapters leave out by chance while training.
///
/// Everything is a pure function of a key, so that a layer that runs again in the backward pass leaves out the same.
enum AdapterChance {
    /// Whether something happens that has a probability.
    static func happens(_ probability: Double, key: UInt64) -> Bool {
        Double(key >> 11) * 0x1p-53 < probability
    }

    /// `x` with elements dropped by chance while training; the others are scaled up.
    static func dropped(
        _ x: Tensor, _ probability: Double, stream: UInt64, _ context: ForwardContext
    ) throws -> Tensor {
        guard context.isTraining, probability > 0 else { return x }
        return try dropout(x, probability: probability, key: streamKey(context.randomKey, stream))
    }

    /// So many different ones of the numbers below a total, each as probable.
    static func chosen(_ count: Int, of total: Int, key: UInt64) -> [Int] {
        var numbers = Array(0..<total)
        // Fisher and Yates, as far as it is needed.
        for index in 0..<min(count, total) {
            let other = index + Int(streamKey(key, UInt64(index)) % UInt64(total - index))
            numbers.swapAt(index, other)
        }
        return Array(numbers.prefix(count))
    }
}
