import Foundation

/// What became of the rows of a run's data sets.
package struct DatasetReport: Sendable, Equatable {
    /// One file as it was named on the command line.
    package struct File: Sendable, Equatable {
        package let path: String
        /// The rows read.
        package let rowCount: Int
        package internal(set) var dropped = RowTally()
        /// The dropped rows one by one.
        package internal(set) var droppedRows: [DroppedRow] = []
        /// The columns that nothing is made of, in the order in which they first came.
        package internal(set) var unusedColumns: [String] = []
        /// Rows that are used although something about them is worth knowing.
        package internal(set) var notes = RowTally()
        /// The samples chosen from the usable rows; more than those when `#count` repeats them.
        package internal(set) var trainCount = 0
        package internal(set) var validationCount = 0

        package var usableCount: Int { rowCount - dropped.total }
    }

    package internal(set) var files: [File]

    /// The report as a table for the terminal, with no line break at its end.
    package var text: String {
        var rows = [["file", "rows", "usable", "train", "val"]]
        rows += files.map { file in
            [file.path] + [file.rowCount, file.usableCount, file.trainCount, file.validationCount].map(String.init)
        }
        var lines = TextTable.lines(rows)
        let dropped = files.reduce(into: RowTally()) { $0.add($1.dropped) }
        let notes = files.reduce(into: RowTally()) { $0.add($1.notes) }
        if !dropped.isEmpty { lines += ["rows dropped:", dropped.lines(indent: 2)] }
        if !notes.isEmpty { lines += ["worth knowing:", notes.lines(indent: 2)] }
        for file in files where !file.unusedColumns.isEmpty {
            lines.append("\(file.path): columns that are not used: \(Self.list(file.unusedColumns))")
        }
        return lines.joined(separator: "\n")
    }

    /// The first names, and how many there are beside them.
    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(12).joined(separator: ", ")
        return names.count > 12 ? "\(shown) and \(names.count - 12) more" : shown
    }

    /// The share of the rows that cannot be used.
    package var droppedShare: Double {
        let (dropped, rows) = files.reduce((0, 0)) { ($0.0 + $1.dropped.total, $0.1 + $1.rowCount) }
        return rows == 0 ? 0 : Double(dropped) / Double(rows)
    }
}

/// What became of the rows of one data set when they were encoded.
package struct EncodingReport: Sendable, Equatable {
    package let dropped: RowTally
    /// The dropped rows one by one; a row that comes several times once.
    package let droppedRows: [DroppedRow]
    /// The distinct rows that there were.
    package let rowCount: Int
    /// Samples that are used although something about them is worth knowing, such as that they were cut.
    package let notes: RowTally
    /// `nil` when nothing is left.
    package let lengths: LengthStatistics?
    package let tokenCount: Int
    /// `nil` where not tokens are learned, but what a whole sample is worth.
    package let trainedTokenCount: Int?

    init(dataset: TokenizedDataset, _ tallies: EncodingTallies) {
        self.init(
            lengths: dataset.indices.map(dataset.length),
            trainedTokenCount: dataset.indices.reduce(0) { $0 + dataset.trainedCount(of: $1) }, tallies)
    }

    /// - Parameter lengths: The tokens of each sample.
    init(lengths: [Int], trainedTokenCount: Int? = nil, _ tallies: EncodingTallies) {
        (dropped, notes) = (tallies.dropped, tallies.notes)
        (droppedRows, rowCount) = (tallies.droppedRows, tallies.rowCount)
        self.lengths = LengthStatistics(lengths)
        tokenCount = lengths.reduce(0, +)
        self.trainedTokenCount = trainedTokenCount
    }

    /// The share of the rows that could not be encoded.
    package var droppedShare: Double { rowCount == 0 ? 0 : Double(droppedRows.count) / Double(rowCount) }

    /// Between 0 and 1; `nil` where no tokens are learned.
    package var trainedShare: Double? {
        trainedTokenCount.map { tokenCount == 0 ? 0 : Double($0) / Double(tokenCount) }
    }

    /// The report for the terminal, with no line break at its end.
    package var text: String {
        var lines: [String] = []
        if let lengths { lines.append("Dataset Token Length: \(lengths)") }
        var line = "tokens: \(tokenCount)"
        if let trainedTokenCount, let trainedShare {
            line += String(format: ", of which trained: %d (%.1f %%)", trainedTokenCount, 100 * trainedShare)
        }
        lines.append(line)
        if !dropped.isEmpty { lines += ["samples dropped:", dropped.lines(indent: 2)] }
        if !notes.isEmpty { lines += ["worth knowing:", notes.lines(indent: 2)] }
        return lines.joined(separator: "\n")
    }
}

extension RowTally {
    /// One line per reason: count, reason, the first example.
    package func lines(indent: Int) -> String {
        let rows = entries.map { ["\($0.count)", $0.reason, "first: \($0.example)"] }
        return TextTable.lines(rows, leftColumns: [1, 2]).map { String(repeating: " ", count: indent) + $0 }
            .joined(separator: "\n")
    }
}

/// Columns of text set side by side.
enum TextTable {
    /// - Parameter leftColumns: The columns that are not numbers, flush left.
    static func lines(_ rows: [[String]], leftColumns: Set<Int> = [0]) -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return leftColumns.contains(column) ? cell + space : space + cell
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}
