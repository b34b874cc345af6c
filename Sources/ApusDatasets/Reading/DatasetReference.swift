import Foundation

/// One word of `--dataset`: `[hf::|ms::]path[:subset1/subset2][#count]`.
///
/// A path may be a pattern (`data/*.jsonl`), whose files are one data set, and a `file://` URL. Parsed in the order of
/// ms-swift: whatever exists on disk is a path first, so that `#` and `:` in file names are
/// safe; then the prefix, the last `#`, and the first `:` are split off in turn.
package struct DatasetReference: Sendable, Equatable {
    package enum Hub: String, Sendable {
        case huggingFace = "hf"
        case modelScope = "ms"
    }

    /// More is a slip of the hand that would fill the memory with repeats.
    private static let maximumSampleCount = 100_000_000

    /// A path, a pattern of paths, or the id of a data set on a hub.
    package let location: String
    package let hub: Hub?
    package let subsets: [String]
    /// How many rows to take; more than there are repeats them.
    package let sampleCount: Int?

    /// - Parameter exists: Whether a path exists.
    /// - Throws: `DatasetError` for an unknown prefix, an empty location, or a count that is not a number above 0.
    package init(
        parsing text: String, exists: (String) -> Bool = { FileManager.default.fileExists(atPath: $0) }
    ) throws {
        var rest = exists(text) ? text[...] : try Self.path(of: text, exists: exists)[...]
        var hub: Hub?
        if !exists(text), let mark = rest.range(of: "::") {
            let prefix = rest[..<mark.lowerBound].lowercased()
            hub = Hub(rawValue: prefix)
            guard hub != nil else {
                throw DatasetError("--dataset \(text): unknown hub \"\(prefix)\"; use hf:: or ms::, or a path")
            }
            rest = rest[mark.upperBound...]
        }
        var count: Int?
        if !exists(String(rest)), let mark = rest.lastIndex(of: "#") {
            let digits = rest[rest.index(after: mark)...].trimmingCharacters(in: .whitespaces)
            guard let number = Int(digits), (1...Self.maximumSampleCount).contains(number) else {
                throw DatasetError(
                    "--dataset \(text): \"#\(digits)\" is not a number of rows between 1 and "
                        + "\(Self.maximumSampleCount); write for example #500")
            }
            count = number
            rest = rest[..<mark]
        }
        var subsets: [String] = []
        if !exists(String(rest)), let mark = rest.firstIndex(of: ":") {
            subsets = rest[rest.index(after: mark)...].split(separator: "/", omittingEmptySubsequences: false)
                .map { $0.trimmingCharacters(in: .whitespaces) }
            rest = rest[..<mark]
        }
        location = rest.trimmingCharacters(in: .whitespaces)
        guard !location.isEmpty else { throw DatasetError("--dataset \"\(text)\" names no file") }
        self.hub = hub
        self.subsets = subsets
        sampleCount = count
    }

    /// The data sets of one word: those between commas, unless the whole is a path.
    ///
    /// - Throws: As `init(parsing:)`.
    package static func list(
        parsing text: String, exists: (String) -> Bool = { FileManager.default.fileExists(atPath: $0) }
    ) throws -> [DatasetReference] {
        let parts = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        let count = text.lastIndex(of: "#").flatMap { text[$0...].contains(",") ? nil : $0 }
        let isPath = exists(text) || count.map { exists(String(text[..<$0])) } ?? false
        guard text.contains(","), !parts.isEmpty, !isPath else {
            return [try DatasetReference(parsing: text, exists: exists)]
        }
        return try parts.map { try DatasetReference(parsing: $0, exists: exists) }
    }

    /// The path that a URL or a path of another system stands for; other words as they are.
    private static func path(of text: String, exists: (String) -> Bool) throws -> String {
        if text.lowercased().hasPrefix("file:") {
            var path = text.dropFirst(5)
            if path.hasPrefix("//") {
                path = path.dropFirst(2)
                if path.hasPrefix("localhost/") { path = path.dropFirst(9) }
                guard path.hasPrefix("/") else {
                    throw DatasetError(
                        "--dataset \(text): names another machine; write file:///path, or the path alone")
                }
            }
            return path.removingPercentEncoding ?? String(path)
        }
        let isDrive = text.prefix(3).wholeMatch(of: /[A-Za-z]:[\\\/]/) != nil
        guard isDrive || text.hasPrefix("\\\\") else { return text }
        let rest = text.dropFirst(2).replacing("\\", with: "/")
        throw DatasetError(
            "--dataset \(text): is a path of Windows, and this is another system; give the path as this one has it"
                + (isDrive ? ", under WSL /mnt/\(text.prefix(1).lowercased())\(rest)" : ""))
    }

    private var isPattern: Bool { location.contains { "*?[".contains($0) } }

    /// The paths of the files that are meant, those of a pattern in the order of their names.
    ///
    /// - Throws: `DatasetError` for a pattern that no file matches.
    func paths() throws -> [String] {
        guard isPattern, !FileManager.default.fileExists(atPath: location) else { return [location] }
        guard !location.contains("**") else {
            throw DatasetError("\(location): ** is not supported; name each folder, as in data/*/*.jsonl")
        }
        var found = glob_t()
        defer { globfree(&found) }
        var paths: [String] = []
        if glob(location, 0, nil, &found) == 0 {
            for index in 0..<Int(found.gl_pathc) { paths += found.gl_pathv[index].map { [String(cString: $0)] } ?? [] }
        }
        var isFolder: ObjCBool = false
        paths = paths.filter {
            FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder) && !isFolder.boolValue
        }
        guard !paths.isEmpty else {
            throw DatasetError(
                "\(location): no file matches (looked from \(FileManager.default.currentDirectoryPath))")
        }
        return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
