import ApusJSON

/// A prompt made of columns (`--prompt_format`), such as `"{context}\n{question}"`.
///
/// `{{` and `}}` stand for single braces.
package struct PromptFormat: Sendable, Equatable {
    private enum Piece: Sendable, Equatable {
        case text(String)
        case column(String)
    }

    private let pieces: [Piece]

    /// - Throws: `DatasetError` for braces that do not close, and where no column is named.
    package init(_ format: String) throws {
        var pieces: [Piece] = []
        var text = ""
        var rest = format[...]
        while let first = rest.first {
            rest = rest.dropFirst()
            if first == "{" || first == "}", rest.first == first {
                text.append(first)
                rest = rest.dropFirst()
            } else if first == "{", let end = rest.firstIndex(of: "}") {
                let name = String(rest[..<end]).trimmed
                guard !name.isEmpty, !name.contains("{") else { throw Self.fault(format) }
                pieces += [.text(text), .column(name)]
                text = ""
                rest = rest[rest.index(after: end)...]
            } else if first == "{" || first == "}" {
                throw Self.fault(format)
            } else {
                text.append(first)
            }
        }
        self.pieces = (pieces + [.text(text)]).filter { $0 != .text("") }
        guard self.pieces.contains(where: { if case .column = $0 { true } else { false } }) else {
            throw Self.fault(format)
        }
    }

    /// The columns that it names.
    var columns: [String] { pieces.compactMap { if case .column(let name) = $0 { name } else { nil } } }

    private static func fault(_ format: String) -> DatasetError {
        DatasetError(
            "--prompt_format \"\(format)\": write names of columns in braces, as in \"{context}\\n{question}\", and "
                + "braces themselves twice")
    }

    /// The prompt of a row.
    ///
    /// - Parameters:
    ///   - row: The row with its columns renamed; the columns that become the prompt are taken out, so that nothing
    ///     else is made of them.
    ///   - original: The row before, whose names do as well.
    /// - Throws: `RowRejection` where the row has no such column, or it is no text and no number.
    func prompt(of row: inout JSONObject, original: JSONObject) throws -> String {
        var taken: [String] = []
        let texts = try pieces.map { piece in
            switch piece {
            case .text(let text): return text
            case .column(let name):
                let isRenamed = Self.key(name, in: row) == nil
                let source = isRenamed ? original : row
                guard let key = Self.key(name, in: source), let value = source[key] else {
                    throw RowRejection(
                        "--prompt_format names a column that the row does not have",
                        "\"\(name)\"; it has \(original.columnList)")
                }
                if !isRenamed { taken.append(key) }
                switch value {
                case .null: return ""
                case .string(let text): return text
                case .int, .double, .number, .bool: return value.serialized()
                case .array, .object:
                    throw RowRejection(
                        "--prompt_format names a column that is no text", "\"\(name)\" is \(value.kind)")
                }
            }
        }
        for key in taken { row[key] = nil }
        return texts.joined()
    }

    /// Names match without regard to case and to spaces around them.
    private static func key(_ name: String, in row: JSONObject) -> String? {
        if row[name] != nil { return name }
        let name = name.lowercased()
        return row.keys.first { $0.trimmed.lowercased() == name }
    }
}
