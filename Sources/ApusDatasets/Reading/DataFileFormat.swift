import Foundation

/// The formats of data files that Apus reads.
enum DataFileFormat: Equatable {
    case jsonLines
    case json
    /// Fields between commas.
    case commaSeparated
    /// Fields between tabs.
    case tabSeparated
    /// Lines of text; or, where the first of them say so, rows of a table.
    case text

    /// - Parameter type: What follows the last point of a file's name, in lower case.
    init?(extension type: String) {
        switch type {
        case "jsonl", "ndjson": self = .jsonLines
        case "json": self = .json
        case "csv": self = .commaSeparated
        case "tsv": self = .tabSeparated
        case "txt", "text", "raw", "data": self = .text
        default: return nil
        }
    }

    /// What stands between the fields of a table; `nil` for JSON and for lines of text.
    ///
    /// Data sets with tabs are often called `.csv` or `.txt`, and tables of many countries have semicolons; the first
    /// lines tell.
    ///
    /// - Parameters:
    ///   - columns: The old names in `--columns`, in lower case.
    ///   - knowsShapes: Whether tables without a header are known by their shape.
    func separator(
        of bytes: UnsafeRawBufferPointer, columns: Set<String>, knowsShapes: Bool, path: String
    ) throws -> TableScanner.Separator? {
        switch self {
        case .jsonLines, .json: nil
        case .tabSeparated: .tab
        case .commaSeparated:
            if TableScanner.firstLineHasTab(bytes) {
                .tab
            } else {
                try TableScanner.separator(of: bytes, columns: columns, knowsShapes: knowsShapes, path: path)
            }
        case .text: textSeparator(of: bytes, columns: columns, knowsShapes: knowsShapes)
        }
    }

    /// What stands between the fields of a text that is a table.
    ///
    /// Tabs stand in prose and in code as well: where a table is not known by its shape, its first line or `--columns`
    /// says that it is one.
    private func textSeparator(
        of bytes: UnsafeRawBufferPointer, columns: Set<String>, knowsShapes: Bool
    ) -> TableScanner.Separator? {
        let separator: TableScanner.Separator? =
            if TableScanner.firstLineHasTab(bytes) {
                .tab
            } else {
                TableScanner.hasDoubleBars(bytes) ? .doubleBar : nil
            }
        guard let separator, !knowsShapes, !columns.contains(where: { Int($0) != nil }) else { return separator }
        return TableScanner(separator: separator).firstRowIsHeader(of: bytes, columns: columns) ? separator : nil
    }
}

/// What a file's name says of it: the format of its rows, and what they are wrapped in.
struct DataFileType: Equatable {
    let format: DataFileFormat
    /// What turns the file into text of that format; `nil` where it is text.
    let wrapping: ArrowLibrary.Kind?

    private static let advice =
        "give .jsonl (one JSON object per line), .json (an array of objects), .csv, .tsv, .txt, .parquet, .arrow or "
        + ".feather; text may be compressed, as in train.jsonl.gz"

    /// - Throws: `DatasetError` for what is not a file, and for other formats by name.
    init(path: String) throws {
        try Self.checkFile(path)
        let url = URL(filePath: path)
        let type = url.pathExtension.lowercased()
        if let format = DataFileFormat(extension: type) {
            (self.format, wrapping) = (format, nil)
        } else if let kind = ArrowLibrary.Kind(extension: type) {
            let inner = url.deletingPathExtension().pathExtension.lowercased()
            guard let format = kind.holdsRows ? .jsonLines : DataFileFormat(extension: inner) else {
                throw DatasetError(
                    "\(path): is a compressed file whose name does not say of what; rename it, as in "
                        + "\(url.deletingPathExtension().lastPathComponent).jsonl.\(type)")
            }
            (self.format, wrapping) = (format, kind)
        } else {
            let name = type.isEmpty ? "a file without an extension" : ".\(type) files"
            throw DatasetError("\(path): \(name) cannot be read; \(Self.advice)")
        }
    }

    /// Whether a word can only mean a file.
    static func isMeant(by path: String) -> Bool {
        let type = URL(filePath: path).pathExtension.lowercased()
        return path.hasPrefix("/") || path.hasPrefix(".") || path.hasPrefix("~")
            || DataFileFormat(extension: type) != nil || ArrowLibrary.Kind(extension: type) != nil
    }

    private static func checkFile(_ path: String) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw DatasetError(
                isMeant(by: path)
                    ? "\(path): no such file (looked from \(FileManager.default.currentDirectoryPath)"
                        + (path.contains("\\") ? "; folders are divided by / here, not \\)" : ")")
                    : "\(path): no such file; \(DatasetReference.fetching(path, from: nil))")
        }
        if isDirectory.boolValue {
            throw DatasetError("\(path): is a folder, not a file; give the path of a .jsonl or .json file in it")
        }
    }
}
