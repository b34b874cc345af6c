package import ApusJSON

/// An answer that is to be rewarded, with all that is known of its question.
package struct Completion: Sendable {
    /// The conversation up to the answer, as `{"role": …, "content": …}`.
    package let messages: [JSONObject]

    /// The answer.
    package let text: String

    /// Its tokens, with the one that ended it where a model has just drawn it: lengths count that, as in ms-swift and TRL.
    package let tokens: [Int32]

    /// Whether it was cut off at the longest that an answer may be.
    package let isTruncated: Bool

    /// The other columns of the question's row, such as `solution`.
    package let columns: JSONObject

    package init(
        messages: [JSONObject], text: String, tokens: [Int32], isTruncated: Bool = false, columns: JSONObject = [:]
    ) {
        self.messages = messages
        self.text = text
        self.tokens = tokens
        self.isTruncated = isTruncated
        self.columns = columns
    }
}

/// Says how good answers are.
package protocol RewardFunction: Sendable {
    /// As in the log, such as `Format` in `rewards/Format/mean`.
    var name: String { get }

    /// Why answers to a question cannot be rewarded whose row has these other columns; nil where they can.
    func fault(of columns: JSONObject) -> ColumnFault?

    /// One number for each answer, in order; nil where it has nothing to say of one.
    func rewards(of completions: [Completion]) throws -> [Double?]
}

extension RewardFunction {
    package func fault(of columns: JSONObject) -> ColumnFault? { nil }
}

/// What a row lacks for whoever reads its columns.
package struct ColumnFault: Sendable, Equatable {
    /// The same words for every row that has it.
    package let reason: String
    /// What this row has.
    package let detail: String
}
