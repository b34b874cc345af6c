/// The order in which an epoch visits the samples: a pure function of the seed and the number of the epoch, so that a
/// run resumed at any step sees the data that the undisturbed run would have seen.
package struct EpochOrder: Sendable, Equatable {
    package enum Method: Sendable, Equatable {
        /// As the samples lie (`train_dataloader_shuffle false`).
        case sequential
        /// `torch.randperm` seeded with `seed + epoch`: the order of ms-swift and of the Hugging Face Trainer.
        case torch
        /// Fisher–Yates from the end over the SplitMix64 stream of (seed, epoch), positions by Lemire's method. Fixed
        /// for ever, and unlike `torch` without equal orders for seed 1, epoch 0 and seed 0, epoch 1.
        case splitMix
    }

    package let method: Method
    package let seed: UInt64
    /// `nil` leaves the order as it is drawn.
    package let grouping: LengthGrouping?

    package init(method: Method, seed: UInt64, grouping: LengthGrouping? = nil) {
        self.method = method
        self.seed = seed
        self.grouping = grouping
    }

    /// The samples of one epoch in their order.
    ///
    /// - Precondition: There are as many lengths to group by.
    package func permutation(epoch: Int, count: Int) -> [Int32] {
        let drawn = drawn(epoch: epoch, count: count)
        return grouping?.grouped(drawn) ?? drawn
    }

    private func drawn(epoch: Int, count: Int) -> [Int32] {
        switch method {
        case .sequential:
            return Array(0..<Int32(count))
        case .torch:
            return torchPermutation(count, seed: seed &+ UInt64(truncatingIfNeeded: epoch))
        case .splitMix:
            var stream = SplitMix64(seed, UInt64(truncatingIfNeeded: epoch))
            var indices = Array(0..<Int32(count))
            for last in stride(from: count - 1, to: 0, by: -1) {
                indices.swapAt(last, Int(stream.next(below: UInt64(last) + 1)))
            }
            return indices
        }
    }
}
