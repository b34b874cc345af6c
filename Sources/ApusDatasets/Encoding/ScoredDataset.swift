/// Token ids and a target for every sample, in flat arrays.
///
/// Samples that are the same row (a data set repeated by `#count`) share theirs.
package struct ScoredDataset: Sendable {
    package struct Sample: Sendable, Equatable {
        package let ids: [Int32]
        /// Which text each token belongs to (`token_type_ids`); `nil` for models that do not ask.
        package let segments: [Int32]?
        /// `nil` for a row without a label.
        package let target: LabelTarget?

        /// - Precondition: One segment per id, if any.
        package init(ids: [Int32], segments: [Int32]? = nil, target: LabelTarget?) {
            precondition(segments.map { $0.count == ids.count } ?? true, "one segment per token")
            self.ids = ids
            self.segments = segments
            self.target = target
        }
    }

    private var ids: [Int32] = []
    /// As many as ids where the samples have segments, else none; a byte each, for they are 0 and 1, rarely more.
    private var segments: [UInt8] = []
    private var offsets = [0]
    /// The targets of the stored sequences: values end to end, or classes.
    private var values: [Float] = []
    private var valueOffsets = [0]
    private var classes: [Int32] = []
    /// The stored sequence of each sample.
    private var sequences: [Int32] = []
    /// For each sample its number in the `RowDataset` it came from, to name its file and line.
    package private(set) var rows: [Int32] = []

    private static let noClass: Int32 = -1

    package init() {}

    /// A data set of samples made elsewhere.
    ///
    /// - Precondition: All samples have segments, or none has.
    package init(_ samples: some Sequence<Sample>) {
        for (number, sample) in samples.enumerated() {
            appendSequence(sample.ids[...], segments: sample.segments?[...], target: sample.target)
            appendSample(sequence: Int32(offsets.count - 2), row: number)
        }
    }

    package var count: Int { sequences.count }
    package var isEmpty: Bool { sequences.isEmpty }
    package var indices: Range<Int> { 0..<count }
    package var hasSegments: Bool { !segments.isEmpty }

    /// - Precondition: `index` is in `0..<count`.
    package func sample(_ index: Int) -> Sample {
        let range = range(of: index)
        return Sample(
            ids: Array(ids[range]), segments: hasSegments ? segments[range].map(Int32.init) : nil,
            target: target(of: index))
    }

    /// The number of tokens of a sample, without reading them.
    package func length(of index: Int) -> Int { range(of: index).count }

    /// The target of a sample, without reading its tokens.
    package func target(of index: Int) -> LabelTarget? {
        let sequence = Int(sequences[index])
        if classes[sequence] != Self.noClass { return .classID(classes[sequence]) }
        let range = valueOffsets[sequence]..<valueOffsets[sequence + 1]
        return range.isEmpty ? nil : .values(Array(values[range]))
    }

    private func range(of index: Int) -> Range<Int> {
        let sequence = Int(sequences[index])
        return offsets[sequence]..<offsets[sequence + 1]
    }

    /// Gives every id, segment and target to `body`, sample by sample, as bytes for a digest.
    package func withBytes(of index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let sample = sample(index)
        sample.ids.withUnsafeBytes(body)
        sample.segments?.withUnsafeBytes(body)
        switch sample.target {
        case .values(let values)?: values.withUnsafeBytes(body)
        case .classID(let number)?: withUnsafeBytes(of: number, body)
        case nil: break
        }
    }

    /// - Precondition: All sequences have segments, or none has.
    mutating func appendSequence(_ newIDs: ArraySlice<Int32>, segments new: ArraySlice<Int32>?, target: LabelTarget?) {
        precondition(ids.isEmpty || hasSegments == (new != nil), "segments for all samples or for none")
        ids += newIDs
        if let new { segments += new.lazy.map { UInt8(truncatingIfNeeded: $0) } }
        offsets.append(ids.count)
        append(target)
    }

    private mutating func append(_ target: LabelTarget?) {
        var number = Self.noClass
        switch target {
        case .values(let new)?: values += new
        case .classID(let id)?: number = id
        case nil: break
        }
        classes.append(number)
        valueOffsets.append(values.count)
    }
}

extension ScoredDataset: SampleStore {
    var tokenCount: Int { ids.count }
    var sequenceCount: Int { offsets.count - 1 }

    mutating func reserveCapacity(for parts: [ScoredDataset]) {
        let count = parts.reduce(0) { $0 + $1.tokenCount }
        ids.reserveCapacity(count)
        if parts.contains(where: \.hasSegments) { segments.reserveCapacity(count) }
    }

    mutating func appendSequence(_ number: Int, of part: ScoredDataset) -> Int32 {
        let range = part.offsets[number]..<part.offsets[number + 1]
        precondition(ids.isEmpty || hasSegments == part.hasSegments, "segments for all samples or for none")
        ids += part.ids[range]
        if part.hasSegments { segments += part.segments[range] }
        offsets.append(ids.count)
        values += part.values[part.valueOffsets[number]..<part.valueOffsets[number + 1]]
        valueOffsets.append(values.count)
        classes.append(part.classes[number])
        return Int32(offsets.count - 2)
    }

    mutating func appendSample(sequence: Int32, row: Int) {
        sequences.append(sequence)
        rows.append(Int32(row))
    }

    func write(to file: ArrayWriter) throws {
        try file.write(ids)
        try file.write(segments)
        try file.write(offsets)
        try file.write(values)
        try file.write(valueOffsets)
        try file.write(classes)
    }

    init(from file: inout ArrayReader) throws {
        ids = try file.array()
        segments = try file.array()
        offsets = try file.array()
        values = try file.array()
        valueOffsets = try file.array()
        classes = try file.array()
        guard offsets.areBounds(of: ids.count), valueOffsets.areBounds(of: values.count),
            valueOffsets.count == offsets.count, classes.count == sequenceCount,
            segments.isEmpty || segments.count == ids.count
        else { throw file.misfit }
    }
}
