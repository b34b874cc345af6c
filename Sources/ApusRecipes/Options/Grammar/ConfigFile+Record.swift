extension ConfigFile {
    /// What a run's `args.json` records of itself and of its machine.
    private static let recorded: Set<String> = [
        "swift_version", "apus_version", "model_dir", RunClock.argument, "id2label", "model_info", "model_meta",
        "model_suffix", "rank",
        "local_rank", "world_size", "global_world_size", "local_world_size",
    ]

    /// What the record of a run asks for: the options that are not what they are anyway, older names among them.
    ///
    /// The folder of the run becomes the one that holds it, so that the next run gets a folder beside it.
    ///
    /// - Returns: The options, and the keys that are none.
    func asked(of table: OptionTable) -> (options: [(name: String, words: [String])], passedOver: [String]) {
        var asked: [(name: String, words: [String])] = []
        var passedOver: [String] = []
        for (name, given) in options where !Self.recorded.contains(name) && !given.isEmpty {
            var words = given
            guard let option = table[name] else {
                if table.isNotYetSupported(name) {
                    asked.append((name, words))
                } else if let rename = Rename.all[name], let parts = rename.parts(words, in: table) {
                    // A record of two versions: what it says under today's name holds.
                    let isOpen = !options.contains { $0.name == rename.currentName && !$0.words.isEmpty }
                    if isOpen, parts.contains(where: { table.asks($0.words, of: $0.name) }) {
                        asked.append((name, words))
                    }
                } else {
                    passedOver.append(name)
                }
                continue
            }
            if name == "output_dir", let folder = words.first { words = [Self.parentOfRun(folder)] }
            if option.status == .supported, table.asks(words, of: name) { asked.append((name, words)) }
        }
        return (asked, passedOver)
    }

    /// The folder that holds `v0-20260305-080706`, or the folder itself.
    private static func parentOfRun(_ folder: String) -> String {
        let parts = folder.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 1, let last = parts.last, last.wholeMatch(of: /v[0-9]+-[0-9]{8}-[0-9]{6}/) != nil else {
            return folder
        }
        return parts.dropLast().joined(separator: "/")
    }
}

extension Rename {
    /// The one option that the flag is called now; nil where it is a part of another, or no option.
    var currentName: String? {
        if case .option(let name, _) = meaning { name } else { nil }
    }

    /// What words stand for today; none where they asked for what holds anyway, nil where the flag is no option.
    fileprivate func parts(_ words: [String], in table: OptionTable) -> [(name: String, words: [String])]? {
        guard let name, table.allNames.contains(name) else { return nil }
        return switch meaning {
        case .option(let name, let translate): translate(words).map { [(name, $0)] } ?? []
        case .options(_, let translate): translate(words)
        case .appended: words.isEmpty ? [] : [(name, words)]
        case .rows: words == ["-1"] ? [] : [(name, words)]
        case .addition(_, let value): value(words).map { [(name, [$0])] } ?? []
        case .checkpointFolder: [(Self.optionOfCheckpoint(words), words)]
        case .dropped, .refused: nil
        }
    }
}

extension OptionTable {
    /// Whether words for an option ask for something that is not so anyway.
    fileprivate func asks(_ words: [String], of name: String) -> Bool {
        guard let option = self[name] else {
            return NotYetOptions.valuesAlreadyTrue[name]?.contains(words.joined(separator: " ").lowercased()) != true
        }
        guard option.status == .supported else { return false }
        let value = try? OptionReader(option: option, spelling: name).value(of: Rename.translate(words, of: name))
        return value == nil || value != option.defaultValue
    }
}
