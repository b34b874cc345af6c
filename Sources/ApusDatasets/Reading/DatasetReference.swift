import Foundation

/// One word of `--dataset`: `[hf::|ms::]path[:subset1/subset2][#count]`.
///
/// Parsed in the order of ms-swift: whatever exists on disk is a path first, so that `#` and `:` in file names are
/// safe; then the prefix, the last `#`, and the first `:` are split off in turn.
package struct DatasetReference: Sendable, Equatable {
    package enum Hub: String, Sendable {
        case huggingFace = "hf"
        case modelScope = "ms"
    }

    /// More is a slip of the hand that would fill the memory with repeats.
    private static let maximumSampleCount = 100_000_000

    /// A path, or the id of a data set on a hub.
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
        var rest = text[...]
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
}
