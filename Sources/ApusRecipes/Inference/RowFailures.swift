import ApusDatasets

/// Why rows could not be answered: the first row's reason and place, and how many have the same but for numbers.
struct RowFailures {
    /// The rows.
    var count: Int { reasons.reduce(0) { $0 + $1.count } }
    private var reasons: [(reason: String, count: Int, place: String)] = []
    private var indices: [String: Int] = [:]

    /// Notes what is wrong with a row.
    ///
    /// - Returns: That, behind the row's place.
    /// - Throws: The same as `DatasetError` where nothing may be wrong.
    @discardableResult
    mutating func note(_ error: any Error, at place: String, isStrict: Bool) throws -> String {
        let reason = String("\(error)".trimmingPrefix("\(place): "))
        if isStrict { throw DatasetError("\(place): \(reason)") }
        let kind = reason.replacing(/[0-9]+/, with: "#")
        if let index = indices[kind] {
            reasons[index].count += 1
        } else {
            indices[kind] = reasons.count
            reasons.append((reason, 1, place))
        }
        return "\(place): \(reason)"
    }

    /// A line for each reason, of many the first.
    var lines: [String] {
        let shown = reasons.prefix(20).map { "  \($0.count) × (first: \($0.place)) \($0.reason)" }
        return shown + (reasons.count > 20 ? ["  and \(reasons.count - 20) other reasons"] : [])
    }
}
