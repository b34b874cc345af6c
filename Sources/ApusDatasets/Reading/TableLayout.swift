import ApusJSON

/// The names of the columns of a table.
struct TableLayout: Sendable, Equatable {
    /// What is asked of the number of fields.
    enum Width: Sendable, Equatable {
        case exactly
        case atLeast
    }

    private(set) var names: [String]
    private(set) var width: Width
    /// Whether fields beyond the names are called by their position; else they are left out.
    private let isPositional: Bool
    /// Whether the first row holds the names.
    let hasHeader: Bool

    /// How many rows at the beginning of a table are looked at to tell what it is.
    static let sampleCount = 10

    /// Names the columns: by the first row when that is a header; else by the shape of a well-known data set; else by
    /// the first row when it may be a header; else by position, counted from "0".
    ///
    /// - Parameters:
    ///   - sample: The first rows.
    ///   - columns: The old names in `--columns`, in lower case.
    ///   - knowsShapes: Whether tables without a header are known by their shape. Where they are not, as for
    ///     conversations, the first row is the header unless `--columns` names positions.
    /// - Throws: `DatasetError` without a place for a header that names a column twice.
    init(sample: [[String]], columns: Set<String>, knowsShapes: Bool = true) throws {
        let first = sample.first ?? []
        let positions = columns.compactMap { Int($0) }
        let isHeader = Self.isHeader(first, mapped: columns)
        let shape = isHeader || !positions.isEmpty || !knowsShapes ? nil : Self.shape(of: sample)
        // Without a shape, rows without names are of no use: those of a header say at least what is missing.
        if isHeader || positions.isEmpty && shape == nil && Self.mayBeHeader(first, ofAnyWords: !knowsShapes) {
            hasHeader = true
            isPositional = false
            width = .exactly
            names = first.enumerated().map { index, cell in
                let name = cell.trimmed
                return name.isEmpty || columns.contains("\(index)") ? "\(index)" : name
            }
            var seen: Set<String> = []
            if let twice = names.first(where: { !seen.insert($0.lowercased()).inserted }) {
                throw DatasetError("two columns are called \"\(twice)\"; rename one")
            }
            return
        }
        hasHeader = false
        if let shape {
            (names, width) = shape
            isPositional = false
        } else {
            let needed = (positions.max() ?? -1) + 1
            // Only what is mapped has to be there: rows of one file may have more columns than others.
            names = (0..<min(needed, 1 << 16)).map(String.init)
            width = .atLeast
            isPositional = true
        }
    }

    /// What a user should know of columns that no header names; nil where one does.
    var note: String? {
        guard !hasHeader, names.count > 1 else { return nil }
        return "no row with names of columns that are known; read as \(names.joined(separator: ", "))"
    }

    /// - Throws: `RowRejection` for a row with too few or too many fields.
    func object(_ fields: [String]) throws -> JSONObject {
        if fields.count < names.count {
            throw RowRejection("fewer fields than columns", "\(fields.count) of \(names.count)")
        }
        if width == .exactly, fields.count > names.count {
            throw RowRejection("more fields than columns", "\(fields.count) instead of \(names.count)")
        }
        var object = JSONObject()
        for (index, field) in fields.enumerated() {
            guard index < names.count || isPositional else { break }
            object[index < names.count ? names[index] : "\(index)"] = .string(field)
        }
        return object
    }

    /// A header has a cell that is a mapped name, two that are known ones, or one that is among others that could be names.
    static func isHeader(_ cells: [String], mapped: Set<String>) -> Bool {
        let names = cells.map { $0.trimmed.lowercased() }
        let mappedNames = mapped.filter { Int($0) == nil }
        if names.contains(where: mappedNames.contains) { return true }
        let count = names.count(where: RowColumns.headers.contains)
        return count > 1 || count == 1 && names.allSatisfy(isName)
    }

    /// Whether a row whose names are not known could be a header.
    ///
    /// - Parameter anyWords: Whether names may also be sentences and numbers.
    private static func mayBeHeader(_ cells: [String], ofAnyWords anyWords: Bool) -> Bool {
        let names = cells.map { $0.trimmed.lowercased() }
        guard !names.isEmpty, Set(names).count == names.count else { return false }
        return anyWords || names.contains(where: RowColumns.headers.contains) || names.allSatisfy(isName)
    }

    /// Could be the name of a column; so could be a class.
    private static func isName(_ text: String) -> Bool { Double(text) == nil && isShort(text) }

    /// Refuses a table of texts with classes whose first row may just as well hold names that are not known.
    ///
    /// A class that comes once more, and a number, is none.
    ///
    /// - Parameter rows: All rows; they are read until the first one's class comes again.
    /// - Throws: `DatasetError` without a place.
    func checkFirst(of rows: some Sequence<[String]>) throws {
        guard !hasHeader, !isPositional, names.last == "label" else { return }
        var rest = rows.makeIterator()
        guard let first = rest.next(), first.count == names.count, let label = first.last?.trimmed,
            Self.isName(label), label.contains(where: \.isLetter)
        else { return }
        var otherCount = 0
        var areNumbers = true
        while let row = rest.next() {
            guard row.count == names.count, let other = row.last?.trimmed else { continue }
            if other == label { return }
            otherCount += 1
            areNumbers = areNumbers && Double(other) != nil
        }
        guard otherCount > (areNumbers ? 0 : 1) else { return }
        var mapping = JSONObject()
        for (cell, name) in zip(first, names) where Self.isName(cell.trimmed) { mapping[cell.trimmed] = .string(name) }
        throw DatasetError(
            "the first line may be a header or a row: no other has \"\(label)\" for a label. For a header, call its columns "
                + "\(names.joined(separator: ", ")), or give --columns '\(JSONValue.object(mapping).serialized())'; for a "
                + "row, put a line with these names above it")
    }

    /// Not a sentence: a name, or a class.
    private static func isShort(_ text: String) -> Bool {
        text.utf8.count <= 40 && text.count { $0 == " " } <= 2 && !(text.last.map { ".?!。？！".contains($0) } ?? false)
    }

    /// The shapes of the STS benchmark, CoLA, pairs with a score behind an id, pairs with a label, and texts with a label.
    static func shape(of sample: [[String]]) -> (names: [String], width: Width)? {
        func all(_ count: ClosedRange<Int>, _ test: ([String]) -> Bool) -> Bool {
            !sample.isEmpty && sample.allSatisfy { count.contains($0.count) && test($0) }
        }
        func isLabel(_ text: String) -> Bool { !text.trimmed.isEmpty && isShort(text.trimmed) }
        if all(7...64, { (Double($0[4]).map { (0...5).contains($0) } ?? false) && !$0[5].isEmpty && !$0[6].isEmpty }) {
            return (["genre", "file", "year", "id", "score", "sentence1", "sentence2"], .atLeast)
        }
        if all(4...4, { ["0", "1"].contains($0[1]) && $0[2].count <= 2 && !$0[3].isEmpty }) {
            return (["source", "label", "mark", "sentence"], .exactly)
        }
        if all(4...4, { (Double($0[3]).map { (0...5).contains($0) } ?? false) && !$0[1].isEmpty && !$0[2].isEmpty }) {
            return (["id", "sentence1", "sentence2", "score"], .exactly)
        }
        if all(3...3, { !$0[0].isEmpty && !$0[1].isEmpty && isLabel($0[2]) }) {
            return (["sentence1", "sentence2", "label"], .exactly)
        }
        if all(2...2, { !$0[0].isEmpty && isLabel($0[1]) }) { return (["text", "label"], .exactly) }
        return nil
    }
}

extension String {
    /// Without spaces at its ends.
    var trimmed: String {
        guard utf8.first.map(Self.isSpace) == true || utf8.last.map(Self.isSpace) == true else { return self }
        let start = utf8.firstIndex { !Self.isSpace($0) } ?? utf8.endIndex
        let end = utf8[start...].lastIndex { !Self.isSpace($0) }.map { utf8.index(after: $0) } ?? start
        return String(self[start..<end])
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
