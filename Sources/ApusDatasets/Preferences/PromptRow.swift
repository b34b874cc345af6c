package import ApusJSON
import ApusText

/// A question that a model will answer itself, and what the row says beside it.
package struct PromptRow: Sendable, Equatable {
    /// Up to where the answer begins.
    package var conversation: Conversation
    /// The other columns, for whoever rewards answers.
    ///
    /// An answer that the row brings is also its `solution`, where it has no such column.
    package var columns: JSONObject

    package init(_ conversation: Conversation, columns: JSONObject) {
        self.conversation = conversation
        self.columns = columns
    }
}

package typealias PromptRows = RowDataset<PromptRecognizer>

/// Turns rows of any format that `ConversationRecognizer` knows into questions; an answer at the end is taken off.
package struct PromptRecognizer: RowRecognizer {
    package static let advice =
        "Give rows with \"messages\" that end with a question, or with \"query\"; --columns '{\"yours\": \"query\"}' "
        + "renames columns. What rewards such as accuracy compare answers with is the column \"solution\" (--columns "
        + "'{\"answer\": \"solution\"}')."

    package var mapping: ColumnMapping { conversations.mapping }
    private let conversations: ConversationRecognizer
    private let usesAliases: Bool
    /// The columns that a question is made of, in lower case; they are no answers to it.
    private let asked: Set<String>

    private let fault: @Sendable (JSONObject) -> (reason: String, detail: String)?

    /// - Parameter fault: Why a question with some other columns cannot be asked; nil where it can.
    package init(
        _ options: ConversationRecognizer.Options,
        fault: @escaping @Sendable (JSONObject) -> (reason: String, detail: String)? = { _ in nil }
    ) throws {
        self.fault = fault
        var options = options
        options.requiresAnswer = false
        options.takesResponse = false
        usesAliases = options.mapsColumns
        let renamed = ColumnMapping(options.columns)
        asked = Set((options.promptFormat?.columns ?? []).map { renamed.name(of: $0).trimmed.lowercased() })
        conversations = try ConversationRecognizer(options)
    }

    package func recognize(_ value: JSONValue) throws -> RecognizedRow<PromptRow> {
        let row = try conversations.recognize(value)
        var conversation = row.row
        var columns = conversation.otherColumns
        if let last = conversation.messages.last, last.role == "assistant" {
            conversation.messages.removeLast()
            if columns["solution"] == nil, let text = last.text { columns["solution"] = .string(text) }
        } else if columns["solution"] == nil, let answer = try response(beside: value, in: columns) {
            columns["solution"] = answer
        }
        guard let last = conversation.messages.last, last.role != "assistant", last.role != "system" else {
            throw RowRejection("the conversation does not end with a question")
        }
        if let fault = fault(columns) { throw RowRejection(fault.reason, fault.detail) }
        return RecognizedRow(PromptRow(conversation, columns: columns), notes: row.notes, unusedColumns: [])
    }

    /// The response of a row that has a query and no messages, where it is a text or a number; of several texts the first.
    private func response(beside value: JSONValue, in columns: JSONObject) throws -> JSONValue? {
        var others = columns
        for key in columns.keys where asked.contains(key.trimmed.lowercased()) { others[key] = nil }
        guard let row = try value.objectValue.map(mapping.applied),
            try RowColumns.messages.column(in: row, usingAliases: usesAliases, isRequired: false) == nil,
            let name = try RowColumns.response.column(in: others, usingAliases: usesAliases, isRequired: false)
        else { return nil }
        let response = columns[name]
        let first = response?.arrayValue?.first ?? response
        let isMessage = first?.objectValue != nil
        let answer = isMessage ? (response?.arrayValue?.last ?? response)?["content"] : first
        return answer?.stringValue != nil || answer?.doubleValue != nil ? answer : nil
    }
}

extension RowDataset where Recognizer == PromptRecognizer {
    /// Encodes every question, once, on several threads.
    ///
    /// - Parameters:
    ///   - truncation: The most tokens of a question and what happens to longer ones.
    ///   - isStrict: Whether the first row that cannot be used is an error.
    ///   - encode: The ids that a model goes on from.
    /// - Throws: `DatasetError` naming file and line when strict, and when no row is left.
    package func questions(
        truncation: Truncation, isStrict: Bool = false, threads: Int = 1,
        progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil, cache: SampleCache? = nil,
        encode: @Sendable (Conversation) throws -> [Int32]
    ) throws -> (dataset: TokenizedDataset, report: EncodingReport) {
        let (dataset, tallies) = try encoded(
            into: TokenizedDataset(), isStrict: isStrict, threads: threads, progress: progress,
            advice:
                "Give questions that the chat template takes, of at most --max_length tokens; --truncation_strategy "
                + "left cuts longer ones.",
            cache: cache, options: truncation.words
        ) { row, dataset in
            let ids = try encode(row.conversation)
            guard !ids.isEmpty else { throw RowRejection("no tokens") }
            let (range, notes) = try truncation.part(ofLength: ids.count)
            let weights = Array(repeating: Float(0), count: range.count)
            _ = dataset.appendSequence(ids[range], weights: weights[...])
            return notes
        }
        // What is learned are answers that nobody gave yet.
        return (dataset, EncodingReport(lengths: dataset.indices.map(dataset.length), tallies))
    }
}
