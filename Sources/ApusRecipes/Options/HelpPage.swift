/// The help of a command, made from its option table.
package struct HelpPage: CustomStringConvertible {
    private let table: OptionTable
    private let showsAll: Bool
    private let width: Int

    /// - Parameters:
    ///   - showsAll: Also list the flags of ms-swift that Apus knows and does not support.
    ///   - columns: The width of the terminal.
    package init(_ command: Command, showsAll: Bool = false, columns: Int = 100) {
        table = .table(for: command)
        self.showsAll = showsAll
        width = min(max(columns, 40), 100)
    }

    /// The help that the words of a command ask for, or nil.
    package static func requested(by words: [String], for command: Command, columns: Int = 100) -> HelpPage? {
        let names = Set(words.map { $0.replacing("-", with: "_") })
        if names.contains("__help_all") { return HelpPage(command, showsAll: true, columns: columns) }
        return names.contains("__help") || words.contains("-h") ? HelpPage(command, columns: columns) : nil
    }

    /// Where the help of an option begins; in a narrow terminal below the option.
    private var column: Int { width >= 80 ? 34 : 6 }

    package var description: String {
        var lines = wrap("apus \(table.command.rawValue) — \(table.command.summary)", indent: 0) + [""]
        lines.append("usage: \(table.command.usage)")
        lines += ["", "Examples"] + table.command.examples.flatMap { wrapCommand($0) }
        for group in OptionGroup.allCases where showsAll || group != .noEffect {
            let options = table.options.filter { $0.group == group }
            guard !options.isEmpty else { continue }
            var heading: String?
            for option in options {
                let own = group.rawValue + (option.section.map { ": \($0)" } ?? "")
                if own != heading { lines += [""] + wrap(own, indent: 0) }
                heading = own
                lines += self.lines(of: option)
            }
        }
        if showsAll {
            let names = table.notYetSupported
            if !names.isEmpty {
                lines += ["", "In ms-swift and not yet in Apus (\(names.count))"]
                lines += wrap(names.joined(separator: " "), indent: 2)
            }
        } else if !table.fieldNames.isEmpty {
            lines +=
                [""]
                + wrap(
                    "--help_all lists every flag of ms-swift, those that Apus refuses too; `apus help compat FLAG` says what becomes of one.",
                    indent: 0)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The option, its help and its default; the help starts in a column of its own.
    private func lines(of option: CommandOption) -> [String] {
        var head = "  --\(option.name) \(option.kind.placeholder)"
        var help = option.help
        if head.count > width {
            // More choices than a line can hold.
            head = "  --\(option.name) CHOICE"
            let words = option.kind.placeholder.split(separator: "|")
            // A list of half a screen hides the options around it.
            help +=
                words.count > 40
                ? " One of \(words.count) words; any other is answered with all of them."
                : " One of \(words.joined(separator: ", "))."
        }
        if let value = option.defaultValue?.helpText {
            help += " [\(value)]"
        } else if let computed = option.computedDefault {
            help += " [None → \(computed)]"
        }
        let body = wrap(help, indent: column)
        guard head.count < column - 1, let first = body.first else { return [head] + body }
        return [head + first.dropFirst(head.count)] + body.dropFirst()
    }

    private func wrap(_ text: String, indent: Int) -> [String] {
        TextWrap.lines(text, indent: indent, width: width)
    }

    /// An example; where it is longer than a line, options begin new ones.
    private func wrapCommand(_ command: String) -> [String] {
        guard command.count + 2 > width else { return ["  \(command)"] }
        var lines: [String] = []
        var line = "  "
        for part in command.replacing(" --", with: "\n--").split(separator: "\n") {
            if line.count > 4, line.count + 1 + part.count > width - 2 {
                lines.append(line + " \\")
                line = "    "
            }
            line += line.allSatisfy(\.isWhitespace) ? String(part) : " \(part)"
        }
        return lines + [line]
    }
}
