import ApusJSON
import Foundation

/// A data set of a hub or a registry, as files of this machine.
package struct FetchedDataset: Sendable {
    /// Files whose rows are read in the same way.
    package struct Part: Sendable {
        package var files: [String]
        /// What becomes of a row before it is looked at.
        package var change: RowChange
        /// A subset that the task gives a meaning to, as it does with files.
        package var subset: String?

        package init(files: [String], change: RowChange = RowChange(), subset: String? = nil) {
            self.files = files
            self.change = change
            self.subset = subset
        }
    }

    /// One for each subset that was named.
    package var parts: [Part]

    package init(parts: [Part]) {
        self.parts = parts
    }
}

/// What a registered data set does to its rows before they are looked at: new names of columns and of what is inside of
/// messages, then a rule.
package struct RowChange: Sendable, Equatable {
    /// Rules of data sets that ms-swift registers, which renaming alone does not do.
    package enum Rule: String, Sendable, CaseIterable {
        /// A pair with a score becomes a question for the score, answered by a number.
        case scoredQuestion = "scored-question"
        /// As that, with the score as the answer's text.
        case scoreAsText = "score-as-text"
        /// A pair with a score becomes two texts that belong together.
        case positivePair = "positive-pair"
        /// As that, leaving out pairs that are less alike than 0.75.
        case nearPair = "near-pair"
        /// The word for "input" in front of an input is left out.
        case withoutInputMark = "without-input-mark"
        /// `/no_think` behind the question and an empty thought before the answer.
        case noThink = "no-think"
        /// An empty thought before the answer.
        case emptyThought = "empty-thought"
        /// The word "Answer" in front of an answer is left out.
        case withoutAnswerMark = "without-answer-mark"
    }

    /// New names by old ones; what gets the name `_` or `-` is left out.
    package var columns: [String: String]
    package var messages: MessageNames?
    package var rule: Rule?

    package init(columns: [String: String] = [:], messages: MessageNames? = nil, rule: Rule? = nil) {
        self.columns = columns
        self.messages = messages
        self.rule = rule
    }

    var isEmpty: Bool { columns.isEmpty && messages == nil && rule == nil }

    /// - Throws: `RowRejection` for a row that the rule cannot use, or without a list where messages should be.
    func applied(to value: JSONValue) throws -> JSONValue {
        guard !isEmpty, let object = value.objectValue else { return value }
        var row = JSONObject()
        // A renamed column takes the place of one that has the name already.
        let renamed = Set(object.keys.compactMap { columns[$0] })
        for (key, value) in object {
            if let name = columns[key] {
                if name != "_", name != "-" { row[name] = value }
            } else if !renamed.contains(key) {
                row[key] = value
            }
        }
        if let messages { row = try messages.applied(to: row) }
        return .object(try rule.map { try Self.applied($0, to: row) } ?? row)
    }

    private static let prompt = """
        Task: Based on the given two sentences, provide a similarity score between 0.0 and 1.0.
        Sentence 1: {text1}
        Sentence 2: {text2}
        Similarity score:\u{20}
        """
    private static let emptyThought = "<think>\n\n</think>\n\n"
    private static let nearest = 0.75

    private static func applied(_ rule: Rule, to row: JSONObject) throws -> JSONObject {
        var row = row
        switch rule {
        case .scoredQuestion, .scoreAsText:
            let (first, second, score) = try pair(row)
            row = ["query": .string(PairFormat.joined(first, second, by: prompt))]
            if rule == .scoredQuestion {
                row["label"] = .double(score)
            } else {
                row["response"] = .string(String(format: "%.1f", score))
            }
        case .positivePair, .nearPair:
            let (first, second, score) = try pair(row)
            guard rule == .positivePair || score >= nearest else {
                throw RowRejection("the two texts are less alike than \(nearest)")
            }
            func said(_ text: String) -> JSONValue { [["role": "user", "content": .string(text)]] }
            row = ["messages": said(first), "positive_messages": [said(second)], "label": .double(score)]
        case .withoutInputMark: strip("输入：", from: "input", of: &row)
        case .withoutAnswerMark:
            for column in ["response", "output"] { strip("Answer: ", from: column, of: &row) }
        case .noThink, .emptyThought:
            if rule == .noThink, let query = row["query"]?.stringValue { row["query"] = .string(query + " /no_think") }
            if let response = row["response"]?.stringValue { row["response"] = .string(emptyThought + response) }
        }
        return row
    }

    private static func strip(_ mark: String, from column: String, of row: inout JSONObject) {
        guard let text = row[column]?.stringValue, text.hasPrefix(mark) else { return }
        row[column] = .string(String(text.dropFirst(mark.count)))
    }

    private static func pair(_ row: JSONObject) throws -> (String, String, Double) {
        // Fields of a table are texts.
        let score = row["score"].flatMap { $0.doubleValue ?? $0.stringValue.flatMap { Double($0) } }
        guard let first = row["sentence1"]?.stringValue, let second = row["sentence2"]?.stringValue, let score else {
            throw RowRejection("a row has no sentence1, sentence2 and score")
        }
        return (first, second, score)
    }
}

/// Finds the files of a data set of a hub; nil for what is a path.
package typealias DatasetFetching = @Sendable (DatasetReference) throws -> FetchedDataset?
