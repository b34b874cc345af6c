/// Why a data set cannot be used at all.
///
/// Faults of single rows are `RowRejection`s.
package struct DatasetError: Error, CustomStringConvertible, Equatable, Sendable {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
