import Foundation

/// Names of adapters in the words of a command: `--adapters formal=output/checkpoint-10`.
package enum AdapterWords {
    /// The line with folders, and their names apart, where each word has a name.
    package static func split(_ line: ArgumentLine) -> ArgumentLine {
        guard OptionTable.table(for: line.command)["adapter_names"] != nil, line["adapter_names"] == nil,
            case .list(let words)? = line["adapters"]
        else { return line }
        let parts = words.compactMap(parts)
        guard parts.count == words.count, !words.isEmpty else { return line }
        var line = line
        let origin = line.arguments["adapters"]?.origin ?? .commandLine
        line.set("adapters", .list(parts.map(\.folder)), origin: origin)
        line.set("adapter_names", .list(parts.map(\.name)), origin: origin)
        return line
    }

    /// A word with a name, unless it is a path as it stands.
    static func parts(_ word: String) -> (name: String, folder: String)? {
        guard !FileManager.default.fileExists(atPath: word), let sign = word.firstIndex(of: "=") else { return nil }
        let (name, folder) = (String(word[..<sign]), String(word[word.index(after: sign)...]))
        let isName = !name.isEmpty && name.allSatisfy { $0.isLetter || $0.isNumber || "-_.".contains($0) }
        return isName && !folder.isEmpty ? (name, folder) : nil
    }
}
