/// Which samples are the same row.
struct DistinctRows: Sendable {
    /// The first sample of each row.
    private(set) var first: [Int] = []
    private var numbers: [Int32] = []

    init(_ rows: [RowID]) {
        numbers.reserveCapacity(rows.count)
        var known: [RowID: Int32] = [:]
        known.reserveCapacity(rows.count)
        for (index, row) in rows.enumerated() {
            let number = known[row] ?? Int32(first.count)
            if number == first.count {
                known[row] = number
                first.append(index)
            }
            numbers.append(number)
        }
    }

    /// The number of the distinct row behind a sample.
    func number(of sample: Int) -> Int { Int(numbers[sample]) }
}
