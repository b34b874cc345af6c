/// Groups of encoded texts that are judged against each other, in flat arrays.
///
/// For embedding a group is the anchor, its positive and its negatives; for reranking it is the query with each
/// positive and then with each negative document. Samples that are the same row share their group.
package struct GroupedDataset: Sendable {
    package struct Text: Sendable, Equatable {
        package let ids: [Int32]
        /// Which part of a pair each token belongs to; `nil` for models that do not ask.
        package let segments: [Int32]?

        package init(ids: [Int32], segments: [Int32]? = nil) {
            self.ids = ids
            self.segments = segments
        }
    }

    package struct Group: Sendable, Equatable {
        /// The anchor of an embedding; `nil` when every text holds the query itself.
        package var anchor: Text?
        package var positives: [Text]
        package var negatives: [Text]
        /// How near anchor and positive are.
        package var label: Float?

        package init(anchor: Text? = nil, positives: [Text], negatives: [Text] = [], label: Float? = nil) {
            self.anchor = anchor
            self.positives = positives
            self.negatives = negatives
            self.label = label
        }

        /// The anchor, the positives, the negatives.
        package var texts: [Text] { (anchor.map { [$0] } ?? []) + positives + negatives }
    }

    /// What a group looks like in the flat arrays.
    private struct Shape {
        let firstText: Int
        let hasAnchor: Bool
        let positives: Int
        let negatives: Int
        let label: Float?

        var textCount: Int { (hasAnchor ? 1 : 0) + positives + negatives }
        var texts: Range<Int> { firstText..<firstText + textCount }
    }

    private var ids: [Int32] = []
    private var segments: [UInt8] = []
    /// Where each text begins in `ids`, and where the last one ends.
    private var offsets = [0]
    private var shapes: [Shape] = []
    /// The stored group of each sample.
    private var sequences: [Int32] = []
    /// For each sample its number in the `RowDataset` it came from, to name its file and line.
    package private(set) var rows: [Int32] = []

    package init() {}

    package var count: Int { sequences.count }
    package var isEmpty: Bool { sequences.isEmpty }
    package var indices: Range<Int> { 0..<count }

    /// - Precondition: `index` is in `0..<count`.
    package func sample(_ index: Int) -> Group { group(Int(sequences[index])) }

    /// The number of tokens of all texts of a sample.
    package func length(of index: Int) -> Int {
        let texts = shapes[Int(sequences[index])].texts
        return offsets[texts.upperBound] - offsets[texts.lowerBound]
    }

    /// How many positives and negatives a sample has, without reading them.
    package func counts(of index: Int) -> (positives: Int, negatives: Int) {
        let shape = shapes[Int(sequences[index])]
        return (shape.positives, shape.negatives)
    }

    /// Gives every id, segment, count and label to `body`, sample by sample, as bytes for a digest.
    package func withBytes(of index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let group = sample(index)
        for text in group.texts {
            withUnsafeBytes(of: Int64(text.ids.count), body)
            text.ids.withUnsafeBytes(body)
            text.segments?.withUnsafeBytes(body)
        }
        withUnsafeBytes(of: Int64(group.positives.count), body)
        if let label = group.label { withUnsafeBytes(of: label, body) }
    }

    /// The groups of a sample for one epoch, each with a single positive, as the listwise losses of ms-swift read them.
    ///
    /// A pure function of its arguments. Where there are more texts than asked for, some are drawn anew in every epoch.
    ///
    /// - Parameters:
    ///   - positives: At most so many groups (`MAX_POSITIVE_SAMPLES`).
    ///   - negatives: At most so many negatives in each (`MAX_NEGATIVE_SAMPLES`).
    package func groups(of index: Int, positives: Int = 1, negatives: Int = 7, seed: UInt64, epoch: Int) -> [Group] {
        let whole = sample(index)
        var stream = SplitMix64(seed &+ UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15, UInt64(epoch))
        func some(_ count: Int, of texts: [Text]) -> [Text] {
            guard texts.count > count else { return texts }
            var order = Array(texts.indices)
            for place in 0..<max(0, count) {
                order.swapAt(place, place + Int(stream.next(below: UInt64(order.count - place))))
            }
            return order.prefix(max(0, count)).sorted().map { texts[$0] }
        }
        let chosen = some(positives, of: whole.positives)
        let heads = chosen.isEmpty ? [[]] : chosen.map { [$0] }
        return heads.map { positive in
            Group(
                anchor: whole.anchor, positives: positive, negatives: some(negatives, of: whole.negatives),
                label: whole.label)
        }
    }

    private func group(_ number: Int) -> Group {
        let shape = shapes[number]
        let texts = shape.texts.map { text in
            let range = offsets[text]..<offsets[text + 1]
            return Text(ids: Array(ids[range]), segments: segments.isEmpty ? nil : segments[range].map(Int32.init))
        }
        let documents = texts.dropFirst(shape.hasAnchor ? 1 : 0)
        return Group(
            anchor: shape.hasAnchor ? texts[0] : nil, positives: Array(documents.prefix(shape.positives)),
            negatives: Array(documents.dropFirst(shape.positives)), label: shape.label)
    }

    /// - Precondition: All texts have segments, or none has.
    @discardableResult
    mutating func appendGroup(_ group: Group) -> Int32 {
        shapes.append(
            Shape(
                firstText: offsets.count - 1, hasAnchor: group.anchor != nil, positives: group.positives.count,
                negatives: group.negatives.count, label: group.label))
        for text in group.texts {
            precondition(
                ids.isEmpty || segments.isEmpty == (text.segments == nil), "segments for all texts or for none")
            ids += text.ids
            if let new = text.segments { segments += new.lazy.map { UInt8(truncatingIfNeeded: $0) } }
            offsets.append(ids.count)
        }
        return Int32(shapes.count - 1)
    }
}

extension GroupedDataset: SampleStore {
    var tokenCount: Int { ids.count }
    var sequenceCount: Int { shapes.count }

    mutating func reserveCapacity(for parts: [GroupedDataset]) {
        ids.reserveCapacity(parts.reduce(0) { $0 + $1.tokenCount })
    }

    mutating func appendSequence(_ number: Int, of part: GroupedDataset) -> Int32 { appendGroup(part.group(number)) }

    mutating func appendSample(sequence: Int32, row: Int) {
        sequences.append(sequence)
        rows.append(Int32(row))
    }

    func write(to file: ArrayWriter) throws {
        try file.write(ids)
        try file.write(segments)
        try file.write(offsets)
        try file.write(shapes.flatMap { [$0.hasAnchor ? 1 : 0, Int32($0.positives), Int32($0.negatives)] })
        try file.write(shapes.map { $0.label ?? .nan })
    }

    init(from file: inout ArrayReader) throws {
        ids = try file.array()
        segments = try file.array()
        offsets = try file.array()
        let (counts, labels) = (try file.array(of: Int32.self).map(Int.init), try file.array(of: Float.self))
        guard counts.count == 3 * labels.count, counts.allSatisfy({ $0 >= 0 }) else { throw file.misfit }
        for (number, label) in labels.enumerated() {
            shapes.append(
                Shape(
                    firstText: shapes.last?.texts.upperBound ?? 0, hasAnchor: counts[3 * number] == 1,
                    positives: counts[3 * number + 1], negatives: counts[3 * number + 2],
                    label: label.isNaN ? nil : label))
        }
        guard offsets.areBounds(of: ids.count), offsets.count == (shapes.last?.texts.upperBound ?? 0) + 1,
            segments.isEmpty || segments.count == ids.count
        else { throw file.misfit }
    }
}
