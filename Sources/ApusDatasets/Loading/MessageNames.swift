import ApusJSON

/// What a registered data set calls the parts of its messages: `messages` of an entry of `dataset_info.json`, whose keys are
/// the arguments of ms-swift's `MessagesPreprocessor`.
package struct MessageNames: Sendable, Hashable {
    package static let keys: Set<String> = [
        "role_key", "content_key", "user_role", "assistant_role", "system_role", "inner_key",
    ]

    private let names: [String: String]

    /// - Parameter names: Values by the keys above; others say nothing.
    package init(_ names: [String: String]) {
        self.names = names
    }

    /// Names by key, in the order of the alphabet.
    var description: String { names.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ") }

    private static let columns = Set(RowColumns.messages.names + RowColumns.rejectedMessages.names)

    /// The row with messages as everything else reads them.
    ///
    /// - Throws: `RowRejection` for a text that is no list of messages.
    func applied(to row: JSONObject) throws -> JSONObject {
        var row = row
        for key in row.keys where Self.columns.contains(key.trimmed.lowercased()) {
            guard let column = row[key], !column.isNull else { continue }
            let list = names["inner_key"].flatMap { column[$0] } ?? column
            row[key] = .array(try LooseJSON.list(list, column: key).map(renamed))
        }
        if let name = names["system_role"], let system = row[name], row["system"] == nil {
            row[name] = nil
            row["system"] = system
        }
        return row
    }

    private func renamed(_ message: JSONValue) -> JSONValue {
        guard let object = message.objectValue else { return message }
        var keys: [String: String] = [:]
        for (key, name) in [("role_key", "role"), ("content_key", "content")] {
            if let own = names[key], object[own] != nil { keys[own] = name }
        }
        let isPair = keys.isEmpty && ["role", "from", "content", "value"].allSatisfy { object[$0] == nil }
        if isPair {
            for (key, name) in [("user_role", "user"), ("assistant_role", "assistant")] {
                if let own = names[key] { keys[own] = name }
            }
        }
        var result = JSONObject()
        for (key, value) in object {
            if let name = keys[key] { result[name] = value } else if !keys.values.contains(key) { result[key] = value }
        }
        for key in ["role", "from"] {
            guard let role = result[key]?.stringValue else { continue }
            for name in ["user", "assistant", "system"] where names["\(name)_role"] == role {
                result[key] = .string(name)
            }
        }
        return .object(result)
    }
}
