import Foundation

/// How samples are laid together into packs (`--packing_strategy`).
package enum PackingStrategy: String, Sendable, CaseIterable {
    /// The longest first, each into the emptiest pack, of every thousand samples.
    case binPacking = "binpack"
    /// In their order, a new pack where the next sample does not fit.
    case sequential
}

/// Samples laid together into packs of at most so many tokens (`--packing`), as ms-swift 4.6 does it.
///
/// Samples are never cut: one that is longer than a pack is a pack by itself.
package struct SamplePacking: Sendable {
    /// The samples that ms-swift looks at together.
    private static let batchSize = 1000

    private let capacity: Int
    private let strategy: PackingStrategy
    /// What did not fill a pack yet.
    private var waiting: [Item] = []

    private struct Item {
        let sample: Int32
        let length: Int
    }

    package init(capacity: Int, strategy: PackingStrategy) {
        self.capacity = capacity
        self.strategy = strategy
    }

    /// The packs of all samples.
    ///
    /// - Parameter lengths: The tokens of each sample.
    package static func packs(lengths: [Int32], capacity: Int, strategy: PackingStrategy) -> [[Int32]] {
        var packing = SamplePacking(capacity: capacity, strategy: strategy)
        var packs: [[Int32]] = []
        var start = 0
        while start < lengths.count || !packing.waiting.isEmpty {
            let end = min(start + batchSize, lengths.count)
            packing.add((start..<end).map { (Int32($0), Int(lengths[$0])) })
            // An end that falls on a full thousand is seen when nothing more comes.
            packs += packing.take(isLast: start + batchSize >= lengths.count)
            start += batchSize
        }
        return packs
    }

    /// What became of the samples: how full packs are, and how many samples are longer than a pack.
    package static func report(of packs: [[Int32]], lengths: [Int32], capacity: Int) -> String {
        let longer = lengths.count { $0 > capacity }
        let shared = packs.count - longer
        let tokens = lengths.reduce(0) { $0 + ($1 > capacity ? 0 : Int($1)) }
        let fullness = String(format: "%.1f", 100 * Double(tokens) / Double(max(1, shared * capacity)))
        let samples = "packing: \(lengths.count) samples in \(packs.count) packs"
        let fitting = "of at most \(capacity) tokens, \(fullness) % full"
        if longer == 0 { return "\(samples) \(fitting)" }
        let alone = "\(longer) of one sample that is longer than \(capacity) tokens"
        return shared == 0 ? "\(samples): \(alone)" : "\(samples): \(shared) \(fitting), and \(alone)"
    }

    /// Adds samples that come next.
    package mutating func add(_ samples: [(sample: Int32, length: Int)]) {
        waiting += samples.map { Item(sample: $0.sample, length: $0.length) }
    }

    /// The packs of what was added, but for the last, which waits for more.
    ///
    /// - Parameter isLast: Whether nothing more comes, so that nothing waits.
    package mutating func take(isLast: Bool) -> [[Int32]] {
        guard !waiting.isEmpty else { return [] }
        var packs = strategy == .binPacking ? binPacked() : inOrder()
        waiting = isLast ? [] : strategy == .binPacking ? packs.popLast() ?? [] : openPack(&packs)
        return packs.map { $0.map(\.sample) }
    }

    /// The last pack where it is not full.
    private func openPack(_ packs: inout [[Item]]) -> [Item] {
        guard let last = packs.last, last.reduce(0, { $0 + $1.length }) < capacity else { return [] }
        return packs.popLast() ?? []
    }

    private func inOrder() -> [[Item]] {
        var packs: [[Item]] = []
        var room = 0
        for item in waiting {
            if packs.isEmpty || room <= 0 || item.length > room {
                packs.append([])
                room = capacity
            }
            packs[packs.count - 1].append(item)
            room -= item.length
        }
        return packs
    }

    /// `binpacking.to_constant_volume`: where a sample fits anywhere, it fits into the emptiest pack.
    private func binPacked() -> [[Item]] {
        let sorted = waiting.enumerated().sorted { a, b in
            a.element.length == b.element.length ? a.offset < b.offset : a.element.length > b.element.length
        }
        var packs: [[Item]] = []
        // A heap of packs, the emptiest at its root and of equal ones the oldest.
        var heap: [(load: Int, pack: Int)] = []
        for (_, item) in sorted {
            if let root = heap.first, root.load + item.length <= capacity {
                packs[root.pack].append(item)
                heap[0].load += item.length
                sink(&heap)
            } else {
                packs.append([item])
                heap.append((item.length, packs.count - 1))
                rise(&heap)
            }
        }
        return packs
    }

    private func rise(_ heap: inout [(load: Int, pack: Int)]) {
        var place = heap.count - 1
        while place > 0, heap[place] < heap[(place - 1) / 2] {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private func sink(_ heap: inout [(load: Int, pack: Int)]) {
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == place { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
