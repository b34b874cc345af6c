import ApusJSON
import Foundation
import Synchronization

/// A data file, mapped into memory, and where each of its rows lies.
///
/// Rows are parsed when they are asked for: a file of any size costs its index (16 bytes per row) and nothing else.
struct RowFile: Sendable {
    /// The path as the user wrote it.
    let path: String
    private let bytes: Data
    private let ranges: [Range<Int>]
    private let knownLines = KnownLines()
    private let change: RowChange
    private let rows: Rows
    /// What the user should hear of how the file is read.
    let note: String?

    /// What a row is.
    private enum Rows {
        case json
        case table(TableScanner, TableLayout)
        /// The value of the one column `text`.
        case line
    }

    /// Opens a file and finds its rows.
    ///
    /// - Parameters:
    ///   - columns: The old names in `--columns`, in lower case: in a table, a first line with one of them holds the
    ///     names of the columns.
    ///   - knowsShapes: Whether tables without a header are known by their shape.
    ///   - change: What becomes of a row before it is handed out.
    /// - Throws: `DatasetError` naming the file, and the line where one is at fault.
    init(
        path: String, columns: Set<String> = [], knowsShapes: Bool = true, change: RowChange = RowChange()
    ) throws {
        self.path = path
        self.change = change
        // What a list of data sets renames is a name of a column as well.
        let columns = columns.union(change.columns.keys.map { $0.trimmed.lowercased() })
        let type = try DataFileType(path: path)
        var notes: [String] = []
        let unwrapped = try type.wrapping.map { try ArrowLibrary.text(of: path, kind: $0) }
        if let note = unwrapped?.note { notes.append(note) }
        bytes = try Self.contents(of: path, scratch: unwrapped?.file)
        try Self.check(beginning: bytes, of: path)
        do {
            (ranges, rows) = try bytes.withUnsafeBytes { bytes in
                if let separator = try type.format.separator(
                    of: bytes, columns: columns, knowsShapes: knowsShapes, path: path)
                {
                    if separator == .semicolon || separator == .bar || separator == .doubleBar {
                        notes.append("a table with \(separator.name) between its fields")
                    }
                    let scanner = TableScanner(separator: separator)
                    return try Self.table(bytes, scanner, columns: columns, knowsShapes: knowsShapes, path: path)
                }
                if type.format == .text {
                    if TableScanner.firstLineHasTab(bytes) || TableScanner.hasDoubleBars(bytes) {
                        notes.append(
                            "each line is a text: there are tabs or double bars, but no names of columns that are known"
                        )
                    }
                    return (try TableScanner(separator: .tab).rows(of: bytes), .line)
                }
                var scanner = JSONRowScanner(bytes: bytes)
                return (try type.format == .jsonLines ? scanner.lines() : scanner.rows(), .json)
            }
        } catch let fault as JSONRowScanner.Fault {
            throw DatasetError("\(path):\(Self.line(of: fault.offset, in: bytes)): \(fault.message)")
        }
        if case .table(_, let layout) = rows, let text = layout.note { notes.append(text) }
        note = notes.isEmpty ? nil : notes.joined(separator: "; ")
        if ranges.isEmpty {
            let advice =
                switch rows {
                case .json: "; give one JSON object per row"
                case .table: "; give rows below the names of the columns"
                case .line: "; give one text per line"
                }
            throw DatasetError("\(path): has no rows\(advice)")
        }
    }

    /// The bytes of a file, mapped into memory.
    ///
    /// - Parameter scratch: The text inside of a wrapped one.
    static func contents(of path: String, scratch: ScratchFile?) throws -> Data {
        if let scratch { return try scratch.contents() }
        do {
            return try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
        } catch {
            throw DatasetError("\(path): cannot be read: \(error.localizedDescription)")
        }
    }

    /// - Throws: `DatasetError` for a file whose beginning shows that it is not what its name says.
    static func check(beginning bytes: some Sequence<UInt8>, of path: String) throws {
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw DatasetError("\(path): is UTF-16; save it as UTF-8")
        }
        if bytes.starts(with: "version https://git-lfs.github.com/spec/".utf8) {
            throw DatasetError("\(path): is a git-lfs pointer, not the file itself; fetch it with `git lfs pull`")
        }
    }

    private static func table(
        _ bytes: UnsafeRawBufferPointer, _ scanner: TableScanner, columns: Set<String>, knowsShapes: Bool,
        path: String
    ) throws -> ([Range<Int>], Rows) {
        var ranges = try scanner.rows(of: bytes)
        // A faulty row says so when it is read; what the table is, the others tell.
        func fields(_ row: Range<Int>) -> [String]? {
            try? scanner.fields(of: UnsafeRawBufferPointer(rebasing: bytes[row]))
        }
        let sample = ranges.prefix(TableLayout.sampleCount).compactMap(fields)
        do {
            let layout = try TableLayout(sample: sample, columns: columns, knowsShapes: knowsShapes)
            try layout.checkFirst(of: ranges.lazy.compactMap(fields))
            if layout.hasHeader, !ranges.isEmpty { ranges.removeFirst() }
            return (ranges, .table(scanner, layout))
        } catch let error as DatasetError {
            throw DatasetError("\(path):1: \(error)")
        }
    }

    var count: Int { ranges.count }

    /// The row as JSON; every value of a table's row is a text.
    ///
    /// - Throws: `DatasetError` with file, line and column when the row is not valid JSON; `RowRejection` for a row of
    ///   a table with too few fields.
    func value(at row: Int) throws -> JSONValue {
        try bytes.withUnsafeBytes { bytes in
            let bytes = UnsafeRawBufferPointer(rebasing: bytes[ranges[row]])
            do {
                switch rows {
                case .json: return try change.applied(to: JSONValue(parsing: bytes))
                case .table(let scanner, let layout):
                    return try change.applied(to: .object(layout.object(scanner.fields(of: bytes))))
                case .line: return try change.applied(to: ["text": .string(TableScanner.text(bytes))])
                }
            } catch let error as DatasetError {
                throw DatasetError("\(place(of: row)): \(error)")
            } catch let error as JSONError {
                let line = lineNumber(of: row) + error.line - 1
                throw DatasetError("\(path):\(line): \(JSONFault.text(error))")
            }
        }
    }

    /// How bytes become a row, as a text that is the same where that is the same.
    var form: String {
        let names = change.columns.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return "\(rows) \(names) \(change.messages?.description ?? "") \(change.rule?.rawValue ?? "")"
    }

    func withBytes(of row: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[ranges[row]])) }
    }

    /// `path:line`, the line on which a row begins.
    func place(of row: Int) -> String { "\(path):\(lineNumber(of: row))" }

    /// The line on which a row begins; of a file of Arrow's the number of the row.
    func lineNumber(of row: Int) -> Int {
        knownLines.number(of: row) { from, to in
            let start = from.map { ranges[$0].lowerBound } ?? 0
            let rest = bytes[(bytes.startIndex + start)...]
            return Self.line(of: ranges[to].lowerBound - start, in: rest) - 1
        }
    }

    // Counted when asked for: places are shown for a few rows, an index of them all would be read for none.
    private static func line(of offset: Int, in bytes: Data) -> Int {
        bytes.withUnsafeBytes { bytes in
            var line = 1
            var endsWithReturn = false
            for byte in bytes[..<min(offset, bytes.count)] {
                // A carriage return alone ends a line; before a line feed it is part of that end.
                if byte == UInt8(ascii: "\n") || endsWithReturn { line += 1 }
                endsWithReturn = byte == UInt8(ascii: "\r")
            }
            return endsWithReturn ? line + 1 : line
        }
    }
}

/// The lines of every 64th row as far as they were asked for, from which those between are counted.
///
/// Places are asked for in any order, of few rows or of all that are left out: counting each from the beginning of a long
/// file would take hours.
private final class KnownLines: Sendable {
    private static let distance = 64
    private let known = Mutex<[Int]>([])

    /// - Parameter count: The line ends from a row, or from the beginning, to a row.
    func number(of row: Int, count: (_ from: Int?, _ to: Int) -> Int) -> Int {
        let place = row / Self.distance
        let start = known.withLock { known in
            if known.isEmpty { known.append(1 + count(nil, 0)) }
            while known.count <= place {
                let last = (known.count - 1) * Self.distance
                known.append(known[known.count - 1] + count(last, last + Self.distance))
            }
            return known[place]
        }
        return start + count(place * Self.distance, row)
    }
}
