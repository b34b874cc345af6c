import ApusJSON
import ApusText

extension Message {
    /// - Parameter others: Further keys for the template; those that are null are left out, because templates test
    ///   whether a key is there.
    init(role: String, text: String, others: JSONObject = [:], training: TurnTraining) {
        self.init(role: role, content: text, isTrained: training.isTrained)
        weight = training.weight
        for (key, value) in others where !value.isNull { fields[key] = value }
    }

    /// Adds calls of tools; none adds nothing.
    mutating func append(toolCalls calls: [JSONValue]) {
        if !calls.isEmpty { fields["tool_calls"] = .array(toolCalls + calls) }
    }

    /// The text, empty where there is none.
    var textOrEmpty: String { text ?? "" }

    /// Whether the message says nothing and calls nothing.
    var hasNothing: Bool { textOrEmpty.isEmpty && toolCalls.isEmpty && (reasoning ?? "").isEmpty }

    mutating func replaceText(_ placeholder: String, with replacement: String) {
        text = text?.replacing(placeholder, with: replacement)
    }
}
