import ApusJSON

/// A row whose columns are taken out one by one; what is left over stays with the conversation.
struct RowReader {
    var row: JSONObject
    let usesAliases: Bool

    mutating func take(_ columns: RowColumns, isRequired: Bool = true) throws -> JSONValue? {
        guard let name = try columns.column(in: row, usingAliases: usesAliases, isRequired: isRequired) else {
            return nil
        }
        let value = row[name]
        // Rewards compare with the solution, so it stays readable under its own name.
        if name != "solution" { row[name] = nil }
        return value
    }

    mutating func takeText(_ columns: RowColumns) throws -> String? {
        try take(columns)?.textOrNil(columns.canonical)
    }

    func refuseMedia() throws {
        for (key, value) in row where RowColumns.media.names.contains(key.lowercased()) {
            guard value.isNull || value.arrayValue?.isEmpty == true || value.stringValue?.isEmpty == true else {
                throw RowRejection("images, video and audio are not supported yet", "the column \"\(key)\"")
            }
        }
    }
}
