package import ApusJSON

/// Turns the rows of files into the rows of one task.
///
/// Every row is looked at by itself, so that files which mix formats work.
package protocol RowRecognizer: Sendable {
    associatedtype Row: Sendable

    /// `--columns`, applied before anything else.
    var mapping: ColumnMapping { get }

    /// What to write, for a file without a usable row.
    static var advice: String { get }

    /// Whether a table without names of columns is known by its shape: texts with a label or a score.
    static var knowsShapes: Bool { get }

    /// - Throws: `RowRejection` when the row cannot be used; `RowFault` when no run should go on with it.
    func recognize(_ value: JSONValue) throws -> RecognizedRow<Row>

    /// The subsets that `PATH:subset` may name on a file of pairs with a score.
    static var subsets: Set<String> { get }

    /// Whether a row is a pair of texts with a score, as the rows of those subsets are.
    func isScoredPair(_ row: Row) -> Bool
}

extension RowRecognizer {
    package static var knowsShapes: Bool { false }
    package static var subsets: Set<String> { [] }
    package func isScoredPair(_ row: Row) -> Bool { false }
}

/// A row, and what the user should hear of although it is used.
package struct RecognizedRow<Row: Sendable>: Sendable {
    package var row: Row
    /// The same words for every row.
    package var notes: [String]
    /// The columns that no part of the row was made of.
    package var unusedColumns: [String]

    package init(_ row: Row, notes: [String] = [], unusedColumns: [String] = []) {
        self.row = row
        self.notes = notes
        self.unusedColumns = unusedColumns
    }
}

/// A fault of one row that no run should pass over, strict or not: a label that is missing or makes no sense would
/// otherwise only show in the numbers.
package struct RowFault: Error, CustomStringConvertible, Equatable, Sendable {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
