import ApusJSON
import Foundation

/// Reads the words that follow an option, as the kind of value that the option takes.
struct OptionReader {
    let option: CommandOption
    /// As the user wrote it, for messages: `--lora-rank`.
    let spelling: String

    /// The value, or nil where the user said that nothing should be set (`None` for a choice without default).
    func value(of words: [String]) throws -> OptionValue? {
        switch option.kind {
        case .list:
            return .list(try several(words))
        case .choices(let known, let later):
            return .list(try several(words).map { try choice($0, among: known, later: later) })
        case .integers:
            return .integers(try several(words).map { try integer($0, in: Int.min...Int.max) })
        case .numbers(let range):
            return .numbers(try several(words).map { try number($0, in: range) })
        case .boolean:
            guard let word = words.first else { return .boolean(true) }
            try refuseStray(words)
            return .boolean(try boolean(word))
        case .text, .escapedText, .prompt, .integer, .number, .choice, .chain, .mapping, .json:
            guard let word = words.first else {
                throw UsageError("\(spelling): no value follows it, wanted \(wanted).\(advice)")
            }
            try refuseStray(words)
            return try single(word)
        }
    }

    private func single(_ word: String) throws -> OptionValue? {
        // Python's word for a default that is none.
        if word == "None", option.defaultValue == nil {
            switch option.kind {
            case .integer, .number, .choice: return nil
            default: break
            }
        }
        switch option.kind {
        case .integer(let range): return .integer(try integer(word, in: range))
        case .number(let range): return .number(try number(word, in: range))
        case .choice(let known, let later):
            return .text(try choice(word, among: known, later: later))
        case .chain(let first, let others): return .text(try chain(word, first, others))
        case .mapping: return try mapping(word)
        case .json: return .text(try json(word).serialized())
        case .escapedText: return .text(Self.unescaped(word))
        case .prompt: return .text(try prompt(word))
        case .text, .boolean, .choices, .list, .integers, .numbers: return .text(word)
        }
    }

    private func several(_ words: [String]) throws -> [String] {
        guard words.isEmpty else { return words }
        throw UsageError("\(spelling): no value follows it, wanted \(wanted).\(advice)")
    }

    private func refuseStray(_ words: [String]) throws {
        if let stray = stray(among: words) { throw UsageError(stray) }
    }

    /// What is wrong with words that are too many for the option; nil if they are not.
    func stray(among words: [String]) -> String? {
        guard !option.kind.isList, let first = words.first, words.count > 1 else { return nil }
        let strays = words.dropFirst().map { "\"\($0)\"" }.joined(separator: ", ")
        return "\(spelling): takes one value and got \"\(first)\", then \(strays). "
            + "Put a value that contains spaces in quotes."
    }

    private func boolean(_ word: String) throws -> Bool {
        switch word.lowercased() {
        case "true", "yes", "t", "y", "1", "on": return true
        case "false", "no", "f", "n", "0", "off": return false
        default: throw wrong(word)
        }
    }

    private func integer(_ word: String, in range: ClosedRange<Int>) throws -> Int {
        guard let integer = Int(word), range.contains(integer) else { throw wrong(word) }
        return integer
    }

    private func number(_ word: String, in range: NumberRange) throws -> Double {
        guard let number = Double(word), range.contains(number) else { throw wrong(word) }
        return number
    }

    private func choice(_ word: String, among known: [String], later: [String]) throws -> String {
        if known.contains(word) { return word }
        // Boolean-like choices (`init_weights`) take what a YAML file makes of true and false.
        if known.contains(word.lowercased()) { return word.lowercased() }
        // In JSON the falsehood is what `no` means.
        if word == "false", known.contains("no") { return "no" }
        if word.split(separator: "+").contains(where: { later.contains(String($0)) }) || isVariant(word, of: later) {
            throw UsageError(
                "\(spelling): ms-swift has \"\(word)\", Apus does not yet. Apus has \(known.joined(separator: ", ")).")
        }
        throw wrong(word, near: NearestNames.find(word, among: known))
    }

    private func chain(_ word: String, _ first: [String], _ others: [String]) throws -> String {
        for (place, part) in word.split(separator: "+", omittingEmptySubsequences: false).enumerated() {
            let known = place == 0 ? first + others : others
            guard !known.contains(String(part)) else { continue }
            throw wrong(word, near: NearestNames.find(String(part), among: known))
        }
        return word
    }

    /// Names with a number at their end, such as `pissa_niter_16`, are listed with one number.
    private func isVariant(_ word: String, of later: [String]) -> Bool {
        func stem(_ word: String) -> Substring { word.prefix { !$0.isNumber } }
        return word.last?.isNumber == true && later.contains { $0.last?.isNumber == true && stem($0) == stem(word) }
    }

    private func mapping(_ word: String) throws -> OptionValue {
        guard let object = try json(word).objectValue else { throw wrong(word) }
        var mapping: [String: String] = [:]
        for (key, value) in object {
            guard let text = value.stringValue else { throw wrong(word) }
            mapping[key] = text
        }
        return .mapping(mapping)
    }

    /// Reads a JSON text, or the file that the word names.
    private func json(_ word: String) throws -> JSONValue {
        if FileManager.default.fileExists(atPath: word) {
            do {
                return try JSONValue(
                    parsing: try Data(contentsOf: URL(fileURLWithPath: word)), duplicateKeys: .keepLast)
            } catch {
                throw UsageError("\(spelling): the file \"\(word)\" does not hold JSON: \(error)")
            }
        }
        do {
            return try JSONValue(parsing: word, duplicateKeys: .keepLast)
        } catch {
            throw UsageError(
                "\(spelling): got \"\(word)\", wanted \(wanted); there is no such file, and it is \(error). "
                    + "In a shell, put JSON in single quotes.")
        }
    }

    private func prompt(_ word: String) throws -> String {
        guard word.hasSuffix(".txt") else { return Self.unescaped(word) }
        do {
            return try String(contentsOfFile: word, encoding: .utf8)
        } catch {
            throw UsageError("\(spelling): the file \"\(word)\" cannot be read: \(error.localizedDescription)")
        }
    }

    private static func unescaped(_ word: String) -> String {
        word.replacing("\\n", with: "\n")
    }

    private func wrong(_ word: String, near: [String] = []) -> UsageError {
        let nearest = near.isEmpty ? "" : " Did you mean \(near.map { "\"\($0)\"" }.joined(separator: " or "))?"
        return UsageError("\(spelling): got \"\(word)\", wanted \(wanted).\(nearest)\(advice)")
    }

    private var wanted: String {
        switch option.kind {
        case .text, .escapedText: "a text"
        case .prompt: "a text or the path of a .txt file"
        case .integer(let range):
            range == Int.min...Int.max
                ? "a whole number" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "\(range)"
        case .boolean: "true or false (or yes, no, t, f, y, n, 1, 0)"
        case .choice(let known, _): "one of \(known.joined(separator: ", "))"
        case .choices(let known, _): "one or more of \(known.joined(separator: ", "))"
        case .chain(let first, let others):
            "one of \(first.joined(separator: ", ")), and behind it, with + between, any of "
                + others.joined(separator: ", ")
        case .list: "one or more texts"
        case .numbers: "one or more numbers"
        case .integers: "one or more whole numbers"
        case .mapping: "a JSON object of texts such as '{\"old\": \"new\"}'"
        case .json: "JSON"
        }
    }

    private var advice: String {
        if let hint = option.hint { return " \(hint)" }
        if let value = option.defaultValue?.helpText { return " Without the flag it is \(value)." }
        if let computed = option.computedDefault { return " Without the flag: \(computed)." }
        return ""
    }
}

extension OptionValue {
    /// The value as a user would type it; nil for an empty list.
    var helpText: String? {
        switch self {
        case .text(let text): text.replacing("\n", with: "\\n")
        case .integer(let integer): String(integer)
        case .number(let number): readable(number)
        case .boolean(let boolean): String(boolean)
        case .list(let list): list.isEmpty ? nil : list.joined(separator: " ")
        case .integers(let integers): integers.isEmpty ? nil : integers.map(String.init).joined(separator: " ")
        case .numbers(let numbers): numbers.isEmpty ? nil : numbers.map(readable).joined(separator: " ")
        case .mapping: nil
        }
    }
}
