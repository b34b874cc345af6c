/// How the samples of an epoch, in their order, are cut into micro-batches.
package enum BatchCut: Sendable, Equatable {
    /// So many samples each; a last batch that is not full is left out where the rest is dropped.
    case samples(Int, dropsRest: Bool = false)
    /// As many samples as have at most `budget` tokens together; a sample that is longer is a batch by itself.
    case tokens(budget: Int, lengths: [Int32])

    /// Whether every epoch has as many batches, whatever its order.
    var isTheSameInEachEpoch: Bool { if case .samples = self { true } else { false } }

    /// - Throws: `DatasetError` where no batch can be made so, naming the option to change.
    func check(sampleCount: Int) throws {
        switch self {
        case .samples(let size, let dropsRest):
            guard size > 0 else {
                throw DatasetError("--per_device_train_batch_size must be at least 1, not \(size)")
            }
            guard !dropsRest || sampleCount >= size else {
                throw DatasetError(
                    "\(sampleCount) samples do not fill one batch of \(size), and --dataloader_drop_last drops "
                        + "incomplete ones; lower --per_device_train_batch_size or switch it off")
            }
        case .tokens(let budget, let lengths):
            guard budget > 0 else { throw DatasetError("a budget of \(budget) tokens a batch holds no token") }
            guard lengths.count == sampleCount else {
                throw DatasetError("\(lengths.count) lengths do not belong to \(sampleCount) samples")
            }
        }
    }

    /// Where in the order batches begin, and where the last one ends.
    func bounds(of samples: [Int32]) -> [Int] {
        switch self {
        case .samples(let size, let dropsRest):
            let full = Array(stride(from: 0, through: samples.count, by: size))
            return dropsRest || full.last == samples.count ? full : full + [samples.count]
        case .tokens(let budget, let lengths):
            var bounds = [0]
            var tokens = 0
            for (place, sample) in samples.enumerated() {
                let length = Int(lengths[Int(sample)])
                if tokens + length > budget, place > bounds[bounds.count - 1] {
                    bounds.append(place)
                    tokens = 0
                }
                tokens += length
            }
            return bounds + [samples.count]
        }
    }
}
