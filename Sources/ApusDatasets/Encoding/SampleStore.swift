/// Encoded samples, made in parts on several threads and joined.
///
/// A stored sequence is what was encoded of a row, or a part of that; samples that are the same row share it.
protocol SampleStore: Sendable {
    var isEmpty: Bool { get }
    /// The tokens of all stored sequences.
    var tokenCount: Int { get }
    /// How many sequences are stored.
    var sequenceCount: Int { get }

    /// Makes room for the sequences of some parts.
    mutating func reserveCapacity(for parts: [Self])

    /// Stores a sequence of a part and returns its number, for `appendSample`.
    mutating func appendSequence(_ number: Int, of part: Self) -> Int32

    /// - Parameter row: The number of the sample in the `RowDataset` it came from.
    mutating func appendSample(sequence: Int32, row: Int)

    /// Writes the stored sequences, without samples.
    func write(to file: ArrayWriter) throws

    /// - Throws: `DatasetError` for arrays that do not belong together.
    init(from file: inout ArrayReader) throws
}

/// What became of rows when they were encoded.
struct EncodingTallies: Sendable {
    var dropped = RowTally()
    /// The dropped rows one by one.
    var droppedRows: [DroppedRow] = []
    /// The distinct rows.
    var rowCount = 0
    /// Samples that are used although something about them is worth knowing.
    var notes = RowTally()
}

/// The sequences of the distinct rows of a data set, and what became of each row.
struct EncodedRows<Store: Sendable>: Sendable {
    var store: Store
    var outcomes: [Result<(sequences: Range<Int32>, notes: [String]), RowRejection>] = []
}

extension RowDataset {
    /// Encodes every distinct row, once, on several threads.
    ///
    /// The result does not depend on how many.
    ///
    /// - Parameters:
    ///   - store: An empty store.
    ///   - advice: What to try when nothing is left.
    ///   - cache: Where what an earlier run encoded of the same rows is found; `nil` encodes them in any case.
    ///   - options: All that `append` goes by beside the row and what the cache knows of a tokenizer.
    ///   - append: Adds the sequences of a row to a store and returns what is worth knowing of them, or adds none and
    ///     throws.
    /// - Throws: `DatasetError` naming file and line for a `RowFault`, and when strict for any row that cannot be
    ///   encoded; and when no sample is left.
    func encoded<Store: SampleStore>(
        into store: Store, isStrict: Bool, threads: Int, progress: (@Sendable (_ done: Int, _ total: Int) -> Void)?,
        advice: String, cache: SampleCache?, options: [String: String],
        append: @Sendable (Recognizer.Row, inout Store) throws -> [String]
    ) throws -> (Store, EncodingTallies) {
        let distinct = DistinctRows(rows)
        func anew() throws -> EncodedRows<Store> {
            try self.encoded(distinct, into: store, isStrict: isStrict, threads: threads, progress: progress, append)
        }
        var options = options
        options["strict"] = "\(isStrict)"
        let encoded = try cache?.encoded(self, distinct, options: options, anew: anew) ?? anew()
        var whole = encoded.store
        var tallies = EncodingTallies()
        tallies.rowCount = distinct.first.count
        for (outcome, sample) in zip(encoded.outcomes, distinct.first) {
            if case .failure(let rejection) = outcome { tallies.droppedRows.append(dropped(sample, rejection)) }
        }
        for sample in rows.indices {
            switch encoded.outcomes[distinct.number(of: sample)] {
            case .success(let (sequences, notes)):
                for sequence in sequences { whole.appendSample(sequence: sequence, row: sample) }
                for note in notes { tallies.notes.add(note, example: place(of: sample)) }
            case .failure(let rejection): tallies.dropped.add(rejection, place: place(of: sample))
            }
        }
        guard !whole.isEmpty || isEmpty else {
            throw DatasetError("no sample is left of \(count):\n\(tallies.dropped.lines(indent: 2))\n\(advice)")
        }
        return (whole, tallies)
    }

    private func encoded<Store: SampleStore>(
        _ distinct: DistinctRows, into store: Store, isStrict: Bool, threads: Int,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)?,
        _ append: @Sendable (Recognizer.Row, inout Store) throws -> [String]
    ) throws -> EncodedRows<Store> {
        var parts = try inParallelChunks(of: distinct.first.count, threads: threads, progress: progress) { range in
            var part = store
            var outcomes: [Result<(count: Int, notes: [String]), RowRejection>] = []
            for sample in distinct.first[range] {
                do {
                    let before = part.sequenceCount
                    let notes = try append(recognized(at: sample), &part)
                    outcomes.append(.success((part.sequenceCount - before, notes)))
                } catch let error as DatasetError {
                    throw error
                } catch let fault as RowFault {
                    throw DatasetError(fault, at: place(of: sample))
                } catch {
                    let rejection = error as? RowRejection ?? RowRejection("cannot be encoded", "\(error)")
                    if isStrict { throw DatasetError(strictly: rejection, at: place(of: sample)) }
                    outcomes.append(.failure(rejection))
                }
            }
            return (store: part, outcomes: outcomes)
        }
        var whole = EncodedRows(store: store)
        whole.store.reserveCapacity(for: parts.map(\.store))
        whole.outcomes.reserveCapacity(distinct.first.count)
        for index in parts.indices {
            let part = parts[index]
            // Each part is freed as soon as it is joined, so that the tokens are not held twice.
            parts[index] = (store, [])
            var next = 0
            for outcome in part.outcomes {
                whole.outcomes.append(
                    outcome.map { count, notes in
                        let first = Int32(whole.store.sequenceCount)
                        for _ in 0..<count {
                            _ = whole.store.appendSequence(next, of: part.store)
                            next += 1
                        }
                        return (first..<first + Int32(count), notes)
                    })
            }
        }
        return whole
    }
}
