import ApusJSON
import ApusText

/// Samples that are read, encoded and laid into packs while a run goes on, in constant memory (`--streaming`).
///
/// Sample *n* is a function of the files and the options. The samples that were asked for last are at hand; one before
/// them is found again by starting over, and one far behind them by encoding those between. When the rows are at their
/// end they come again, in another order.
package final class StreamedDataset {
    /// How rows become samples.
    package struct Options: Sendable {
        package var seed: UInt32 = 42
        /// The rows among which the next is drawn; 1 keeps their order.
        package var bufferSize = 1000
        package var interleaving: Interleaving?
        /// Finds the files of data sets of hubs.
        package var fetching: DatasetFetching?
        package var truncation: Truncation
        /// Most tokens of samples that are laid together, and how; `nil` leaves each by itself.
        package var packing: (capacity: Int, strategy: PackingStrategy)?
        package var isStrict = false
        /// The share of rows that may be left out.
        package var maximumDroppedShare = 1.0
        package var threads = 1
        /// The samples that stay at hand, at least those of one step.
        package var window = 1

        package init(truncation: Truncation) { self.truncation = truncation }
    }

    private typealias Row = StreamedRow<Conversation>
    /// One sample, or those of a pack, with their places.
    private typealias Unit = [(sample: TokenizedDataset.Sample, place: String)]

    /// Rows that are encoded together, so that every thread has some.
    private static let chunk = 128
    /// Rows that tell whether too many are left out.
    private static let rowsToJudge = 1000

    private let references: [DatasetReference]
    private let recognizer: ConversationRecognizer
    private let options: Options
    private let encode: ConversationEncoding
    private var rows: RowStreams<ConversationRecognizer>
    private var buffer: ShuffleBuffer<Row>
    private var packing: SamplePacking?
    /// Samples that wait for a pack, by their number.
    private var unpacked: [Int32: (sample: TokenizedDataset.Sample, place: String)] = [:]
    private var serial: Int32 = 0
    private var units: [Unit] = []
    /// The number of the first of `units`.
    private var first = 0
    private var epoch = 0
    private var isEpochEmpty = true
    /// How many units there were in all when the rows were at their end for the first time, the second, and so on.
    private var epochEnds: [Int] = []
    private var tally = StreamTally()
    /// Rows up to here were counted and reported before.
    private var reportedRows = 0

    /// - Throws: `DatasetError` for words and files that cannot be used.
    package init(
        _ words: [String], as recognizer: ConversationRecognizer, options: Options,
        encode: @escaping ConversationEncoding
    ) throws {
        references = try words.flatMap { try DatasetReference.list(parsing: $0) }
        self.recognizer = recognizer
        self.options = options
        self.encode = encode
        (rows, buffer) = try Self.start(references, recognizer, options, epoch: 0)
        packing = options.packing.map { SamplePacking(capacity: $0.capacity, strategy: $0.strategy) }
    }

    /// The rows left out so far, but for those that came again.
    package private(set) var dropped: [DroppedRow] = []
    /// Sees each row that is left out, once.
    package var onDrop: ((DroppedRow) throws -> Void)?
    private static let keptDrops = 10_000

    /// The most tokens of a pack, or of the samples at hand.
    package var expectedLength: Int {
        options.packing?.capacity ?? units.map { $0.reduce(0) { $0 + $1.sample.ids.count } }.max() ?? 1
    }

    /// Paths and sizes of the files are not looked at: what their beginnings hold names the data.
    ///
    /// - Parameter body: Is given the bytes of some samples from the first on.
    package func withFirstBytes(_ body: (UnsafeRawBufferPointer) -> Void) throws {
        let count = 64
        try prepare(upTo: count)
        for index in 0..<count {
            for (sample, _) in unit(index) {
                sample.ids.withUnsafeBytes(body)
                sample.isTrained.map { $0 ? UInt8(1) : 0 }.withUnsafeBytes(body)
                sample.weights?.withUnsafeBytes(body)
            }
        }
    }

    /// The samples of a unit: one, or those of a pack.
    ///
    /// - Precondition: It was prepared.
    package func samples(_ index: Int) -> [TokenizedDataset.Sample] { unit(index).map(\.sample) }

    /// The places of the rows of a unit.
    package func place(of index: Int) -> String {
        guard units.indices.contains(index - first) else { return "sample \(index)" }
        return unit(index).map(\.place).joined(separator: " + ")
    }

    private func unit(_ index: Int) -> Unit {
        precondition(units.indices.contains(index - first), "sample \(index) of a stream was not prepared")
        return units[index - first]
    }

    /// Makes samples ready up to a number, and keeps `window` of those before it.
    ///
    /// - Throws: `DatasetError` where rows cannot be read, or too many cannot be used.
    package func prepare(_ indices: [Int]) throws {
        guard let lowest = indices.min(), let highest = indices.max() else { return }
        if lowest < first { try startOver() }
        try prepare(upTo: highest + 1)
    }

    private func prepare(upTo end: Int) throws {
        while first + units.count < end {
            try makeMore()
            let kept = max(options.window, 64)
            // What lies behind `end` was made with it and stays.
            let surplus = min(units.count, end - first - kept)
            if surplus > kept {
                units.removeFirst(surplus)
                first += surplus
            }
        }
    }

    /// Whether all rows were read so often within so many units; those are made ready.
    ///
    /// - Throws: As above.
    package func hasEnded(epochs: Int, within count: Int) throws -> Bool {
        try prepare(upTo: count)
        // Where the last row is the last of a chunk, it shows with the next chunk only.
        while first + units.count == count, epochEnds.count < epochs { try makeMore() }
        return epochEnds.count >= epochs && epochEnds[epochs - 1] <= count
    }

    private func startOver() throws {
        (rows, buffer) = try Self.start(references, recognizer, options, epoch: 0)
        packing = options.packing.map { SamplePacking(capacity: $0.capacity, strategy: $0.strategy) }
        (unpacked, units, first, epoch, serial) = ([:], [], 0, 0, 0)
        epochEnds = []
        reportedRows = max(reportedRows, tally.rowCount)
        tally = StreamTally()
        isEpochEmpty = true
    }

    private static func start(
        _ references: [DatasetReference], _ recognizer: ConversationRecognizer, _ options: Options, epoch: Int
    ) throws -> (RowStreams<ConversationRecognizer>, ShuffleBuffer<Row>) {
        // As ms-swift draws: one seed for each data set, one to interleave, and one to shuffle; another epoch is another seed.
        var state = NumPyRandomState(seed: options.seed &+ UInt32(truncatingIfNeeded: epoch))
        for _ in references { _ = state.derivedSeed() }
        var seeds: [UInt32] = []
        if options.interleaving != nil { seeds = [state.derivedSeed(), state.derivedSeed()] }
        let rows = try RowStreams(
            references, interleaving: options.interleaving, seed: seeds.first ?? 0, recognizer: recognizer,
            isStrict: options.isStrict, fetching: options.fetching)
        return (rows, ShuffleBuffer(size: options.bufferSize, seed: state.derivedSeed()))
    }

    // MARK: - More samples

    private func makeMore() throws {
        var chunk: [Row] = []
        var left: [DroppedRow] = []
        tally.onDrop = { left.append($0) }
        while chunk.count < Self.chunk, let row = try buffer.next({ try rows.next(&tally) }) { chunk.append(row) }
        let isLast = chunk.count < Self.chunk
        let (encode, truncation, isStrict) = (encode, options.truncation, options.isStrict)
        let given = chunk
        let encoded = try inParallelChunks(of: given.count, threads: options.threads, chunk: 8) { range in
            try range.map { index in
                do {
                    return Result<[TokenizedDataset.Sample], RowRejection>.success(
                        try truncation.samples(of: encode(given[index].row)))
                } catch let fault as RowFault {
                    throw DatasetError(fault, at: given[index].place)
                } catch let error as DatasetError {
                    throw error
                } catch {
                    let rejection = error as? RowRejection ?? RowRejection("cannot be encoded", "\(error)")
                    if isStrict {
                        throw DatasetError(strictly: rejection, at: given[index].place)
                    }
                    return .failure(rejection)
                }
            }
        }
        var made: [(sample: TokenizedDataset.Sample, place: String)] = []
        for (row, result) in zip(chunk, encoded.joined()) {
            switch result {
            case .success(let samples): made += samples.map { ($0, row.place) }
            case .failure(let rejection): tally.drop(DroppedRow(file: row.file, line: row.line, rejection))
            }
        }
        try report(left)
        add(made, isLast: isLast)
        if !made.isEmpty { isEpochEmpty = false }
        if isLast { try nextEpoch() }
    }

    private func add(_ made: [(sample: TokenizedDataset.Sample, place: String)], isLast: Bool) {
        guard packing != nil else {
            units += made.map { [$0] }
            return
        }
        var numbers: [(sample: Int32, length: Int)] = []
        for entry in made {
            numbers.append((serial, entry.sample.ids.count))
            unpacked[serial] = entry
            serial &+= 1
        }
        packing?.add(numbers)
        for pack in packing?.take(isLast: isLast) ?? [] {
            units.append(pack.compactMap { unpacked.removeValue(forKey: $0) })
        }
    }

    private func nextEpoch() throws {
        guard !isEpochEmpty else {
            let reasons = dropped.prefix(3).map { "\($0.file):\($0.line): \($0.reason)" }.joined(separator: "; ")
            throw DatasetError(
                "no row of \(references.map(\.location).joined(separator: ", ")) can be used: \(reasons)")
        }
        epoch += 1
        isEpochEmpty = true
        epochEnds.append(first + units.count)
        (rows, buffer) = try Self.start(references, recognizer, options, epoch: epoch)
    }

    /// Rows come again when a run starts over or an epoch ends; each is reported the first time.
    private func report(_ left: [DroppedRow]) throws {
        let share = Double(tally.droppedCount) / Double(max(tally.rowCount, 1))
        if tally.rowCount >= Self.rowsToJudge, share > options.maximumDroppedShare {
            throw DatasetError(
                DroppedShare.message(share: share, limit: options.maximumDroppedShare, examples: dropped + left))
        }
        guard epoch == 0, tally.rowCount > reportedRows else { return }
        for row in left {
            if dropped.count < Self.keptDrops { dropped.append(row) }
            try onDrop?(row)
        }
    }
}

extension Truncation {
    /// The samples of an encoded conversation.
    ///
    /// - Throws: `RowRejection` where there is none.
    func samples(of encoded: EncodedConversation) throws -> [TokenizedDataset.Sample] {
        let (ranges, _) = try parts(ofLength: encoded.ids.count)
        let samples = ranges.compactMap { range -> TokenizedDataset.Sample? in
            var weights = Array(encoded.weights[range])
            guard !weights.isEmpty else { return nil }
            weights[0] = 0
            guard weights.contains(where: { $0 != 0 }) else { return nil }
            return TokenizedDataset.Sample(
                ids: Array(encoded.ids[range]), isTrained: weights.map { $0 != 0 },
                weights: weights.contains { $0 != 0 && $0 != 1 } ? weights : nil, channel: encoded.channel)
        }
        guard !samples.isEmpty else { throw RowRejection("nothing to train on") }
        return samples
    }
}
