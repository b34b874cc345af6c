package import ApusFiles
package import ApusJSON

/// A file of one JSON object per line that grows at its end and survives crashes.
///
/// What a crash leaves of a last row is cut off when the file is opened again.
package final class JSONLines {
    /// The numbers, from 1, of rows that are not JSON objects although whole rows follow; they stay in the file.
    package private(set) var damagedLines: [Int] = []

    private let file: GrowingFile

    /// Opens or creates a file of rows.
    ///
    /// - Parameters:
    ///   - keeping: Says of all whole rows how many from the start stay in the file, and which of those are visited.
    ///     Nil keeps and visits them all.
    ///   - visit: Receives rows that stay.
    package init(
        _ path: String, fileSystem: any FileSystem = LocalFileSystem(), keeping: (([JSONObject]) -> Range<Int>)? = nil,
        visit: (JSONObject) -> Void = { _ in }
    ) throws {
        let text = try fileSystem.status(path) == nil ? [] : Array(fileSystem.contents(of: path))
        file = try GrowingFile(path, size: Int64(text.count), fileSystem: fileSystem)
        let size = readRows(text, keeping ?? { 0..<$0.count }, visit)
        if size < text.count { try file.truncate(to: Int64(size)) }
    }

    /// Adds one row, in one write.
    ///
    /// A row that fails halfway, on a full disk, is taken back.
    package func append(_ row: JSONObject) throws {
        try file.append(Array((JSONValue.object(row).serialized() + "\n").utf8))
    }

    /// Waits until all rows are on the disk.
    package func synchronize() throws {
        try file.synchronize()
    }

    /// - Returns: The end of the last row that is whole and wanted.
    private func readRows(
        _ text: [UInt8], _ keeping: ([JSONObject]) -> Range<Int>, _ visit: (JSONObject) -> Void
    ) -> Int {
        var start = 0
        var line = 0
        var rows: [(row: JSONObject, end: Int, line: Int)] = []
        var damaged: [Int] = []
        while let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) {
            line += 1
            if let row = (try? JSONValue(parsing: Array(text[start..<end])))?.objectValue {
                rows.append((row, end + 1, line))
            } else {
                damaged.append(line)
            }
            start = end + 1
        }
        let kept = keeping(rows.map(\.row)).clamped(to: 0..<rows.count)
        for index in kept { visit(rows[index].row) }
        guard kept.upperBound > 0 else { return 0 }
        let last = rows[kept.upperBound - 1]
        damagedLines = damaged.filter { $0 < last.line }
        return last.end
    }
}
