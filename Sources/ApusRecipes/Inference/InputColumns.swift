import ApusDatasets
import ApusJSON

/// The columns of an input row beside what a command writes of the row.
///
/// A column whose name the command needs itself is kept under another: `error` as `input_error`. So what stands under a
/// name always means the same, whatever the input has.
enum InputColumns {
    /// What answers to rows have of their own, whatever the task.
    static let ofAnswers: Set<String> = [
        "response", "responses", "messages", "logprobs", "error", CutPrompts.column,
    ]

    /// A result with the columns of its row.
    ///
    /// - Parameter own: Names that are the command's also where the result does not use them.
    static func added(_ columns: JSONObject, to result: JSONObject, own: Set<String> = ofAnswers) -> JSONObject {
        var result = result
        for (name, value) in columns {
            func isTaken(_ free: String) -> Bool {
                own.contains(free) || result[free].map { !$0.isNull } == true || free != name && columns[free] != nil
            }
            var free = name
            while isTaken(free) { free = "input_" + free }
            // Where it says nothing, there is nothing to keep.
            if free == name || !value.isNull { result[free] = value }
        }
        return result
    }
}

/// What is said of prompts of which the model sees a part.
enum CutPrompts {
    /// How many tokens of a row were left out.
    static let column = "prompt_tokens_cut"

    /// - Parameter rows: How many of them were cut, and how many there are.
    static func note(_ rows: (cut: Int, all: Int), to limit: Int, _ settings: EncodingSettings) -> String {
        "note: \(rows.cut) of \(rows.all) prompts were cut to \(limit) tokens (\(strategy(settings)))"
    }

    /// - Parameter tokens: How many were left out.
    static func note(tokens: Int, to limit: Int, _ settings: EncodingSettings) -> String {
        "note: the prompt was cut to \(limit) tokens, without \(tokens) of its own (\(strategy(settings)))"
    }

    private static func strategy(_ settings: EncodingSettings) -> String {
        "--truncation_strategy \(settings.truncationStrategy.rawValue)"
    }
}

extension JSONObject {
    /// Writes down how many tokens the model did not see; nothing where it saw all.
    mutating func note(tokensCut count: Int) {
        if count > 0 { self[CutPrompts.column] = .int(count) }
    }
}
