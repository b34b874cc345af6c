import ApusDatasets
import ApusJSON
import ApusRewards
import ApusText
import Crypto
import Foundation

/// A question of a dataset, as it is answered and written.
struct SampledRow {
    /// Its place among the rows, which names the random stream of its answers.
    let index: Int
    /// The conversation before the answer.
    let asked: [Message]
    let tools: [JSONValue]?
    let variables: [String: JSONValue]
    /// The answer that the row brings.
    let reference: String?
    let columns: JSONObject
    /// The MD5 of the row in JSON with sorted keys, as ms-swift names rows.
    let id: String

    init(_ conversation: Conversation, index: Int, system: String?) {
        self.index = index
        var messages = conversation.messages
        if let system, !system.isEmpty {
            // As in ms-swift a given system text takes the place of the row's own.
            if messages.first?.role == "system" { messages.removeFirst() }
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        tools = conversation.tools
        variables = conversation.variables
        columns = conversation.otherColumns
        let isAnswered = messages.last?.role == "assistant"
        reference = isAnswered ? messages.last?.text : nil
        asked = isAnswered ? Array(messages.dropLast()) : messages
        var row = columns
        row["messages"] = .array(messages.map(\.json))
        if let tools { row["tools"] = .array(tools) }
        let text = JSONValue.object(row).serialized(sortedKeys: true, escapeNonASCII: true)
        id = Insecure.MD5.hash(data: Array(text.utf8)).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    /// The row with an answer; columns of its own that are called like one of these are kept under another name.
    ///
    /// - Parameter names: What else is written of the answer.
    func answered(_ answer: String, beside names: Set<String> = []) -> JSONObject {
        let own = names.union(["id", "messages", "tools", "rejected_response", "is_truncated"])
        var row = InputColumns.added(columns, to: JSONObject(), own: own)
        row["messages"] = .array((asked + [Message(role: "assistant", content: answer)]).map(\.json))
        if let tools { row["tools"] = .array(tools) }
        row["id"] = .string(id)
        return row
    }

    /// An answer to be judged; where the row has no column `solution`, that is the answer it brings.
    func completion(_ answer: Answering.Sequence) -> ApusRewards.Completion {
        var columns = columns
        if columns["solution"] == nil, let reference { columns["solution"] = .string(reference) }
        return ApusRewards.Completion(
            messages: asked.compactMap(\.json.objectValue), text: answer.text, tokens: answer.tokens,
            isTruncated: answer.isTruncated, columns: columns)
    }
}
