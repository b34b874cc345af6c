import ApusJSON

extension JSONValue {
    /// The columns of a row.
    ///
    /// - Throws: `RowRejection` for what has none.
    var row: JSONObject {
        get throws {
            guard let columns = objectValue else { throw RowRejection("a row is not a JSON object", "it is \(kind)") }
            return columns
        }
    }

    /// What the value is, for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a truth value"
        case .int, .double, .number: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The beginning of the value as JSON, for messages.
    var excerpt: String {
        let text = serialized()
        return text.count > 60 ? text.prefix(60) + "…" : text
    }

    /// The text, or `nil` for null.
    func textOrNil(_ column: String) throws -> String? {
        if isNull { return nil }
        if let text = stringValue { return text }
        throw RowRejection("the \(column) is not a text", "it is \(kind): \(excerpt)")
    }
}

extension JSONObject {
    /// The names of the columns, for messages.
    var columnList: String {
        isEmpty ? "no columns" : "columns " + keys.prefix(12).joined(separator: ", ") + (count > 12 ? " …" : "")
    }
}

/// Columns that hold a structure as text, in JSON or as Python prints it.
enum LooseJSON {
    static func value(_ text: String, column: String) throws -> JSONValue {
        do {
            return try JSONValue(parsing: text)
        } catch {
            if let value = PythonLiteral.parse(text) { return value }
            throw RowRejection("the \(column) is neither JSON nor a Python literal", JSONValue.string(text).excerpt)
        }
    }

    static func list(_ value: JSONValue, column: String) throws -> [JSONValue] {
        let value = if let text = value.stringValue { try Self.value(text, column: column) } else { value }
        guard let list = value.arrayValue else {
            throw RowRejection("the \(column) is not a list", "it is \(value.kind): \(value.excerpt)")
        }
        return list
    }
}
