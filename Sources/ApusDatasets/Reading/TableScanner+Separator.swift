extension TableScanner {
    /// How much of a file is looked at to tell what stands between its fields.
    private static let sampleLength = 1 << 16

    /// What stands between the fields of a table without tabs in its first line.
    ///
    /// A comma, unless the first rows make a table only with semicolons or bars: with a known name among several in
    /// their first row, or as one of the shapes of `TableLayout`.
    ///
    /// - Parameters:
    ///   - columns: The old names in `--columns`, in lower case.
    ///   - knowsShapes: Whether tables without a header are known by their shape; else the first row holds names.
    /// - Throws: `DatasetError` when rows without names make a table in two ways.
    static func separator(
        of bytes: UnsafeRawBufferPointer, columns: Set<String>, knowsShapes: Bool = true, path: String
    ) throws -> Separator {
        let sample = UnsafeRawBufferPointer(rebasing: bytes.prefix(sampleLength))
        let isWhole = sample.count == bytes.count
        let candidates: [Separator] = [.comma, .semicolon, .bar]
        let scores = candidates.map {
            score(of: $0, in: sample, isWhole: isWhole, columns: columns, knowsShapes: knowsShapes)
        }
        let best = scores.max() ?? 0
        let winners = zip(candidates, scores).filter { $0.1 == best }.map(\.0)
        if best == 1, winners.count > 1 {
            throw DatasetError(
                "\(path):1: fields may end at \(winners[0].name) or at \(winners[1].name); give the table a first line "
                    + "with the names of its columns, such as text\(winners[0] == .comma ? ";" : ",")label")
        }
        return winners.first ?? .comma
    }

    /// Whether the first row has names of columns that are known.
    ///
    /// - Parameter columns: The old names in `--columns`, in lower case.
    func firstRowIsHeader(of bytes: UnsafeRawBufferPointer, columns: Set<String>) -> Bool {
        let sample = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.sampleLength))
        guard let first = try? rows(of: sample).first,
            let cells = try? fields(of: UnsafeRawBufferPointer(rebasing: sample[first]))
        else { return false }
        return TableLayout.isHeader(cells, mapped: columns)
    }

    /// 3 for a header over rows of its length, 2 for a header over others, 1 for rows of a known shape or below what may be
    /// a header, 0 for no table.
    private static func score(
        of separator: Separator, in bytes: UnsafeRawBufferPointer, isWhole: Bool, columns: Set<String>,
        knowsShapes: Bool
    ) -> Int {
        let scanner = TableScanner(separator: separator)
        guard var ranges = try? scanner.rows(of: bytes) else { return 0 }
        // The last row of a part of a file may be cut.
        if !isWhole, ranges.count > 1 { ranges.removeLast() }
        let rows = ranges.prefix(TableLayout.sampleCount).compactMap {
            try? scanner.fields(of: UnsafeRawBufferPointer(rebasing: bytes[$0]))
        }
        guard let first = rows.first, first.count > 1 else { return 0 }
        let isEven = rows.allSatisfy { $0.count == first.count }
        if TableLayout.isHeader(first, mapped: columns) { return isEven ? 3 : 2 }
        let isTable = !knowsShapes || columns.contains { Int($0) != nil } || TableLayout.shape(of: rows) != nil
        return isEven && isTable ? 1 : 0
    }
}
