import ApusJSON
import Foundation

/// A data file, mapped into memory, and where each of its rows lies.
///
/// Rows are parsed when they are asked for: a file of any size costs its index (16 bytes per row) and nothing else.
struct RowFile: Sendable {
    /// The path as the user wrote it.
    let path: String
    private let bytes: Data
    private let ranges: [Range<Int>]

    /// Opens a `.jsonl` or `.json` file and finds its rows.
    ///
    /// - Throws: `DatasetError` naming the file, and the line where one is at fault.
    init(path: String) throws {
        self.path = path
        let format = try DataFileFormat(path: path)
        do {
            bytes = try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
        } catch {
            throw DatasetError("\(path): cannot be read: \(error.localizedDescription)")
        }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw DatasetError("\(path): is UTF-16; save it as UTF-8")
        }
        do {
            ranges = try bytes.withUnsafeBytes { bytes in
                var scanner = JSONRowScanner(bytes: bytes)
                return try format == .jsonLines ? scanner.lines() : scanner.rows()
            }
        } catch let fault as JSONRowScanner.Fault {
            throw DatasetError("\(path):\(Self.line(of: fault.offset, in: bytes)): \(fault.message)")
        }
        if ranges.isEmpty { throw DatasetError("\(path): has no rows; give one JSON object per row") }
    }

    var count: Int { ranges.count }

    /// The row as JSON.
    ///
    /// - Throws: `DatasetError` with file, line and column when the row is not valid JSON.
    func value(at row: Int) throws -> JSONValue {
        try bytes.withUnsafeBytes { bytes in
            do {
                return try JSONValue(parsing: UnsafeRawBufferPointer(rebasing: bytes[ranges[row]]))
            } catch let error as JSONError {
                let line = lineNumber(of: row) + error.line - 1
                throw DatasetError("\(path):\(line): not valid JSON at column \(error.column): \(error.message)")
            }
        }
    }

    /// `path:line`, the line on which a row begins.
    func place(of row: Int) -> String { "\(path):\(lineNumber(of: row))" }

    private func lineNumber(of row: Int) -> Int { Self.line(of: ranges[row].lowerBound, in: bytes) }

    // Counted when asked for: places are shown for a few rows, an index of them all would be read for none.
    private static func line(of offset: Int, in bytes: Data) -> Int {
        bytes.withUnsafeBytes { bytes in
            bytes[..<min(offset, bytes.count)].reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        }
    }
}

/// The formats of data files that Apus reads.
enum DataFileFormat: Equatable {
    case jsonLines
    case json

    /// - Throws: `DatasetError` for what is not a file, and for other formats by name.
    init(path: String) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            let looksLikeFile =
                path.hasPrefix("/") || path.hasPrefix(".") || path.hasPrefix("~")
                || ["jsonl", "json", "csv", "tsv", "txt", "parquet", "arrow"]
                    .contains(URL(filePath: path).pathExtension.lowercased())
            throw DatasetError(
                looksLikeFile
                    ? "\(path): no such file (looked from \(FileManager.default.currentDirectoryPath))"
                    : "\(path): not a file; download the data set first and give the path of its .jsonl or .json file")
        }
        if isDirectory.boolValue {
            throw DatasetError("\(path): is a folder, not a file; give the path of a .jsonl or .json file in it")
        }
        let type = URL(filePath: path).pathExtension.lowercased()
        switch type {
        case "jsonl", "ndjson": self = .jsonLines
        case "json": self = .json
        default:
            throw DatasetError(
                "\(path): \(type.isEmpty ? "a file without an extension" : ".\(type) files") cannot be read yet; "
                    + "convert it to .jsonl (one JSON object per line) or .json (an array of objects)")
        }
    }
}
