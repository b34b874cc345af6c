/// Why one row cannot be used.
package struct RowRejection: Error, CustomStringConvertible, Equatable, Sendable {
    /// The kind of fault, the same words for every row that has it: rows are counted by it.
    package let reason: String
    /// What this row has.
    package let detail: String?

    /// - Parameter detail: May hold text of the row: control characters, which could move a terminal's cursor or hide
    ///   text, become spaces.
    package init(_ reason: String, _ detail: String? = nil) {
        self.reason = reason
        self.detail = detail.map { detail in
            let scalars = detail.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
            return String(String.UnicodeScalarView(scalars))
        }
    }

    package var description: String { detail.map { "\(reason): \($0)" } ?? reason }
}
