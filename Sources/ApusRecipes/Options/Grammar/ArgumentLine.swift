import ApusFiles

/// The command line of one command, read by ms-swift's grammar.
package struct ArgumentLine: Sendable {
    package struct Argument: Sendable, Equatable {
        package let value: OptionValue
        package let origin: Origin
    }

    package enum Origin: Sendable, Equatable {
        case commandLine
        case configFile
        /// From the `args.json` of a checkpoint.
        case checkpoint
        case environment
    }

    package let command: Command
    /// What was given, by the name of the option; what was not given is absent.
    package internal(set) var arguments: [String: Argument] = [:]
    /// Environment variables that the configuration file asks for; those that exist already win.
    package internal(set) var environment: [(name: String, value: String)] = []
    /// Lines to print: older spellings, flags without effect.
    package internal(set) var notices: [String] = []
    /// What a run keeps of the configuration file.
    package internal(set) var settingsFile: SettingsCopy?

    /// Reads the words that follow the name of the command.
    ///
    /// - Parameter environment: `HOME`, for which `~` stands in paths.
    /// - Throws: `UsageError` with one paragraph for each wrong argument, `SettingsError` for an unreadable
    ///   configuration file.
    package init(_ words: [String], for command: Command, environment: [String: String] = [:]) throws {
        self.command = command
        let home = HomeFolder.path(environment)
        var reader = ArgumentLineReader(table: .table(for: command), home: home)
        var words = words[...]
        var record: [String] = []
        if let first = words.first, first == "--config" || first.hasPrefix("--config=") {
            let path = first == "--config" ? words.dropFirst().first : String(first.dropFirst("--config=".count))
            guard let path, ConfigFile.isNamed(by: path) else {
                throw UsageError(
                    "--config: got \(path.map { "\"\($0)\"" } ?? "nothing"), wanted a .yaml or .json file of settings, as in "
                        + "--config settings.yaml.")
            }
            words = [path] + words.dropFirst(first == "--config" ? 2 : 1)
        }
        if let first = words.first, ConfigFile.isNamed(by: first) {
            words = words.dropFirst()
            let file = try ConfigFile(path: HomeFolder.expand(first, home: home))
            settingsFile = file.copy
            self.environment = file.environment
            let (options, passedOver) = file.isRecord ? file.asked(of: .table(for: command)) : (file.options, [])
            for (name, words) in options { reader.read(name: name, words: words, origin: .configFile) }
            if !passedOver.isEmpty {
                record.append(
                    "\(first) is the record of a run; passed over, being no options of \(command.rawValue): "
                        + passedOver.joined(separator: ", "))
            }
        }
        reader.read(words)
        arguments = try reader.finished()
        notices = record + reader.notices
    }

    package subscript(name: String) -> OptionValue? {
        arguments[name]?.value
    }

    /// Asks for an option with a value that came from elsewhere, such as a checkpoint.
    mutating func set(_ name: String, _ value: OptionValue, origin: Origin) {
        arguments[name] = Argument(value: value, origin: origin)
    }
}
