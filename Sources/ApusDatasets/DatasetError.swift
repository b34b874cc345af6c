/// Why a data set cannot be used at all.
///
/// Faults of single rows are `RowRejection`s.
package struct DatasetError: Error, CustomStringConvertible, Equatable, Sendable {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }

    /// The first row that cannot be used, where that ends a run.
    init(strictly rejection: RowRejection, at place: String) {
        self.init("\(place): \(rejection). Correct the row, or leave out --strict to go on without such rows.")
    }

    /// A row that no run should pass over.
    init(_ fault: RowFault, at place: String) {
        self.init("\(place): \(fault)")
    }
}
