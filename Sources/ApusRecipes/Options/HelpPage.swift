/// The help of a command, made from its option table.
package struct HelpPage: CustomStringConvertible {
    private let table: OptionTable
    private let showsAll: Bool

    /// - Parameter showsAll: Also list the flags of ms-swift that Apus knows and does not support.
    package init(_ command: Command, showsAll: Bool = false) {
        table = .table(for: command)
        self.showsAll = showsAll
    }

    /// The help that the words of a command ask for, or nil.
    package static func requested(by words: [String], for command: Command) -> HelpPage? {
        let names = Set(words.map { $0.replacing("-", with: "_") })
        if names.contains("__help_all") { return HelpPage(command, showsAll: true) }
        return names.contains("__help") || words.contains("-h") ? HelpPage(command) : nil
    }

    private static let width = 100
    private static let column = 34

    package var description: String {
        var lines = ["apus \(table.command.rawValue) — \(table.command.summary)", ""]
        lines.append("usage: apus \(table.command.rawValue) [config.yaml] [--option value …]")
        for group in OptionGroup.allCases where showsAll || group != .noEffect {
            let options = table.options.filter { $0.group == group }
            guard !options.isEmpty else { continue }
            lines += ["", group.rawValue]
            for option in options { lines += Self.lines(of: option) }
        }
        if showsAll {
            let names = table.notYetSupported
            if !names.isEmpty {
                lines += ["", "In ms-swift and not yet in Apus (\(names.count))"]
                lines += Self.wrap(names.joined(separator: " "), indent: 2)
            }
        } else if !table.fieldNames.isEmpty {
            lines += ["", "--help_all lists every flag of ms-swift, those that Apus refuses too."]
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The option, its help and its default; the help starts in a column of its own.
    private static func lines(of option: CommandOption) -> [String] {
        var head = "  --\(option.name) \(option.kind.placeholder)"
        var help = option.help
        if head.count > width {
            // More choices than a line can hold.
            head = "  --\(option.name) CHOICE"
            help += " One of \(option.kind.placeholder.split(separator: "|").joined(separator: ", "))."
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

    private static func wrap(_ text: String, indent: Int) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = margin
        for word in text.split(separator: " ") {
            if line.count > indent, line.count + 1 + word.count > width {
                lines.append(line)
                line = margin
            }
            line += line.count > indent ? " \(word)" : word
        }
        return lines + [line]
    }
}
