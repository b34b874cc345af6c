/// The names of the fields of one argument class of ms-swift 4.6.0 and the commands that read it.
///
/// These lists are complete, whatever Apus supports, so that a flag of ms-swift is always known by name: one that has
/// no `CommandOption` is refused as "ms-swift has it, Apus does not yet", and an abbreviation means here what it
/// means there.
package struct MSSwiftFields: Sendable {
    package let argumentClass: String
    package let commands: Set<Command>
    package let names: [String]

    init(_ argumentClass: String, _ commands: Set<Command>, _ names: String) {
        self.argumentClass = argumentClass
        self.commands = commands
        self.names = names.utf8.split { $0 <= 0x20 }.map { String(Substring($0)) }
    }

    package static let all: [MSSwiftFields] = general + reinforcement

    /// The names of all fields that a command of ms-swift accepts.
    package static func names(of command: Command) -> Set<String> { namesByCommand[command] ?? [] }

    private static let namesByCommand: [Command: Set<String>] = {
        var names: [Command: Set<String>] = [:]
        for fields in all { for command in fields.commands { names[command, default: []].formUnion(fields.names) } }
        return names
    }()
}
