/// What a shell may offer for the word that is being typed; the scripts of the program's `--generate-completion-script` ask for it.
package struct Completion: Sendable, Equatable {
    /// Words that begin like the one being typed.
    package private(set) var words: [String] = []
    /// Whether the shell should offer files and folders.
    package private(set) var offersFiles = false

    /// - Parameters:
    ///   - line: The words of the command line, the name of the program first.
    ///   - index: Which of them is being typed; one more than there are for an empty one.
    package init(_ line: [String], index: Int) {
        guard index > 0, index <= line.count else { return }
        var before = Array(line[..<index])
        let typed = index < line.count ? line[index] : ""
        // `swift-sft` is `apus sft`.
        let program = before.removeFirst().split(separator: "/").last ?? ""
        if program.hasPrefix("swift-") { before.insert(String(program.dropFirst("swift-".count)), at: 0) }
        guard let first = before.first else {
            words = (Command.allCases.filter(\.isSupported).map(\.rawValue) + ["help", "--help", "--version"])
                .filter { $0.hasPrefix(typed) }
            return
        }
        if first == "help" {
            let offers =
                before.count == 1
                ? Command.allCases.filter(\.isSupported).map(\.rawValue) + [CompatibilityPage.topic]
                : before.count == 2 && before[1] == CompatibilityPage.topic ? CompatibilityPage.names : []
            words = offers.filter { $0.hasPrefix(typed) }
            return
        }
        // `apus dpo` is `apus rlhf --rlhf_type dpo`.
        let word = Command.kindsOfRLHF.contains(first) ? Command.rlhf.rawValue : first
        guard let command = Command(spelling: word), command.isSupported else { return }
        let table = OptionTable.table(for: command)
        // Some shells cut `--name=value` in three.
        if typed == "=" || before.last == "=" {
            before.removeAll { $0 == "=" }
            complete(typed == "=" ? "" : typed, valueOf: before.last.flatMap { Self.option($0, in: table) })
        } else if typed.hasPrefix("-") {
            complete(typed, nameIn: table)
        } else {
            let option = before.dropFirst().last { $0.hasPrefix("--") }
            if let option { complete(typed, valueOf: Self.option(option, in: table)) }
            if option == nil || before.last != option { complete("--", nameIn: table, only: typed.isEmpty) }
            if before.count == 1 { offersFiles = true }
        }
    }

    private static func option(_ word: String, in table: OptionTable) -> CommandOption? {
        table[String(word.dropFirst(2).prefix { $0 != "=" }.map { $0 == "-" ? "_" : $0 })]
    }

    private mutating func complete(_ typed: String, nameIn table: OptionTable, only isWanted: Bool = true) {
        guard isWanted else { return }
        let usesDashes = typed.dropFirst(2).contains("-")
        let names = table.options.filter { $0.status == .supported }.map(\.name) + ["help", "help_all"]
        words += names.map { "--" + (usesDashes ? $0.replacing("_", with: "-") : $0) }.filter { $0.hasPrefix(typed) }
    }

    private mutating func complete(_ typed: String, valueOf option: CommandOption?) {
        switch option?.kind {
        case .boolean: words += ["true", "false"].filter { $0.hasPrefix(typed) }
        case .choice(let known, _), .choices(let known, _), .chain(let known, _):
            words += known.filter { $0.hasPrefix(typed) }
        case .text, .escapedText, .prompt, .list, .mapping, .json, nil: offersFiles = true
        case .integer, .number, .integers, .numbers: break
        }
    }
}
