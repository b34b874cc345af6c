/// What Apus does with a flag of ms-swift in one command.
///
/// It is read off the tables that the command line itself reads (`OptionTable`, `NotYetOptions`, `Rename`), so that the
/// page about compatibility says what a command does.
package struct FlagStanding: Sendable, Equatable {
    package enum Verdict: String, Sendable, CaseIterable {
        case works
        case withoutEffect = "without effect"
        case refused
    }

    package let verdict: Verdict
    /// What the flag takes and does, why it has no effect, or what to do instead.
    package let text: String

    /// The standing of a field of ms-swift in a command that Apus has; nil for what is no such field.
    package init?(_ field: String, in command: Command) {
        let table = OptionTable.table(for: command)
        guard command.isSupported, table.fieldNames.contains(field) else { return nil }
        if let option = table[field] {
            switch option.status {
            case .supported: (verdict, text) = (.works, Self.text(of: option))
            case .noEffect(let reason): (verdict, text) = (.withoutEffect, "because \(reason)")
            }
            return
        }
        let advice = NotYetOptions.advice(field, command) ?? "Leave it out."
        if let usual = NotYetOptions.usualValues[field], let reason = NotYetOptions.reason(field, [usual]) {
            verdict = .withoutEffect
            text = "`\(usual)` and the like, because \(reason). Other values are refused. \(advice)"
        } else {
            let accepted = (NotYetOptions.valuesAlreadyTrue[field] ?? []).sorted().map { "`\($0)`" }
            verdict = .refused
            text = advice + (accepted.isEmpty ? "" : " Accepted: \(accepted.joined(separator: ", ")).")
        }
    }

    private static func text(of option: CommandOption) -> String {
        var text = "`\(option.kind.placeholder)`. \(option.help)"
        if let value = option.defaultValue?.helpText {
            text += " Default: `\(value)`."
        } else if let computed = option.computedDefault {
            text += " Default: \(computed)."
        }
        for substitute in NotYetOptions.substitutes where substitute.option == option.name {
            let words = substitute.words.map { "`\($0)`" }.joined(separator: ", ")
            text += " Read as `\(substitute.other)`, because \(substitute.reason): \(words)."
        }
        if let older = Rename.olderWords[option.name] {
            text += " Older words: \(Rename.listed(older).joined(separator: ", "))."
        }
        let later = option.kind.laterWords
        return later.isEmpty ? text : text + " Refused: \(later.map { "`\($0)`" }.joined(separator: ", "))."
    }
}

extension OptionKind {
    /// Words that ms-swift accepts and Apus refuses by name.
    var laterWords: [String] {
        switch self {
        case .choice(_, let later), .choices(_, let later): later
        default: []
        }
    }
}
