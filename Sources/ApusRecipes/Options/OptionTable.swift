import Synchronization

/// The options of one command: what it accepts, and what it knows by name to refuse well.
package struct OptionTable: Sendable {
    package let command: Command
    /// In the order of the help page.
    package let options: [CommandOption]
    /// Names of ms-swift's fields for this command.
    package let fieldNames: Set<String>
    private let positions: [String: Int]

    private static let allOptions: [CommandOption] =
        modelOptions + quantizationOptions + dataOptions + templateOptions + tunerOptions + trainingOptions
        + evaluationOptions
        + outputOptions + inferOptions + exportOptions + generationOptions + ownOptions + hubOptions + deviceOptions
        + noEffectOptions + preferenceOptions + policyOptions + proximalOptions + distillationOptions + sampleOptions
        + rewardOptions

    private static let ofPolicy = Set((policyOptions + proximalOptions).map(\.name))

    /// Those that were asked for, as most runs of the program need that of one command.
    private static let tables = Mutex<[Command: OptionTable]>([:])

    package static func table(for command: Command) -> OptionTable {
        if let table = tables.withLock({ $0[command] }) { return table }
        let table = OptionTable(command: command)
        tables.withLock { $0[command] = table }
        return table
    }

    private init(command: Command) {
        self.command = command
        // What trains has the options of `sft`.
        let relative = command == .pt ? Command.sft : command
        options = Self.allOptions.filter {
            $0.commands.contains(relative)
                || command == .rlhf && $0.commands.contains(.sft) && !Self.notForPreferences.contains($0.name)
                    && !Self.ofPolicy.contains($0.name)
                || command == .sample && $0.commands.contains(.infer) && Self.isShared($0)
        }.map { $0.of(command) }
        fieldNames = MSSwiftFields.names(of: command)
        positions = Dictionary(
            options.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
    }

    package subscript(name: String) -> CommandOption? {
        positions[name].map { options[$0] }
    }

    /// Whether ms-swift has the field for this command and Apus does not yet.
    package func isNotYetSupported(_ name: String) -> Bool {
        fieldNames.contains(name) && positions[name] == nil
    }

    /// Names of ms-swift's fields that Apus refuses for this command, sorted.
    package var notYetSupported: [String] {
        fieldNames.filter { positions[$0] == nil }.sorted()
    }

    /// Every name that this command knows, whatever it does with it.
    var allNames: Set<String> {
        fieldNames.union(positions.keys)
    }
}
