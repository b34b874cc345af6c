import ApusFiles
import Foundation

/// `~` in the values of options that are paths, which a shell leaves as it is behind `=` and in quotes.
enum OptionPaths {
    /// Options whose values are paths, or may be.
    static let names: Set<String> = [
        "model", "adapters", "ref_model", "ref_adapters", "teacher_model", "teacher_adapters", "reward_model",
        "reward_adapters", "dataset", "val_dataset", "chord_sft_dataset", "custom_dataset_info", "cache_files",
        "output_dir", "logging_dir", "result_path", "local_dir", "resume_from_checkpoint", "reward_funcs", "orm_model",
        "prm_model", "multi_turn_scheduler", "xlora_adapters",
    ]

    /// Those of texts, of which a path is one that ends in `.txt`.
    static let ofTexts: Set<String> = ["system", "new_special_tokens"]

    /// The words of an option with the folder of the user in place of each `~`.
    ///
    /// - Throws: `UsageError` for the folder of another user.
    static func expanded(_ words: [String], of option: CommandOption, spelling: String, home: String) throws -> [String]
    {
        let name = option.name
        if ofTexts.contains(name) {
            return words.map { $0.hasSuffix(".txt") ? HomeFolder.expand($0, home: home) : $0 }
        }
        guard names.contains(name) || option.kind == .json || option.kind == .mapping else { return words }
        return try words.map { word in
            guard word.contains("~") else { return word }
            // Several data sets may stand in one word.
            if ["dataset", "val_dataset", "chord_sft_dataset"].contains(name),
                !FileManager.default.fileExists(atPath: word)
            {
                return try word.split(separator: ",", omittingEmptySubsequences: false)
                    .map { try expanded($0.trimmingCharacters(in: .whitespaces), spelling, home) }
                    .joined(separator: ",")
            }
            if name == "adapters", let (adapter, folder) = AdapterWords.parts(word) {
                return "\(adapter)=\(try expanded(folder, spelling, home))"
            }
            return try expanded(word, spelling, home)
        }
    }

    private static func expanded(_ path: String, _ spelling: String, _ home: String) throws -> String {
        let isOfAnother = path.hasPrefix("~") && path != "~" && !path.hasPrefix("~/")
        guard !isOfAnother || FileManager.default.fileExists(atPath: path) else {
            throw UsageError(
                "\(spelling): got \"\(path)\"; ~ stands for the folder of the user alone, as in ~/models. Write the path of "
                    + "another user's folder in full, and ./\(path) for one of that name here.")
        }
        return HomeFolder.expand(path, home: home)
    }
}

extension CommandSettings {
    /// Puts the folder of the user in place of `~` in settings that are paths, as a command line has it there.
    mutating func expandPaths(home: String) {
        for field in Self.fields where OptionPaths.names.contains(field.name) {
            let value = field.read(self)
            let expanded: OptionValue
            switch value {
            case .text(let path)?: expanded = .text(HomeFolder.expand(path, home: home))
            case .list(let paths)?: expanded = .list(paths.map { HomeFolder.expand($0, home: home) })
            default: continue
            }
            // What is read may be a default that others decide, and stays one.
            if expanded != value { _ = field.write(&self, expanded) }
        }
    }
}
