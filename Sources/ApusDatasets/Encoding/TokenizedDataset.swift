/// Token ids and which of them are trained on, of every sample, in three flat arrays.
///
/// A token costs four bytes and one bit, and four bytes more in samples where a loss is weighted. Samples that are the
/// same row (a data set repeated by `#count`) share theirs.
package struct TokenizedDataset: Sendable {
    /// One sample.
    ///
    /// `isTrained[i]` says that token `i` is a target, predicted from those before it; the first never is.
    package struct Sample: Sendable, Equatable {
        package let ids: [Int32]
        package let isTrained: [Bool]
        /// What the loss of each target is multiplied by; `nil` where that is 1 for all.
        package let weights: [Float]?
        /// The kind of data that its row belongs to, where that says so.
        package let channel: String?

        /// - Precondition: All have the same length.
        package init(ids: [Int32], isTrained: [Bool], weights: [Float]? = nil, channel: String? = nil) {
            precondition(ids.count == isTrained.count, "one mark per token")
            precondition(weights.map { $0.count == ids.count } ?? true, "one weight per token")
            self.ids = ids
            self.isTrained = isTrained
            self.weights = weights
            self.channel = channel
        }
    }

    private var ids: [Int32] = []
    private var trainedBits: [UInt64] = []
    /// Where each stored sequence begins in `ids`, and where the last one ends.
    private var offsets = [0]
    /// The weights of the stored sequences that have some other than 0 and 1.
    private var weights: [Int: [Float]] = [:]
    /// The channels of the stored sequences that have one.
    private var channels: [Int: String] = [:]
    /// The stored sequence of each sample.
    private var sequences: [Int32] = []
    /// For each sample its number in the `ConversationDataset` it came from, to name its file and line.
    package private(set) var conversations: [Int32] = []

    package init() {}

    /// A data set of samples made elsewhere.
    package init(_ samples: some Sequence<Sample>) {
        for (number, sample) in samples.enumerated() {
            var weights = sample.weights ?? sample.isTrained.map { $0 ? 1 : 0 }
            for (position, isTrained) in sample.isTrained.enumerated() where !isTrained || position == 0 {
                weights[position] = 0
            }
            appendSample(
                sequence: appendSequence(sample.ids[...], weights: weights[...], channel: sample.channel), row: number)
        }
    }

    package var count: Int { sequences.count }
    package var isEmpty: Bool { sequences.isEmpty }
    package var indices: Range<Int> { 0..<count }

    /// - Precondition: `index` is in `0..<count`.
    package func sample(_ index: Int) -> Sample {
        let range = range(of: index)
        return Sample(
            ids: Array(ids[range]), isTrained: range.map(isTrained), weights: weights[Int(sequences[index])],
            channel: channels[Int(sequences[index])])
    }

    /// The number of tokens of a sample, without reading them.
    package func length(of index: Int) -> Int { range(of: index).count }

    /// The number of trained tokens of a sample.
    package func trainedCount(of index: Int) -> Int {
        range(of: index).reduce(0) { isTrained($1) ? $0 + 1 : $0 }
    }

    /// Gives every id, mark and weight of a sample to `body`, as bytes for a digest.
    package func withBytes(of index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let sample = sample(index)
        sample.ids.withUnsafeBytes(body)
        sample.isTrained.map { $0 ? UInt8(1) : 0 }.withUnsafeBytes(body)
        sample.weights?.withUnsafeBytes(body)
    }

    private func range(of index: Int) -> Range<Int> {
        let sequence = Int(sequences[index])
        return offsets[sequence]..<offsets[sequence + 1]
    }

    private func isTrained(_ position: Int) -> Bool {
        trainedBits[position >> 6] >> UInt64(position & 63) & 1 == 1
    }

    /// Makes a sample of each stored sequence.
    mutating func appendSequencesAsSamples() {
        for number in 0..<sequenceCount { appendSample(sequence: Int32(number), row: number) }
    }

    /// Stores a sequence and returns its number, for `appendSample`.
    mutating func appendSequence(
        _ newIDs: ArraySlice<Int32>, weights newWeights: ArraySlice<Float>, channel: String? = nil
    ) -> Int32 {
        channels[offsets.count - 1] = channel
        for (position, weight) in zip(ids.count..., newWeights) {
            if position & 63 == 0 { trainedBits.append(0) }
            if weight != 0 { trainedBits[position >> 6] |= 1 << UInt64(position & 63) }
        }
        if newWeights.contains(where: { $0 != 0 && $0 != 1 }) { weights[offsets.count - 1] = Array(newWeights) }
        ids += newIDs
        offsets.append(ids.count)
        return Int32(offsets.count - 2)
    }
}

extension TokenizedDataset: SampleStore {
    var tokenCount: Int { ids.count }
    var sequenceCount: Int { offsets.count - 1 }

    mutating func reserveCapacity(for parts: [TokenizedDataset]) {
        let count = parts.reduce(0) { $0 + $1.tokenCount }
        ids.reserveCapacity(count)
        trainedBits.reserveCapacity(count / 64 + 1)
    }

    mutating func appendSequence(_ number: Int, of part: TokenizedDataset) -> Int32 {
        let range = part.offsets[number]..<part.offsets[number + 1]
        let weights = part.weights[number] ?? range.map { part.isTrained($0) ? 1 : 0 }
        return appendSequence(part.ids[range], weights: weights[...], channel: part.channels[number])
    }

    mutating func appendSample(sequence: Int32, row: Int) {
        sequences.append(sequence)
        conversations.append(Int32(row))
    }

    func write(to file: ArrayWriter) throws {
        try file.write(ids)
        try file.write(trainedBits)
        try file.write(offsets)
        let weighted = weights.keys.sorted()
        try file.write(weighted)
        try file.write(weighted.flatMap { weights[$0] ?? [] })
        let named = channels.keys.sorted()
        try file.write(named)
        try file.write(named.map { channels[$0] ?? "" })
    }

    init(from file: inout ArrayReader) throws {
        ids = try file.array()
        trainedBits = try file.array()
        offsets = try file.array()
        let weighted = try file.array(of: Int.self)
        let values = try file.array(of: Float.self)
        let named = try file.array(of: Int.self)
        let names = try file.strings()
        guard offsets.areBounds(of: ids.count), trainedBits.count == (ids.count + 63) / 64,
            named.count == names.count, (weighted + named).allSatisfy({ 0..<sequenceCount ~= $0 }),
            Set(weighted).count == weighted.count,
            weighted.reduce(0, { $0 + offsets[$1 + 1] - offsets[$1] }) == values.count
        else { throw file.misfit }
        var next = 0
        for sequence in weighted {
            let end = next + offsets[sequence + 1] - offsets[sequence]
            weights[sequence] = Array(values[next..<end])
            next = end
        }
        for (sequence, name) in zip(named, names) { channels[sequence] = name }
    }
}
