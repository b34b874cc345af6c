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
        /// A question of a task that `RowChange+Prompts.swift` writes down: keywords to an advertisement.
        case advertisement
        /// A sentence to the name of its sentiment.
        case namedSentiment = "named-sentiment"
        /// Two sentences to the name of what the one says about the other.
        case namedInference = "named-inference"
        /// A context and an answer to a question.
        case questionGeneration = "question-generation"
        /// Tables and a wish to SQL with its explanation.
        case explainedSQL = "explained-sql"
        /// A Sudoku in rows of nine.
        case sudoku
        /// Numbers and a target, which a reward reads too.
        case countdown
        /// The way to a result and the result.
        case workedAnswer = "worked-answer"
        /// A problem and its code in one text, and the explanation.
        case explainedCode = "explained-code"
        /// What helps to answer stands before the question.
        case contextFirst = "context-first"
        /// The parts of a law as one text.
        case lawText = "law-text"
        /// A title without its number.
        case unnumberedTitle = "unnumbered-title"
        /// The query and the response alone.
        case queryAndResponse = "query-and-response"
        /// The kinds of instructions that are used.
        case knownKinds = "known-kinds"
        /// Pairs that do not come from a set of poisonous prompts.
        case withoutToxic = "without-toxic"
        /// Texts without the marks that make an emoji of a character.
        case withoutEmojiMarks = "without-emoji-marks"
        /// Two conversations in one text each.
        case dialogues
        /// A conversation, its end and a worse one.
        case twoEnds = "two-ends"
        /// Functions to call, described in a column, and no system text.
        case describedFunctions = "described-functions"
        /// Calls in a column.
        case callsInColumn = "calls-in-column"
        /// What several roles say, answered by the last.
        case severalRoles = "several-roles"
        /// The one who answers has a name of their own.
        case namedAnswerer = "named-answerer"
        /// Messages as text with commas left out.
        case looseMessages = "loose-messages"
        /// Conversations of one program, without those that name it.
        case namelessBench = "nameless-bench"
        /// Conversations that offer two tools or more.
        case severalTools = "several-tools"
        /// Rounds as text with the names of who speaks.
        case spokenRounds = "spoken-rounds"
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
}

/// Finds the files of a data set of a hub; nil for what is a path.
package typealias DatasetFetching = @Sendable (DatasetReference) throws -> FetchedDataset?
