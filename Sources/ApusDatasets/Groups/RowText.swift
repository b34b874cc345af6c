import ApusJSON
package import ApusText

/// One thing that is embedded or compared: a text, or messages for models with a chat template.
package enum RowText: Sendable, Equatable {
    case text(String)
    case messages([Message])

    /// The text, or those of the messages in lines.
    package var text: String {
        switch self {
        case .text(let text): text
        case .messages(let messages):
            messages.filter { !$0.isEmptySystem }.map(\.textOrEmpty).joined(separator: "\n")
        }
    }
}

extension RowText {
    /// A text, or a list of messages.
    init(_ value: JSONValue, column: String) throws {
        if let text = value.stringValue {
            self = .text(text)
        } else if value.arrayValue != nil {
            var notes: [String] = []
            self = .messages(try MessageList(value: value, system: nil, notes: &notes).messages)
        } else {
            throw RowRejection("the \(column) is neither a text nor messages", "it is \(value.kind): \(value.excerpt)")
        }
    }

    /// The texts of a column: one, or a list of them; each a text or a list of messages.
    static func list(_ value: JSONValue, column: String) throws -> [RowText] {
        var value = value
        if let text = value.stringValue {
            // Tables hold lists as text; a text in brackets that is no list of texts stays one.
            guard text.hasPrefix("["), let list = try? LooseJSON.value(text, column: column),
                let elements = list.arrayValue, elements.allSatisfy({ $0.stringValue != nil || $0.arrayValue != nil })
            else { return text.isEmpty ? [] : [.text(text)] }
            value = list
        }
        guard let elements = value.arrayValue else { return [try RowText(value, column: column)] }
        // Messages without a list around them are one text.
        if elements.contains(where: { $0.objectValue != nil }) { return [try RowText(value, column: column)] }
        return try elements.map { try RowText($0, column: column) }
    }
}

extension RowReader {
    /// What a group is about: messages, the first of a pair, or the only text.
    mutating func takeAnchor(columns: String, notes: inout [String]) throws -> RowText {
        if let list = try take(.messages) {
            return .messages(try MessageList(value: list, system: try takeText(.system), notes: &notes).messages)
        }
        guard let text = try takeText(.firstText) ?? takeText(.onlyText) else {
            throw RowRejection("no text", "the row has \(columns)")
        }
        guard let system = try takeText(.system) else { return .text(text) }
        return .messages([Message(role: "system", content: system), Message(role: "user", content: text)])
    }

    /// The texts of the first of some columns that the row has.
    mutating func takeTexts(_ columns: RowColumns...) throws -> [RowText] {
        for column in columns {
            if let value = try take(column) { return try RowText.list(value, column: column.canonical) }
        }
        return []
    }

    /// The texts of `negative_messages` or `negative`, and those of numbered columns (`negative_1`).
    mutating func takeNegatives() throws -> [RowText] {
        var negatives = try takeTexts(.negativeMessages, .negatives)
        for key in row.keys where key.lowercased().hasPrefix("negative_") && Int(key.dropFirst(9)) != nil {
            if let value = row[key], !value.isNull { negatives += try RowText.list(value, column: key) }
            row[key] = nil
        }
        return negatives
    }
}
