/// Why rows could not be answered: the first row's reason and place, and how many have the same but for numbers.
struct RowFailures {
    /// The rows.
    private(set) var count = 0
    private var reasons: [(reason: String, count: Int, place: String)] = []
    private var indices: [String: Int] = [:]

    mutating func note(_ reason: String, at place: String) {
        count += 1
        let kind = reason.replacing(/[0-9]+/, with: "#")
        if let index = indices[kind] {
            reasons[index].count += 1
        } else {
            indices[kind] = reasons.count
            reasons.append((reason, 1, place))
        }
    }

    /// A line for each reason, of many the first.
    var lines: [String] {
        let shown = reasons.prefix(20).map { "  \($0.count) × (first: \($0.place)) \($0.reason)" }
        return shown + (reasons.count > 20 ? ["  and \(reasons.count - 20) other reasons"] : [])
    }
}
