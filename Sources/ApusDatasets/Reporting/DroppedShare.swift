import Foundation

/// When too many rows are left out, something is wrong with all of them.
package enum DroppedShare {
    /// - Parameters:
    ///   - share: Of all rows, between 0 and 1.
    ///   - limit: `--max_dropped_ratio`.
    /// - Throws: `DatasetError` where it is more than the limit.
    package static func check(_ share: Double, limit: Double, rows: [DroppedRow]) throws {
        guard share > limit else { return }
        throw DatasetError(message(share: share, limit: limit, examples: rows))
    }

    static func message(share: Double, limit: Double, examples rows: [DroppedRow]) -> String {
        var tally = RowTally()
        for row in rows {
            let place = "\(row.file):\(row.line)"
            tally.add(row.reason, example: row.detail.map { "\(place): \($0)" } ?? place)
        }
        return String(
            format: "%.0f %% of the rows cannot be used, more than the %.0f %% that may be left out:\n",
            100 * share, 100 * limit) + tally.lines(indent: 2)
            + "\nCorrect the rows, or go on with the others: --max_dropped_ratio 1."
    }
}
