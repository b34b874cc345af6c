/// Which files of a data set hold the rows of a split.
///
/// The rules are those of Hugging Face's `datasets`: what the card says; else names with the word of a split in them;
/// else all files are of `train`.
struct DataFileChoice {
    /// The paths of all files.
    let paths: [String]
    let card: DatasetCard

    /// Formats that data come in, whether or not they can be read here.
    private static let formats = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet", "arrow", "feather", "txt"]
    private static let notData: Set<String> = [
        "dataset_infos.json", "dataset_info.json", "config.json", "configuration.json", "package.json", "state.json",
        "license.txt", "requirements.txt", "readme.txt",
    ]
    private static let words: [String: [String]] = [
        "train": ["train", "training"], "validation": ["validation", "valid", "dev", "val"],
        "test": ["test", "testing", "eval", "evaluation"],
    ]

    /// - Parameters:
    ///   - split: `train`, `validation`, `test` or a name that the card has.
    ///   - subset: Nil where none was chosen.
    /// - Throws: `DatasetChoiceError`.
    func files(split: String, subset: String?) throws -> [String] {
        let data = paths.filter(Self.isData)
        if let chosen = try card.subset(subset), !chosen.files.isEmpty {
            let splits = chosen.files.filter { Self.isSame($0.split, split) }
            guard !splits.isEmpty else {
                throw DatasetChoiceError(
                    "has no split \"\(split)\" in the subset \(chosen.name); it has "
                        + chosen.files.map(\.split).joined(separator: ", "))
            }
            let globs = splits.flatMap { $0.patterns.map { PathGlob($0.hasPrefix("./") ? String($0.dropFirst(2)) : $0) } }
            let found = data.filter { path in globs.contains { $0.fits(path) } }
            guard !found.isEmpty else {
                throw DatasetChoiceError(
                    "names files that are not there: \(splits.flatMap(\.patterns).prefix(6).joined(separator: ", "))")
            }
            return found
        }
        return try byName(data, split: split, subset: subset)
    }

    private func byName(_ data: [String], split: String, subset: String?) throws -> [String] {
        var data = data
        // A subset that the card does not know may be a folder, or a file.
        if let subset, subset != "default" {
            let own = data.filter { path in
                let parts = path.split(separator: "/").map(String.init)
                return parts.dropLast().contains(subset) || Self.stem(parts.last ?? "") == subset
            }
            guard !own.isEmpty else {
                throw DatasetChoiceError(
                    "has no subset \"\(subset)\"; it has the files \(data.prefix(12).joined(separator: ", "))")
            }
            data = own
        }
        guard !data.isEmpty else {
            throw DatasetChoiceError(
                paths.contains { $0.hasSuffix(".py") }
                    ? "holds no data but a program that makes them, and Apus runs no code that comes with data"
                    : "holds no files of data (.jsonl, .json, .csv, .parquet …)")
        }
        // The same rows often lie there in several formats.
        let counts = Dictionary(grouping: data, by: Self.format).mapValues(\.count)
        let format = Self.formats.max { counts[$0] ?? 0 < counts[$1] ?? 0 } ?? ""
        data = data.filter { Self.format($0) == format }
        let bySplit = Dictionary(grouping: data, by: Self.split)
        if bySplit.keys.allSatisfy({ $0 == nil }) {
            guard split == "train" else {
                throw DatasetChoiceError("has no split \"\(split)\"; all its files are of train")
            }
            return data
        }
        guard let found = bySplit[split] else {
            throw DatasetChoiceError(
                "has no split \"\(split)\"; it has \(bySplit.keys.compactMap(\.self).sorted().joined(separator: ", "))")
        }
        return found
    }

    private static func isSame(_ first: String, _ second: String) -> Bool {
        first == second || words[second]?.contains(first) == true
    }

    private static func isData(_ path: String) -> Bool {
        let parts = path.lowercased().split(separator: "/")
        return !format(path).isEmpty && !parts.contains { $0.hasPrefix(".") || $0.hasPrefix("__") }
            && !(parts.last.map { notData.contains(String($0)) } ?? true)
    }

    /// The ending that says the format, without that of a compression.
    private static func format(_ path: String) -> String {
        var name = path.lowercased()
        for packed in [".gz", ".zst"] where name.hasSuffix(packed) { name.removeLast(packed.count) }
        return formats.first { name.hasSuffix(".\($0)") } ?? ""
    }

    private static func stem(_ name: String) -> String {
        name.split(separator: ".", omittingEmptySubsequences: false).first.map(String.init) ?? name
    }

    /// The split whose word stands in a path, by itself or between signs.
    private static func split(_ path: String) -> String? {
        for part in path.lowercased().split(separator: "/").reversed() {
            let pieces = Set(part.split { !$0.isLetter }.map(String.init))
            for split in ["train", "validation", "test"] where !pieces.isDisjoint(with: words[split] ?? []) {
                return split
            }
        }
        return nil
    }
}
