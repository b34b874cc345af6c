package import ApusJSON

/// A question with documents that answer it and documents that do not.
package struct RerankerRow: Sendable, Equatable {
    package var query: RowText
    package var positives: [RowText]
    package var negatives: [RowText]
    package var otherColumns: JSONObject
    /// Whether the row says which documents answer; where it may leave that open, all are among the positives.
    package var isJudged = true

    package init(
        query: RowText, positives: [RowText], negatives: [RowText] = [], otherColumns: JSONObject = [:]
    ) {
        self.query = query
        self.positives = positives
        self.negatives = negatives
        self.otherColumns = otherColumns
    }
}

/// Turns rows into a query with documents.
///
/// `messages`, `positive_messages` and `negative_messages` as ms-swift writes them; or `query`, `positive` and
/// `negative`, each a text or a list of them; or `query`, `document` and a label of 1 or 0.
package struct RerankerRecognizer: RowRecognizer {
    package struct Options: Sendable {
        /// `--columns`: new column name by old name.
        package var columns: [String: String] = [:]
        /// Whether columns are recognised under names other than the canonical one.
        package var mapsColumns = true
        /// Whether a document without a label is a fault; off for inference, where it counts as positive.
        package var requiresLabel = true

        package init() {}
    }

    package static let advice =
        "Give rows with \"query\", \"positive\" and \"negative\" (a text or a list), with "
        + "\"query\", \"document\" and a \"label\" of 1 or 0, or with \"messages\" and \"positive_messages\"; "
        + "--columns '{\"yours\": \"query\"}' renames columns."
    package static let knowsShapes = true

    private let options: Options
    package let mapping: ColumnMapping

    package init(_ options: Options = Options()) {
        self.options = options
        mapping = ColumnMapping(options.columns)
    }

    package func recognize(_ value: JSONValue) throws -> RecognizedRow<RerankerRow> {
        let object = try value.row
        var reader = RowReader(row: try mapping.applied(to: object), usesAliases: options.mapsColumns)
        try reader.refuseMedia()
        var notes: [String] = []
        let query = try reader.takeAnchor(columns: object.columnList, notes: &notes)
        if try !Conversation.variables(of: reader.row, notes: &notes).isEmpty {
            // In training ms-swift reads it of each document, which has none.
            notes.append("chat_template_kwargs left out (of all rows: --enable_thinking and the like)")
        }
        var positives = try reader.takeTexts(.positiveMessages, .positives, .positiveResponse)
        var negatives = try reader.takeNegatives()
        var isJudged = true
        if positives.isEmpty, negatives.isEmpty {
            let documents = try reader.takeTexts(.document, .secondText)
            guard !documents.isEmpty else { throw RowRejection("no documents", "the row has \(object.columnList)") }
            let label = try reader.take(.label).flatMap { try RowLabel($0) }
            isJudged = label != nil || options.requiresLabel
            let isPositive = label == nil && !options.requiresLabel ? true : try PairLabel.binary.value(label) == 1
            (positives, negatives) = isPositive ? (documents, []) : ([], documents)
        } else if positives.isEmpty, options.requiresLabel {
            throw RowRejection("negative documents without a positive one", "the row has \(object.columnList)")
        }
        var row = RerankerRow(query: query, positives: positives, negatives: negatives, otherColumns: reader.row)
        row.isJudged = isJudged
        return RecognizedRow(row, notes: notes)
    }
}
