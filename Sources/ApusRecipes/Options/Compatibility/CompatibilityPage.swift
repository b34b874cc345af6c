/// What becomes of every flag of ms-swift 4.6, of the older spellings, and of the environment variables.
package struct CompatibilityPage: Sendable {
    /// A flag with one standing in one or several commands.
    package struct Row: Sendable, Equatable {
        package let name: String
        package var commands: [Command]
        package let verdict: FlagStanding.Verdict
        package let text: String
    }

    /// The word behind `apus help` that shows this page.
    package static let topic = "compat"

    /// What may stand behind it: the flags of ms-swift and their older spellings.
    static let names = MSSwiftFields.all.reduce(into: Set(Rename.all.keys)) { $0.formUnion($1.names) }.sorted()

    /// Part of a name; nil shows everything.
    private let filter: String?

    package init(filter: String? = nil) {
        self.filter = filter.map { given in
            String(given.drop { $0 == "-" }.prefix { $0 != "=" }.map { $0 == "-" ? "_" : $0 })
        }
    }

    // MARK: Rows

    /// The flags, each with its commands, in the order of the alphabet.
    package var flags: [Row] {
        let names = MSSwiftFields.all.reduce(into: Set<String>()) { $0.formUnion($1.names) }
        return names.filter(isWanted).sorted().flatMap(Self.rows)
    }

    private static func rows(of field: String) -> [Row] {
        let known = Command.allCases.filter { MSSwiftFields.names(of: $0).contains(field) }
        var rows: [Row] = []
        for command in known {
            guard let standing = FlagStanding(field, in: command) else { continue }
            if let index = rows.firstIndex(where: { $0.verdict == standing.verdict && $0.text == standing.text }) {
                rows[index].commands.append(command)
            } else {
                rows.append(
                    Row(name: field, commands: [command], verdict: standing.verdict, text: standing.text))
            }
        }
        guard rows.isEmpty else { return rows }
        return [Row(name: field, commands: known, verdict: .refused, text: "Its command is refused.")]
    }

    /// Commands that are refused with all their flags.
    private static let refusedCommands = Command.allCases.filter { !$0.isSupported }

    private static let exactCommands = Command.allCases.filter {
        $0.isSupported && !MSSwiftFields.names(of: $0).isEmpty
    }

    /// Options that ms-swift does not have.
    private var ownFlags: [Row] {
        var rows: [Row] = []
        for command in Command.allCases where command.isSupported {
            let table = OptionTable.table(for: command)
            for option in table.options where !table.fieldNames.contains(option.name) && isWanted(option.name) {
                if let index = rows.firstIndex(where: { $0.name == option.name && $0.text == option.help }) {
                    rows[index].commands.append(command)
                } else {
                    rows.append(Row(name: option.name, commands: [command], verdict: .works, text: option.help))
                }
            }
        }
        return rows.sorted { $0.name < $1.name }
    }

    /// Older spellings: what each is now.
    private var renames: [(name: String, now: String)] {
        Rename.all.values.filter { isWanted($0.old) || $0.name.map(isWanted) == true }.sorted { $0.old < $1.old }
            .map { rename in
                let values = rename.values.isEmpty ? "" : " (\(rename.values))"
                return switch rename.meaning {
                case .option(let name, _), .options(let name, _): (rename.old, "`--\(name)`\(values)")
                case .rows(let name): (rename.old, "a part of `--\(name)`\(values)")
                case .checkpointFolder: (rename.old, "`--adapters` or `--model`\(values)")
                case .addition(let name, _), .appended(let name): (rename.old, "added to `--\(name)`\(values)")
                case .dropped(let reason): (rename.old, "without effect, because \(reason)")
                case .refused(let advice): (rename.old, "refused. \(advice)")
                }
            }
    }

    private var variables: [(name: String, text: String)] {
        EnvironmentVariables.all.flatMap { names, standing in
            names.filter { isWanted($0.lowercased()) }.map { ($0, standing.text) }
        }
    }

    private func isWanted(_ name: String) -> Bool {
        filter.map { name.contains($0.lowercased()) } ?? true
    }

    // MARK: Counts

    /// How many flags of ms-swift a command takes, takes without effect, and refuses.
    package static func counts(of command: Command) -> [FlagStanding.Verdict: Int] {
        let names = MSSwiftFields.names(of: command)
        guard command.isSupported else { return [.refused: names.count] }
        return names.compactMap { FlagStanding($0, in: command)?.verdict }
            .reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    private static var countLines: [[String]] {
        Command.allCases.filter { !MSSwiftFields.names(of: $0).isEmpty }.map { command in
            let counts = counts(of: command)
            return [command.rawValue] + [MSSwiftFields.names(of: command).count].map(String.init)
                + FlagStanding.Verdict.allCases.map { String(counts[$0] ?? 0) }
        }
    }

    // MARK: Text

    /// For a terminal.
    package func text(columns: Int) -> String {
        var lines: [String] = []
        if filter == nil {
            lines += ["Flags of ms-swift 4.6 and what Apus does with them.", ""]
            lines.append(Self.padded(["command", "flags"] + FlagStanding.Verdict.allCases.map(\.rawValue)))
            lines += Self.countLines.map(Self.padded) + [""]
        }
        for row in flags {
            let commands = row.commands.map(\.rawValue).joined(separator: ", ")
            lines += TextWrap.lines("--\(row.name) (\(commands)): \(row.verdict.rawValue)", indent: 0, width: columns)
            lines += TextWrap.lines(Self.plain(row.text), indent: 6, width: columns)
        }
        for (name, now) in renames {
            lines += TextWrap.lines("--\(name) of older versions: \(Self.plain(now))", indent: 0, width: columns)
        }
        for row in ownFlags {
            let commands = row.commands.map(\.rawValue).joined(separator: ", ")
            lines += TextWrap.lines("--\(row.name) (\(commands)): Apus's own", indent: 0, width: columns)
            lines += TextWrap.lines(Self.plain(row.text), indent: 6, width: columns)
        }
        for (name, text) in variables {
            lines += TextWrap.lines("\(name) in the environment: \(Self.plain(text))", indent: 0, width: columns)
        }
        if let filter, lines.isEmpty {
            let near = NearestNames.find(filter, among: Self.names).map { "--\($0)" }
            lines.append("\(filter): no flag has this in its name.")
            if !near.isEmpty { lines.append("Did you mean \(near.joined(separator: " or "))?") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// `Docs/compatibility.md`.
    package static let markdown: String = {
        let page = CompatibilityPage()
        var lines = [
            "# Flags of ms-swift 4.6 in Apus", "",
            "Made by `Scripts/compatibility` from the tables that the program reads its command line with; "
                + "`apus help compat FLAG` shows one flag.", "",
            "| command | flags | works | without effect | refused |", "|---|---|---|---|---|",
        ]
        lines += countLines.map { "| `\($0[0])` | \($0.dropFirst().joined(separator: " | ")) |" }
        lines += [
            "",
            "*Works*: it does what it does in ms-swift. *Without effect*: it is accepted, and a line says why it changes "
                + "nothing. *Refused*: the command ends before anything is done, and says what to do instead.", "",
        ]
        if !refusedCommands.isEmpty {
            let names = refusedCommands.map { "`\($0.rawValue)`" }.joined(separator: ", ")
            lines += ["Refused with all their flags, by name: \(names).", ""]
        }
        lines += ["## Flags", "", "| flag | command | standing | |", "|---|---|---|---|"]
        lines += page.flags.map { row in
            let commands =
                row.commands == Self.exactCommands ? "all" : row.commands.map(\.rawValue).joined(separator: ", ")
            return "| `--\(row.name)` | \(commands) | \(row.verdict.rawValue) | \(cell(row.text)) |"
        }
        lines += [
            "", "## Older spellings", "", "Read as what they are now, and said in one line.", "",
            "| flag | now |", "|---|---|",
        ]
        lines += page.renames.map { "| `--\($0.name)` | \(cell($0.now)) |" }
        lines += ["", "## Environment variables", "", "| variable | standing |", "|---|---|"]
        lines += page.variables.map { "| `\($0.name)` | \(cell($0.text)) |" }
        lines += ["", "## Apus's own flags", "", "| flag | command | |", "|---|---|---|"]
        lines += page.ownFlags.map {
            "| `--\($0.name)` | \($0.commands.map(\.rawValue).joined(separator: ", ")) | \(cell($0.text)) |"
        }
        return lines.joined(separator: "\n") + "\n"
    }()

    private static func cell(_ text: String) -> String {
        text.replacing("|", with: "\\|").replacing("\n", with: " ")
    }

    private static func plain(_ text: String) -> String { text.replacing("`", with: "") }

    private static func padded(_ cells: [String]) -> String {
        let widths = [12, 7, 7, 16, 7]
        return zip(cells, widths).enumerated().map { index, cell in
            let space = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + space : space + cell.0
        }.joined()
    }
}

extension EnvironmentVariables.Standing {
    /// What becomes of the variable, as a sentence without its end.
    var text: String {
        switch self {
        case .read(let purpose): "read: \(purpose)"
        case .option(let name): "read as `--\(name)`, where that is not given"
        case .only(let value, let condition, let instead):
            "refused unless it is \(value.isEmpty ? "unset" : "`\(value)`")"
                + (condition.map { ", with `--\($0.option) \($0.value)`" } ?? "") + ": \(instead)"
        case .oneProcess: "refused unless it is `1`: Apus computes in one process on one device"
        case .withoutEffect(let reason): "without effect, because \(reason)"
        }
    }
}
