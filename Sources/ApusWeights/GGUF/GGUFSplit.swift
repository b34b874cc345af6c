import Foundation

/// The place of a file among the parts that `llama-gguf-split` cuts a model into.
///
/// Each part says in its metadata which it is (`split.no`, from 0) of how many (`split.count`) with how many tensors
/// altogether (`split.tensors.count`), and is found by its name: `model-00001-of-00003.gguf`.
struct GGUFSplit: Equatable {
    let number: Int
    let count: Int
    let tensorCount: Int?

    private static let digits = 5

    /// Nil for a file that is whole.
    init?(_ metadata: [String: GGUFValue], path: String) throws {
        guard let count = metadata["split.count"]?.intValue, count > 1 else { return nil }
        guard let number = metadata["split.no"]?.intValue, (0..<count).contains(number) else {
            throw WeightsError(
                path, item: "split.no", "does not say which of the \(count) parts this is",
                advice: WeightsError.downloadAgain)
        }
        (self.number, self.count) = (number, count)
        tensorCount = metadata["split.tensors.count"]?.intValue
    }

    /// What precedes the numbers in the name of a part, and the numbers; nil for other names.
    static func parts(of path: String) -> (stem: String, number: Int, count: Int)? {
        guard path.lowercased().hasSuffix(".gguf") else { return nil }
        // "-00001-of-00003"
        let tail = path.dropLast(5).suffix(2 * digits + 5)
        let fields = tail.split(separator: "-", omittingEmptySubsequences: false)
        guard fields.count == 4, fields[0].isEmpty, fields[2] == "of", fields[1].count == digits,
            fields[3].count == digits, let number = Int(fields[1]), let count = Int(fields[3])
        else { return nil }
        return (String(path.dropLast(5 + tail.count)), number, count)
    }

    /// The paths of all parts, the first one first.
    ///
    /// - Throws: `WeightsError` when the file's name does not lead to the others, or some are missing.
    func paths(beside path: String) throws -> [String] {
        guard let (stem, number, count) = Self.parts(of: path), count == self.count, number == self.number + 1 else {
            throw WeightsError(
                path, "is part \(self.number + 1) of \(self.count), but its name does not say so",
                advice: "give the parts the names that they were made with: "
                    + "…-\(Self.text(self.number + 1))-of-\(Self.text(self.count)).gguf")
        }
        let paths = (1...count).map { "\(stem)-\(Self.text($0))-of-\(Self.text(count)).gguf" }
        let missing = paths.filter { !FileManager.default.fileExists(atPath: $0) }
        guard missing.isEmpty else {
            let names = missing.prefix(3).map { URL(fileURLWithPath: $0).lastPathComponent }.joined(separator: ", ")
            throw WeightsError(
                path,
                "is one of \(count) parts, of which \(missing.count) are not there (\(names)"
                    + (missing.count > 3 ? ", …)" : ")"), advice: "download all parts into one folder")
        }
        return paths
    }

    private static func text(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
