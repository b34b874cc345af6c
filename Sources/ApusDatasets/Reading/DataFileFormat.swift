import Foundation

/// The formats of data files that Apus reads.
enum DataFileFormat: Equatable {
    case jsonLines
    case json
    /// Fields between commas.
    case commaSeparated
    /// Fields between tabs.
    case tabSeparated
    /// Text, of which only fields between tabs can be read.
    case text

    /// - Throws: `DatasetError` for what is not a file, and for other formats by name.
    init(path: String) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            let looksLikeFile =
                path.hasPrefix("/") || path.hasPrefix(".") || path.hasPrefix("~")
                || ["jsonl", "json", "csv", "tsv", "txt", "data", "parquet", "arrow"]
                    .contains(URL(filePath: path).pathExtension.lowercased())
            throw DatasetError(
                looksLikeFile
                    ? "\(path): no such file (looked from \(FileManager.default.currentDirectoryPath)"
                        + (path.contains("\\") ? "; folders are divided by / here, not \\)" : ")")
                    : "\(path): no such file; \(DatasetReference.fetching(path, from: nil))")
        }
        if isDirectory.boolValue {
            throw DatasetError("\(path): is a folder, not a file; give the path of a .jsonl or .json file in it")
        }
        let type = URL(filePath: path).pathExtension.lowercased()
        switch type {
        case "jsonl", "ndjson": self = .jsonLines
        case "json": self = .json
        case "csv": self = .commaSeparated
        case "tsv": self = .tabSeparated
        case "txt", "data": self = .text
        default:
            throw DatasetError(
                "\(path): \(type.isEmpty ? "a file without an extension" : ".\(type) files") cannot be read yet; "
                    + "convert it to .jsonl (one JSON object per line), .json (an array of objects) or .csv")
        }
    }

    /// What stands between the fields of a table; `nil` for JSON.
    ///
    /// Data sets with tabs are often called `.csv` or `.txt`, and tables of many countries have semicolons; the first
    /// lines tell.
    ///
    /// - Parameter columns: The old names in `--columns`, in lower case.
    func separator(
        of bytes: UnsafeRawBufferPointer, columns: Set<String>, path: String
    ) throws -> TableScanner.Separator? {
        switch self {
        case .jsonLines, .json: return nil
        case .tabSeparated: return .tab
        case .commaSeparated:
            return TableScanner.firstLineHasTab(bytes)
                ? .tab : try TableScanner.separator(of: bytes, columns: columns, path: path)
        case .text:
            guard TableScanner.firstLineHasTab(bytes) else {
                throw DatasetError(
                    "\(path): plain text cannot be read yet, only text with tabs between its fields; "
                        + "convert it to .jsonl (one JSON object per line), .json (an array of objects) or .csv")
            }
            return .tab
        }
    }
}
