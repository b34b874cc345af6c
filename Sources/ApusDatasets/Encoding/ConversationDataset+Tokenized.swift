/// Turns a conversation into token ids and, for each, whether it is trained on.
package typealias ConversationEncoding = @Sendable (Conversation) throws -> (ids: [Int32], isTrained: [Bool])

extension ConversationDataset {
    /// Encodes every conversation, once, on several threads.
    ///
    /// The result does not depend on how many.
    ///
    /// - Parameters:
    ///   - truncation: `max_length` and `truncation_strategy`.
    ///   - requiresTargets: Whether a sample without a trained token is dropped.
    ///   - isStrict: Whether the first conversation that cannot be used is an error.
    ///   - threads: `dataset_num_proc`.
    ///   - progress: How many of the distinct rows are done; calls do not overlap but come from any thread.
    ///   - encode: The chat template and tokenizer.
    /// - Throws: `DatasetError` naming file and line when strict, and when no conversation is left.
    package func tokenized(
        truncation: Truncation, requiresTargets: Bool = true, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, encode: ConversationEncoding
    ) throws -> (dataset: TokenizedDataset, report: EncodingReport) {
        let distinct = DistinctRows(rows)
        var chunks = try inParallelChunks(of: distinct.first.count, threads: threads, progress: progress) { range in
            var chunk = EncodedChunk()
            for conversation in distinct.first[range] {
                do {
                    try chunk.append(
                        encode(self.conversation(at: conversation)), truncation: truncation,
                        requiresTargets: requiresTargets)
                } catch let error as DatasetError {
                    throw error
                } catch {
                    let rejection = error as? RowRejection ?? RowRejection("cannot be encoded", "\(error)")
                    if isStrict { throw DatasetError(strictly: rejection, at: place(of: conversation)) }
                    chunk.results.append(.failure(rejection))
                }
            }
            return chunk
        }
        var dataset = TokenizedDataset()
        dataset.reserveCapacity(tokens: chunks.reduce(0) { $0 + $1.ids.count })
        var outcomes: [Result<Int32, RowRejection>] = []
        outcomes.reserveCapacity(distinct.first.count)
        for index in chunks.indices {
            let chunk = chunks[index]
            // Each range is freed as soon as it is stored, so that the tokens are not held twice.
            chunks[index] = EncodedChunk()
            var start = 0
            for result in chunk.results {
                outcomes.append(
                    result.map { length in
                        defer { start += length }
                        return dataset.appendSequence(
                            chunk.ids[start..<start + length], isTrained: chunk.isTrained[start..<start + length])
                    })
            }
        }
        var dropped = RowTally()
        for conversation in rows.indices {
            switch outcomes[distinct.number(of: conversation)] {
            case .success(let sequence): dataset.appendSample(sequence: sequence, conversation: conversation)
            case .failure(let rejection): dropped.add(rejection, place: place(of: conversation))
            }
        }
        guard !dataset.isEmpty || isEmpty else {
            throw DatasetError(
                "no sample is left of \(count):\n\(dropped.lines(indent: 2))\n"
                    + "Give rows that the chat template takes, with an assistant's answer and at most --max_length "
                    + "tokens; --truncation_strategy left or right cuts longer ones.")
        }
        return (dataset, EncodingReport(dataset: dataset, dropped: dropped))
    }
}

/// Which samples are the same row.
private struct DistinctRows: Sendable {
    /// The first sample of each row.
    private(set) var first: [Int] = []
    private var numbers: [Int32] = []

    init(_ rows: [ConversationDataset.RowID]) {
        numbers.reserveCapacity(rows.count)
        var known: [ConversationDataset.RowID: Int32] = [:]
        known.reserveCapacity(rows.count)
        for (index, row) in rows.enumerated() {
            let number = known[row] ?? Int32(first.count)
            if number == first.count {
                known[row] = number
                first.append(index)
            }
            numbers.append(number)
        }
    }

    /// The number of the distinct row behind a sample.
    func number(of sample: Int) -> Int { Int(numbers[sample]) }
}

/// The encoded rows of one range, end to end.
private struct EncodedChunk: Sendable {
    var ids: [Int32] = []
    var isTrained: [Bool] = []
    /// The length of each row, or why it has none.
    var results: [Result<Int, RowRejection>] = []

    mutating func append(
        _ encoded: (ids: [Int32], isTrained: [Bool]), truncation: Truncation, requiresTargets: Bool
    ) throws {
        guard encoded.ids.count == encoded.isTrained.count else {
            throw RowRejection(
                "cannot be encoded", "\(encoded.ids.count) ids but \(encoded.isTrained.count) marks of what is trained")
        }
        guard !encoded.ids.isEmpty else { throw RowRejection("no tokens") }
        let range = try truncation.range(ofLength: encoded.ids.count)
        guard !requiresTargets || encoded.isTrained[range].dropFirst().contains(true) else {
            throw RowRejection("nothing to train on")
        }
        ids += encoded.ids[range]
        isTrained.append(false)
        isTrained += encoded.isTrained[range].dropFirst()
        results.append(.success(range.count))
    }
}
