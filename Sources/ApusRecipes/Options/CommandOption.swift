import ApusText

/// One option of the command line: everything that parsing, help and checks need to know of it.
package struct CommandOption: Sendable {
    /// In snake case and without dashes: `lora_rank`.
    package let name: String
    package let kind: OptionKind
    /// What holds when the option is not given; nil when nothing is set or the value is computed.
    package let defaultValue: OptionValue?
    /// How the default is computed, for help: `save_strategy`.
    package let computedDefault: String?
    package let group: OptionGroup
    /// A part of the group with a heading of its own: what the options are about.
    package let section: String?
    /// One line for help.
    package let help: String
    package let commands: Set<Command>
    package let status: OptionStatus
    /// What to try, added to the messages about a wrong value.
    package let hint: String?

    init(
        _ name: String, _ kind: OptionKind, default defaultValue: OptionValue? = nil, computed: String? = nil,
        _ help: String, in group: OptionGroup, for commands: Set<Command>, status: OptionStatus = .supported,
        hint: String? = nil, section: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        computedDefault = computed
        self.group = group
        self.help = help
        self.commands = commands
        self.status = status
        self.hint = hint
        self.section = section
    }

    /// The option with the default that it has in a command.
    func of(_ command: Command) -> CommandOption {
        guard command == .pt, let value = Self.pretrainingDefaults[name] else { return self }
        return CommandOption(
            name, kind, default: value, help, in: group, for: [command], status: status, hint: hint, section: section)
    }

    /// Whether it is a boolean that is true without the flag, always or where that is found out.
    var mayBeTrueUnasked: Bool {
        kind == .boolean && (defaultValue == .boolean(true) || defaultValue == nil && status == .supported)
    }

    /// What `pt` sets otherwise than `sft`.
    private static let pretrainingDefaults: [String: OptionValue] = [
        "use_chat_template": .boolean(false), "loss_scale": .text(LossScale.all.rawValue),
    ]
}

/// What Apus does with an option.
package enum OptionStatus: Sendable, Equatable {
    case supported
    /// Accepted with a printed notice, because what it steers does not exist here.
    case noEffect(String)
}

/// The headings of a help page, in its order.
package enum OptionGroup: String, CaseIterable, Sendable {
    case command = "Command"
    case model = "Model"
    case data = "Data"
    case template = "Template"
    case tuner = "Tuner"
    case method = "Adapters"
    case training = "Training"
    case preferences = "Preferences"
    case optimizer = "Optimizer and learning rate"
    case evaluation = "Evaluating and saving"
    case generation = "Generation"
    case rewards = "Rewards"
    case output = "Output"
    case device = "Device"
    case hub = "Hub"
    case noEffect = "Accepted without effect"
}
