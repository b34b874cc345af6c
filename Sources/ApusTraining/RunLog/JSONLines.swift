package import ApusFiles
package import ApusJSON

/// A file of one JSON object per line that grows at its end and survives crashes.
///
/// What a crash leaves of a last row is cut off when the file is opened again.
package final class JSONLines {
    /// The numbers, from 1, of rows that are not JSON objects although whole rows follow; they stay in the file.
    package private(set) var damagedLines: [Int] = []

    private let file: any OpenFile
    private var size = 0

    /// Opens or creates a file of rows.
    ///
    /// - Parameters:
    ///   - keeping: Asked for each row from the start; the first row it declines and all after it are dropped.
    ///     Nil keeps all whole rows.
    ///   - visit: Receives the rows that stay.
    package init(
        _ path: String, fileSystem: any FileSystem = LocalFileSystem(), keeping: ((JSONObject) -> Bool)? = nil,
        visit: (JSONObject) -> Void = { _ in }
    ) throws {
        let text = try fileSystem.status(path) == nil ? [] : Array(fileSystem.contents(of: path))
        file = try fileSystem.open(path, .append)
        readRows(text, keeping ?? { _ in true }, visit)
        if size < text.count { try file.truncate(to: Int64(size)) }
    }

    /// Adds one row, in one write.
    ///
    /// A row that fails halfway, on a full disk, is taken back.
    package func append(_ row: JSONObject) throws {
        let text = Array((JSONValue.object(row).serialized() + "\n").utf8)
        do {
            try text.withUnsafeBytes { try file.write($0) }
        } catch {
            try? file.truncate(to: Int64(size))
            throw error
        }
        size += text.count
    }

    /// Waits until all rows are on the disk.
    package func synchronize() throws {
        try file.synchronize()
    }

    /// Sets `size` to the end of the last row that is whole and wanted.
    private func readRows(_ text: [UInt8], _ keeping: (JSONObject) -> Bool, _ visit: (JSONObject) -> Void) {
        var start = 0
        var line = 0
        var damaged: [Int] = []
        while let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) {
            line += 1
            let row = (try? JSONValue(parsing: Array(text[start..<end])))?.objectValue
            start = end + 1
            guard let row else {
                damaged.append(line)
                continue
            }
            guard keeping(row) else { return }
            visit(row)
            damagedLines += damaged
            damaged = []
            size = start
        }
    }
}
