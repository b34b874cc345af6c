extension ConfigFile {
    /// What a run's `args.json` records of itself and of its machine.
    private static let recorded: Set<String> = [
        "swift_version", "apus_version", "model_dir", RunClock.argument, "id2label", "model_info", "model_meta",
        "model_suffix", "rank",
        "local_rank", "world_size", "global_world_size", "local_world_size",
    ]

    /// What the record of a run asks for: the options that are not what they are anyway.
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
                if table.isNotYetSupported(name) { asked.append((name, words)) } else { passedOver.append(name) }
                continue
            }
            guard option.status == .supported else { continue }
            if name == "output_dir", let folder = words.first { words = [Self.parentOfRun(folder)] }
            let value = try? OptionReader(option: option, spelling: name).value(of: words)
            if value == nil || value != option.defaultValue { asked.append((name, words)) }
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
