/// Rows counted by reason, with the first of each as an example.
package struct RowTally: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package let reason: String
        package fileprivate(set) var count: Int
        /// `file:line` of the first row, and what it has.
        package let example: String
    }

    /// In the order in which the reasons first appeared.
    package private(set) var entries: [Entry] = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    package var total: Int { entries.reduce(0) { $0 + $1.count } }

    package func count(of reason: String) -> Int { entries.first { $0.reason == reason }?.count ?? 0 }

    mutating func add(_ reason: String, count: Int = 1, example: @autoclosure () -> String) {
        if let index = entries.firstIndex(where: { $0.reason == reason }) {
            entries[index].count += count
        } else {
            entries.append(Entry(reason: reason, count: count, example: example()))
        }
    }

    mutating func add(_ rejection: RowRejection, place: @autoclosure () -> String) {
        add(rejection.reason, example: rejection.detail.map { "\(place()): \($0)" } ?? place())
    }

    mutating func add(_ other: RowTally) {
        for entry in other.entries { add(entry.reason, count: entry.count, example: entry.example) }
    }
}
