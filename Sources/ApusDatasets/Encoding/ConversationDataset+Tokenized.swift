package import ApusText

/// Turns a conversation into token ids and, for each, its part in the loss.
package typealias ConversationEncoding = @Sendable (Conversation) throws -> EncodedConversation

extension RowDataset where Recognizer == ConversationRecognizer {
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
    ///   - cache: Where what an earlier run encoded of the same rows is found; `nil` encodes them in any case.
    ///   - encode: The chat template and tokenizer.
    /// - Throws: `DatasetError` naming file and line when strict, and when no conversation is left.
    package func tokenized(
        truncation: Truncation, requiresTargets: Bool = true, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: ConversationEncoding
    ) throws -> (dataset: TokenizedDataset, report: EncodingReport) {
        let (dataset, tallies) = try encoded(
            into: TokenizedDataset(), isStrict: isStrict, threads: threads, progress: progress,
            advice: "Give rows that the chat template takes, with an assistant's answer and at most --max_length "
                + "tokens; --truncation_strategy left or right cuts longer ones.",
            cache: cache, options: truncation.words.merging(["targets": "\(requiresTargets)"]) { $1 }
        ) { conversation, dataset in
            let encoded = try encode(conversation)
            guard encoded.ids.count == encoded.weights.count else {
                throw RowRejection(
                    "cannot be encoded", "\(encoded.ids.count) ids but \(encoded.weights.count) weights")
            }
            guard !encoded.ids.isEmpty else { throw RowRejection("no tokens") }
            let (ranges, notes) = try truncation.parts(ofLength: encoded.ids.count)
            let trained = ranges.filter { range in
                !requiresTargets || encoded.weights[range].dropFirst().contains { $0 != 0 }
            }
            guard !trained.isEmpty else { throw RowRejection("nothing to train on") }
            for range in trained {
                var weights = encoded.weights[range]
                weights[range.lowerBound] = 0
                _ = dataset.appendSequence(encoded.ids[range], weights: weights, channel: encoded.channel)
            }
            return encoded.notes + notes
        }
        return (dataset, EncodingReport(dataset: dataset, tallies))
    }
}
