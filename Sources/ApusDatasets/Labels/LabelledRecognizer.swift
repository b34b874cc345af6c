package import ApusJSON
import ApusText

/// Turns rows into texts with a label.
///
/// In this order: a column of messages; a pair of texts (`sentence1` and `sentence2` under their many names); one text
/// (`text`, `sentence`, `query` …). A text with a system column or a response beside it becomes messages, as ms-swift
/// reads it.
package struct LabelledRecognizer: RowRecognizer {
    package typealias Row = LabelledRow

    package struct Options: Sendable {
        /// `--columns`: new column name by old name.
        package var columns: [String: String] = [:]
        /// Whether columns are recognised under names other than the canonical one.
        package var mapsColumns = true
        /// Whether a row without a label is a fault; off for inference.
        package var requiresLabel = true

        package init() {}
    }

    package static let advice =
        "Give rows with \"text\" or \"messages\", or with \"sentence1\" and \"sentence2\", and a "
        + "\"label\"; --columns '{\"yours\": \"text\"}' renames columns, and numbers columns without names from \"0\"."
    package static let knowsShapes = true
    package static let subsets: Set<String> = ["default", "reg"]

    private let options: Options
    package let mapping: ColumnMapping

    package init(_ options: Options = Options()) {
        self.options = options
        mapping = ColumnMapping(options.columns)
    }

    package func recognize(_ value: JSONValue) throws -> RecognizedRow<LabelledRow> {
        let object = try value.row
        var reader = RowReader(row: try mapping.applied(to: object), usesAliases: options.mapsColumns)
        try reader.refuseMedia()
        var notes: [String] = []
        let content = try self.content(&reader, columns: object.columnList, notes: &notes)
        let label = try reader.take(.label).flatMap { try RowLabel($0) }
        if label == nil, options.requiresLabel {
            throw RowFault(
                "the row has no label; it has \(object.columnList). Add a \"label\" (a number, a class name, or a list), "
                    + "or name its column with --columns '{\"yours\": \"label\"}'")
        }
        return RecognizedRow(LabelledRow(content, label: label, otherColumns: reader.row), notes: notes)
    }

    package func isScoredPair(_ row: LabelledRow) -> Bool {
        guard case .pair = row.content else { return false }
        return switch row.label {
        case .integer, .number: true
        default: false
        }
    }

    private func content(
        _ reader: inout RowReader, columns: String, notes: inout [String]
    ) throws -> LabelledRow.Content {
        if let list = try reader.take(.messages) {
            let system = try reader.takeText(.system)
            return .messages(try MessageList(value: list, system: system, notes: &notes).messages)
        }
        let first = try reader.takeText(.firstText)
        let second = try reader.takeText(.secondText)
        if let second {
            guard let first = try first ?? reader.takeText(.onlyText) else {
                throw RowRejection("a second text without a first", "the row has \(columns)")
            }
            if first.isEmpty || second.isEmpty { notes.append("an empty text") }
            return .pair(first, second)
        }
        guard first == nil else { throw RowRejection("a first text without a second", "the row has \(columns)") }
        guard let text = try reader.takeText(.onlyText) else {
            throw RowRejection("no text", "the row has \(columns)")
        }
        if text.isEmpty { notes.append("an empty text") }
        let answer = try reader.takeText(RowColumns(names: ["response", "answer", "output", "completion"]))
        let system = try reader.takeText(.system)
        guard system != nil || answer != nil else { return .text(text) }
        let turns = [("system", system), ("user", text), ("assistant", answer)]
        return .messages(turns.compactMap { role, text in text.map { Message(role: role, content: $0) } })
    }
}
