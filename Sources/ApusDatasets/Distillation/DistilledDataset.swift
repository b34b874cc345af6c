import ApusJSON
package import ApusText

/// Encoded conversations that a model learns from a teacher, who may read other words before the same answer.
package struct DistilledDataset: Sendable {
    package typealias Sample = TokenizedDataset.Sample

    /// Of each stored conversation what the model reads, and behind it what the teacher does: nothing where that is the same.
    private var sides = TokenizedDataset()
    /// The stored conversation of each sample.
    private var sequences: [Int32] = []
    /// For each sample its number in the `RowDataset` it came from, to name its file and line.
    package private(set) var rows: [Int32] = []

    package init() {}

    /// A data set of conversations made elsewhere.
    package init(_ samples: some Sequence<(student: Sample, teacher: Sample?)>) {
        for (number, sample) in samples.enumerated() {
            appendSample(sequence: append(sample.student, teacher: sample.teacher), row: number)
        }
    }

    package var count: Int { sequences.count }
    package var isEmpty: Bool { sequences.isEmpty }
    package var indices: Range<Int> { 0..<count }

    /// - Precondition: `index` is in `0..<count`.
    package func sample(_ index: Int) -> (student: Sample, teacher: Sample?) {
        let stored = 2 * Int(sequences[index])
        return (sides.sample(stored), sides.length(of: stored + 1) == 0 ? nil : sides.sample(stored + 1))
    }

    /// The tokens that model and teacher read of a sample, the longer of the two.
    package func length(of index: Int) -> Int {
        let stored = 2 * Int(sequences[index])
        return max(sides.length(of: stored), sides.length(of: stored + 1))
    }

    /// The learned tokens of a sample.
    package func trainedCount(of index: Int) -> Int { sides.trainedCount(of: 2 * Int(sequences[index])) }

    /// Whether the teacher reads other words before some answer.
    package var hasTeacherWords: Bool { indices.contains { sides.length(of: 2 * Int(sequences[$0]) + 1) > 0 } }

    /// Gives every id and mark of a sample to `body`, as bytes for a digest.
    package func withBytes(of index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let stored = 2 * Int(sequences[index])
        for side in [stored, stored + 1] {
            withUnsafeBytes(of: Int64(sides.length(of: side)), body)
            sides.withBytes(of: side, body)
        }
    }

    /// Stores a conversation and returns its number, for `appendSample`.
    @discardableResult
    mutating func append(_ student: Sample, teacher: Sample?) -> Int32 {
        let number = sequenceCount
        for side in [student, teacher ?? Sample(ids: [], isTrained: [])] {
            let weights = side.isTrained.map { $0 ? Float(1) : 0 }
            sides.appendSample(sequence: sides.appendSequence(side.ids[...], weights: weights[...]), row: number)
        }
        return Int32(number)
    }
}

extension DistilledDataset: SampleStore {
    var tokenCount: Int { sides.tokenCount }
    var sequenceCount: Int { sides.sequenceCount / 2 }

    mutating func reserveCapacity(for parts: [DistilledDataset]) { sides.reserveCapacity(for: parts.map(\.sides)) }

    mutating func appendSequence(_ number: Int, of part: DistilledDataset) -> Int32 {
        let teacher = part.sides.sample(2 * number + 1)
        return append(part.sides.sample(2 * number), teacher: teacher.ids.isEmpty ? nil : teacher)
    }

    mutating func appendSample(sequence: Int32, row: Int) {
        sequences.append(sequence)
        rows.append(Int32(row))
    }

    func write(to file: ArrayWriter) throws { try sides.write(to: file) }

    init(from file: inout ArrayReader) throws {
        sides = try TokenizedDataset(from: &file)
        guard sides.sequenceCount.isMultiple(of: 2) else { throw file.misfit }
        sides.appendSequencesAsSamples()
    }
}

extension TokenizedDataset.Sample {
    /// Where the last run of learned tokens begins: the answer to all that comes before it.
    package var answerStart: Int {
        let end = isTrained.lastIndex(of: true) ?? 0
        return (isTrained[..<end].lastIndex(of: false) ?? -1) + 1
    }

    /// The same question with another answer, all of which is learned.
    package func answered(_ answer: [Int32]) -> TokenizedDataset.Sample {
        let question = ids[..<answerStart]
        return TokenizedDataset.Sample(
            ids: question + answer,
            isTrained: Array(repeating: false, count: question.count) + Array(repeating: true, count: answer.count))
    }

    /// The tokens that are learned, in order.
    fileprivate var learned: [Int32] { zip(ids, isTrained).filter(\.1).map(\.0) }
}

extension RowDataset where Recognizer == ConversationRecognizer {
    /// Encodes every conversation, once, on several threads, and where a row has a `teacher_prompt` also what the teacher
    /// reads: the same conversation with that in the place of the last question.
    ///
    /// - Parameters:
    ///   - truncation: `max_length` of each side and `truncation_strategy`.
    ///   - answersItself: Whether the model answers every question itself, so that rows need no answer.
    ///   - isStrict: Whether the first row that cannot be used is an error.
    ///   - encode: The chat template and tokenizer.
    /// - Throws: `DatasetError` naming file and line when strict, and when no row is left.
    package func distilled(
        truncation: Truncation, answersItself: Bool = false, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: @Sendable (Conversation) throws -> EncodedConversation
    ) throws -> (dataset: DistilledDataset, report: EncodingReport) {
        let (dataset, tallies) = try encoded(
            into: DistilledDataset(), isStrict: isStrict, threads: threads, progress: progress,
            advice:
                "Give rows that the chat template takes, with an assistant's answer and at most --max_length tokens; "
                + "--truncation_strategy left or right cuts longer ones.",
            cache: cache, options: truncation.words.merging(["answers": "\(answersItself)"]) { $1 }
        ) { conversation, dataset in
            func side(_ conversation: Conversation) throws -> (sample: TokenizedDataset.Sample, notes: [String]) {
                var tokens = AnswerTokens(try encode(conversation))
                let (range, notes) = try truncation.part(ofLength: tokens.ids.count)
                tokens.keep(range)
                guard tokens.isTrained.contains(true) else { throw RowRejection("nothing to train on") }
                return (tokens.sample, tokens.notes + notes)
            }
            var conversation = conversation
            if conversation.messages.last?.role != "assistant" {
                guard answersItself else {
                    throw RowRejection("no assistant message to learn from", "it ends with a question")
                }
                // An empty one has the place and the end of an answer.
                conversation.messages.append(Message(role: "assistant", content: ""))
            }
            let student = try side(conversation)
            guard let other = try conversation.forTeacher else {
                dataset.append(student.sample, teacher: nil)
                return student.notes
            }
            let teacher = try side(other)
            guard teacher.sample.learned == student.sample.learned else {
                throw RowRejection(
                    "the answer has other tokens behind teacher_prompt",
                    "\(student.sample.learned.count) and \(teacher.sample.learned.count); --max_length may have cut one"
                )
            }
            dataset.append(student.sample, teacher: teacher.sample)
            return Set(student.notes + teacher.notes).sorted()
        }
        return (dataset, EncodingReport(lengths: dataset.indices.map(dataset.length), tallies))
    }
}

extension Conversation {
    /// The conversation as its teacher reads it; nil where that is as it stands.
    fileprivate var forTeacher: Conversation? {
        get throws {
            guard let value = otherColumns["teacher_prompt"], value != .null else { return nil }
            guard let words = value.stringValue else {
                throw RowRejection("teacher_prompt is not a text", value.excerpt)
            }
            guard let place = messages.lastIndex(where: { $0.role == "user" }) else {
                throw RowRejection("teacher_prompt without a question", "it takes the place of the last one")
            }
            var other = self
            other.messages[place] = Message(role: "user", content: words)
            return other
        }
    }
}
