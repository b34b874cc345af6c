/// Which files of a data set hold the rows of a split.
///
/// The rules are those of Hugging Face's `datasets`: what the card says; else `data/{split}-00000-of-00001.*`; else
/// folders, else files with the word of a split in their names; else all files are of `train`. Capital letters do not
/// matter, and a file that two patterns fit is read once.
struct DataFileChoice {
    /// The paths of all files, in order.
    private let paths: [String]
    private let card: DatasetCard

    init(paths: [String], card: DatasetCard) {
        self.paths = paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        self.card = card
    }

    /// The files that were chosen, in the order of their rows.
    struct Chosen: Equatable {
        let files: [String]
        /// What the data set calls the split, where that is more than another word for the one that was asked for.
        var otherName: String?
    }

    private typealias Split = (name: String, files: [String])

    /// Formats that data come in, whether or not they can be read here.
    ///
    /// Where there is a file of each, the first counts.
    private static let formats = [
        "parquet", "arrow", "feather", "jsonl", "json", "ndjson", "csv", "tsv", "txt",
    ]
    /// Formats that one reader reads.
    private static let families: [Set<String>] = [["jsonl", "json", "ndjson"], ["csv", "tsv"], ["arrow", "feather"]]
    private static let notData: Set<String> = [
        "dataset_infos.json", "dataset_info.json", "dataset_dict.json", "config.json", "configuration.json",
        "package.json", "state.json", "license.txt", "requirements.txt", "readme.txt",
    ]
    private static let words: [(split: String, words: [String])] = [
        ("train", ["train", "training"]), ("validation", ["validation", "valid", "dev", "val"]),
        ("test", ["test", "testing", "eval", "evaluation"]),
    ]

    /// - Parameters:
    ///   - split: `train`, `validation`, `test` or a name that the data set has.
    ///   - subset: Nil where none was chosen.
    /// - Throws: `DatasetChoiceError`.
    func files(split: String, subset: String?) throws -> Chosen {
        let chosen = try card.subset(subset)
        if let chosen, !chosen.files.isEmpty {
            let (name, other) = try Self.meant(
                split, of: chosen.files.map(\.split), in: " in the subset \(chosen.name)")
            let patterns = chosen.files.filter { $0.split == name }.flatMap(\.patterns)
            return Chosen(files: try files(fitting: patterns), otherName: other)
        }
        let folder = chosen?.folder ?? ""
        let inside = paths.filter { $0.hasPrefix(folder) }.map { String($0.dropFirst(folder.count)) }
        let data = try files(of: subset, isOfCard: chosen != nil, among: inside.filter(Self.isData), in: folder)
        let splits = Self.splits(data)
        let (name, other) = try Self.meant(split, of: splits.map(\.name), in: "")
        let files = splits.first { $0.name == name }?.files ?? []
        return Chosen(files: Self.ofOneFormat(files).map { folder + $0 }, otherName: other)
    }

    // MARK: - What the card says

    private func files(fitting patterns: [String]) throws -> [String] {
        let data = paths.filter { !Self.format($0).isEmpty }
        let listed = Set(data)
        var found: [String] = []
        var (named, seen): (Set<String>, Set<String>) = ([], [])
        for pattern in patterns {
            let glob = PathGlob(pattern)
            var fitting: [String] = []
            if glob.isPattern {
                let (hidden, name) = (Self.hidden(pattern), Self.name(pattern))
                fitting = data.filter { path in
                    glob.fits(path) && Self.hidden(path) == hidden
                        && (!Self.isNoData(path) || Self.name(path) == name)
                }
            } else {
                // A card may name thousands of files.
                guard listed.contains(pattern) else {
                    throw DatasetChoiceError("names files that are not there: \(pattern)")
                }
                fitting = [pattern]
                named.insert(pattern)
            }
            found += fitting.filter { seen.insert($0).inserted }
        }
        guard !found.isEmpty else {
            throw DatasetChoiceError("names files that are not there: \(patterns.prefix(6).joined(separator: ", "))")
        }
        let kept = Set(Self.ofOneFormat(found)).union(named)
        return found.filter(kept.contains)
    }

    // MARK: - What names say

    /// The files of a subset; one without patterns may be a folder, or a file.
    private func files(
        of subset: String?, isOfCard: Bool, among data: [String], in folder: String
    ) throws -> [String] {
        guard !data.isEmpty else {
            throw DatasetChoiceError(
                !folder.isEmpty
                    ? "holds no files of data in the folder \(folder) that its card names"
                    : paths.contains { $0.hasSuffix(".py") }
                        ? "holds no data but a program that makes them, and Apus runs no code that comes with data"
                        : "holds no files of data (.jsonl, .json, .csv, .parquet …)")
        }
        guard let subset, subset != "default", folder.isEmpty else { return data }
        let own = data.filter { path in
            let parts = path.split(separator: "/").map(String.init)
            return parts.dropLast().contains(subset) || Self.stem(parts.last ?? "") == subset
        }
        guard own.isEmpty else { return own }
        guard isOfCard else {
            throw DatasetChoiceError(
                "has no subset \"\(subset)\"; it has the files \(data.prefix(12).joined(separator: ", "))")
        }
        return data
    }

    /// The splits that names tell of; the first rule that finds any counts for all.
    private static func splits(_ data: [String]) -> [Split] {
        var sharded: [String: [String]] = [:]
        for path in data {
            guard let match = path.wholeMatch(of: /data\/([^\/]+)-[0-9]{5}-of-[0-9]{5}[^\/]*\.[^\/]*/) else { continue }
            sharded[String(match.1), default: []].append(path)
        }
        if !sharded.isEmpty { return sharded.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
        for isFolder in [true, false] {
            let found = words.compactMap { split, words -> Split? in
                let ranked = data.compactMap { path in
                    rank(words, in: path, isFolder: isFolder).map { (rank: $0, path: path) }
                }
                guard !ranked.isEmpty else { return nil }
                // As patterns would find them one behind the other.
                return (
                    split,
                    Set(ranked.map(\.rank)).sorted().flatMap { rank in
                        ranked.filter { $0.rank == rank }.map(\.path)
                    }
                )
            }
            if !found.isEmpty { return found }
        }
        return data.isEmpty ? [] : [("train", data)]
    }

    /// How the words of a split stand in a path, between signs: the first word before others, and in its beginning before
    /// in its middle.
    ///
    /// - Returns: nil where none does.
    private static func rank(_ words: [String], in path: String, isFolder: Bool) -> Int? {
        let parts = path.lowercased().split(separator: "/")
        return (isFolder ? parts.dropLast() : parts.suffix(1)).compactMap { name -> Int? in
            let pieces = pieces(String(name))
            return words.enumerated().compactMap { index, word -> Int? in
                let places = pieces.indices.filter { pieces[$0] == word }.compactMap { place -> Int? in
                    let isLast = place == pieces.count - 1
                    // What ends a name of a file is its format.
                    if isLast, !isFolder { return nil }
                    return place == 0 ? (isLast ? 0 : 1) : (isLast ? 2 : 3)
                }
                return places.min().map { 4 * index + $0 }
            }.min()
        }.min()
    }

    /// A name between the signs that `datasets` takes for the ends of words.
    private static func pieces(_ name: String) -> [String] {
        name.split(omittingEmptySubsequences: false) { "-._ 0123456789".contains($0) }.map(String.init)
    }

    // MARK: - Which split

    /// The split that is meant: the one of that name; else that of another word for it; else the only one with such a word
    /// in its name, which is said.
    private static func meant(
        _ split: String, of names: [String], in place: String
    ) throws -> (name: String, otherName: String?) {
        if names.contains(split) { return (split, nil) }
        let own = words.first { $0.words.contains(split) }?.words ?? []
        if let other = own.first(where: names.contains) { return (other, nil) }
        let others = words.flatMap(\.words).filter { !own.contains($0) }
        let likely = Set(
            names.filter { name in
                let pieces = pieces(name.lowercased())
                return pieces.contains(where: own.contains) && !pieces.contains(where: others.contains)
            })
        if likely.count == 1, let only = likely.first { return (only, only) }
        throw DatasetChoiceError("has no split \"\(split)\"\(place); it has \(names.joined(separator: ", "))")
    }

    // MARK: - Which format

    /// The files of the format that most are of, and of those read alike; of texts only where there is nothing else.
    private static func ofOneFormat(_ files: [String]) -> [String] {
        let counts = Dictionary(grouping: files, by: format).mapValues(\.count)
        let data = formats.filter { $0 != "txt" && counts[$0] != nil }
        guard let most = data.max(by: { counts[$0] ?? 0 < counts[$1] ?? 0 }) else { return files }
        let family = families.first { $0.contains(most) } ?? [most]
        return files.filter { family.contains(format($0)) }
    }

    private static func isData(_ path: String) -> Bool {
        !format(path).isEmpty && hidden(path) == (0, 0) && !isNoData(path)
    }

    private static func isNoData(_ path: String) -> Bool { notData.contains(name(path).lowercased()) }

    /// How many names of a path are hidden, and how many of its folders special: files in such are only those of patterns
    /// with as many.
    private static func hidden(_ path: String) -> (hidden: Int, special: Int) {
        let parts = path.split(separator: "/")
        return (
            parts.count { $0.hasPrefix(".") && !$0.allSatisfy { $0 == "." } },
            parts.dropLast().count { $0.hasPrefix("__") }
        )
    }

    /// The ending that says the format, without that of a compression.
    private static func format(_ path: String) -> String {
        var name = path.lowercased()
        for packed in [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".lz4"] where name.hasSuffix(packed) {
            name.removeLast(packed.count)
            break
        }
        return formats.first { name.hasSuffix(".\($0)") } ?? ""
    }

    private static func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "" }

    private static func stem(_ name: String) -> String {
        name.split(separator: ".", omittingEmptySubsequences: false).first.map(String.init) ?? name
    }
}
