package import ApusJSON

/// A row that is left out, and why.
package struct DroppedRow: Sendable, Equatable {
    /// The path of its file, as the user wrote it.
    package let file: String
    /// The line on which it begins; in files of Arrow's the number of the row.
    package let line: Int
    /// The kind of fault, the same words for every row that has it.
    package let reason: String
    /// What this row has.
    package let detail: String?

    init(file: String, line: Int, _ rejection: RowRejection) {
        (self.file, self.line) = (file, line)
        (reason, detail) = (rejection.reason, rejection.detail)
    }

    /// The row as a line of `dropped.jsonl`.
    package var json: JSONValue {
        var object: JSONObject = ["file": .string(file), "line": .int(line), "reason": .string(reason)]
        if let detail { object["detail"] = .string(detail) }
        return .object(object)
    }
}
