package import ApusJSON

/// A text with others that should lie near to it or far from it.
package struct EmbeddingRow: Sendable, Equatable {
    package var anchor: RowText
    /// `nil` only where rows of one text were allowed.
    package var positive: RowText?
    package var negatives: [RowText]
    /// How near the pair is; `nil` where that is not asked for.
    package var label: Float?
    package var otherColumns: JSONObject

    package init(
        anchor: RowText, positive: RowText? = nil, negatives: [RowText] = [], label: Float? = nil,
        otherColumns: JSONObject = [:]
    ) {
        self.anchor = anchor
        self.positive = positive
        self.negatives = negatives
        self.label = label
        self.otherColumns = otherColumns
    }
}

/// What a loss asks of the label of a pair.
package enum PairLabel: Sendable, Equatable {
    /// Nothing: the label is not read (`infonce`).
    case none
    /// A number (`cosine_similarity`).
    case score
    /// 1 for near and 0 for far (`contrastive`, `online_contrastive`).
    case binary
    /// A number where the row has one (inference).
    case scoreIfGiven

    var wanted: String { self == .binary ? "0 or 1" : "a number" }

    /// - Throws: `RowFault` for a label that is missing or of another kind.
    func value(_ label: RowLabel?) throws -> Float? {
        guard self != .none else { return nil }
        if self == .scoreIfGiven {
            guard let label, let value = try? PairLabel.score.value(label) else { return nil }
            return value
        }
        let number: Double
        switch label {
        case .integer(let value)?: number = Double(value)
        case .number(let value)?: number = value
        case let label?: throw RowFault("the label \(label.excerpt) is not \(wanted)")
        case nil: throw RowFault("the row has no label; wanted is \(wanted)")
        }
        guard Float(number).isFinite, self != .binary || number == 0 || number == 1 else {
            throw RowFault("the label \(number) is not \(self == .binary ? wanted : "a finite number")")
        }
        return Float(number)
    }
}

/// Turns rows into pairs with a score, or into a text with a positive and negatives.
///
/// `messages`, `positive_messages` and `negative_messages` as ms-swift writes them, or columns of texts: `anchor`,
/// `positive` and `negative` (a text, a list, or `negative_1` …), `sentence1` and `sentence2`, `query` and `document`, or
/// `query`, `response` and `rejected_response` of ms-swift 3.
package struct EmbeddingRecognizer: RowRecognizer {
    package struct Options: Sendable {
        /// `--columns`: new column name by old name.
        package var columns: [String: String] = [:]
        /// Whether columns are recognised under names other than the canonical one.
        package var mapsColumns = true
        package var label = PairLabel.none
        /// Whether a row of one text is a fault; off for inference.
        package var requiresPositive = true

        package init() {}
    }

    package static let advice =
        "Give rows with \"anchor\" and \"positive\", with \"sentence1\", \"sentence2\" and a "
        + "\"score\", or with \"messages\" and \"positive_messages\"; --columns '{\"yours\": \"anchor\"}' renames columns."
    package static let knowsShapes = true
    package static let subsets: Set<String> = ["default", "reg"]

    private let options: Options
    package let mapping: ColumnMapping

    package init(_ options: Options = Options()) {
        self.options = options
        mapping = ColumnMapping(options.columns)
    }

    package func recognize(_ value: JSONValue) throws -> RecognizedRow<EmbeddingRow> {
        let object = try value.row
        var reader = RowReader(row: try mapping.applied(to: object), usesAliases: options.mapsColumns)
        try reader.refuseMedia()
        var notes: [String] = []
        let anchor = try reader.takeAnchor(columns: object.columnList, notes: &notes)
        let positives = try reader.takeTexts(.positiveMessages, .secondText, .positives, .positiveResponse)
        let negatives = try reader.takeNegatives()
        guard positives.count <= 1 else {
            throw RowRejection("several positives for one text", "\(positives.count); write one row for each")
        }
        guard !positives.isEmpty || !options.requiresPositive else {
            throw RowRejection("no positive to compare with", "the row has \(object.columnList)")
        }
        let given = options.label == .none ? nil : try reader.take(.label).flatMap { try RowLabel($0) }
        if given == nil, options.label == .score || options.label == .binary {
            throw RowFault(
                "the row has no label; wanted is \(options.label.wanted). Pairs without labels are learned with "
                    + "--loss_type infonce")
        }
        let label = try options.label.value(given)
        return RecognizedRow(
            EmbeddingRow(
                anchor: anchor, positive: positives.first, negatives: negatives, label: label, otherColumns: reader.row),
            notes: notes)
    }

    package func isScoredPair(_ row: EmbeddingRow) -> Bool {
        guard row.positive != nil else { return false }
        return row.label != nil
            || RowColumns.label.names.contains { name in
                row.otherColumns.contains { $0.key.lowercased() == name }
            }
    }
}
