import Foundation

/// What web pages and word processors make of a command line: characters that look like those of a shell and are not.
enum PastedText {
    private static let dashes: Set<Character> = ["\u{2010}", "\u{2011}", "\u{2012}", "–", "—", "―", "−", "－", "﹣"]
    private static let quotes: [Character: Character] = [
        "“": "”", "”": "“", "„": "“", "‘": "’", "’": "‘", "‚": "‘", "«": "»", "»": "«", "＂": "＂", "＇": "＇", "″": "″",
        "′": "′",
    ]
    private static let spaces: [Character: String] = [
        "\u{A0}": "a non-breaking space", "\u{202F}": "a narrow non-breaking space", "\u{3000}": "a full-width space",
        "\u{2003}": "an em space", "\u{2002}": "an en space", "\u{2009}": "a thin space",
        "\u{200B}": "an invisible space",
        "\u{FEFF}": "an invisible mark", "\u{2060}": "an invisible joiner",
    ]

    /// A paragraph for each word that shows such a character; nil where none does.
    static func faults(in words: ArraySlice<String>) -> [String]? {
        let faults = words.compactMap(fault)
        return faults.isEmpty ? nil : faults
    }

    private static func fault(_ word: String) -> String? {
        if !word.isEmpty, word.allSatisfy(\.isWhitespace) {
            return word.contains(where: \.isNewline)
                ? "a line ends like those of Windows (CR LF), which a shell reads as a word. `tr -d '\\r' < in > out` mends a file."
                : "a word that is only a space: there is a space behind a backslash, so the command ends on that line. "
                    + "Remove the space; the backslash must be the last character."
        }
        if word == "\\" { return "a backslash stands alone as a word: write one, as the last character of the line." }
        if word.hasSuffix("\r") || word.hasSuffix("\r\n") {
            return "\"\(visible(word))\": ends with a carriage return, from a file with the line ends of Windows. "
                + "`tr -d '\\r' < in > out` mends it."
        }
        guard let first = word.first else { return nil }
        let isOption = first == "-" || dashes.contains(first)
        if isOption || spaces[first] != nil, let (space, name) = word.firstSpace(spaces) {
            return "\"\(visible(word))\": holds \(name) (\(code(space))), pasted from a web page; write a plain space."
        }
        // A dash before a number is a minus sign that somebody typeset.
        let start = word.prefix { $0 == "-" || dashes.contains($0) }
        if let dash = start.first(where: dashes.contains) {
            let rest = word.dropFirst(start.count)
            guard let letter = rest.first else {
                return "\"\(word)\": is a typographic dash (\(code(dash))); options begin with two plain ones (--)."
            }
            let plain = letter.isNumber ? "-\(rest)" : "--\(rest)"
            return
                "\"\(word)\": begins with a typographic dash (\(code(dash))), pasted from a web page; write \(plain)."
        }
        let isQuoted = quotes[first].map { word.last == $0 || word.last == first || !word.contains(" ") } ?? false
        if isQuoted {
            return
                "\"\(word)\": begins with a typographic quotation mark (\(code(first))), which a shell does not know; "
                + "write ' or \"."
        }
        return nil
    }

    /// Whether a value ends in an option, as `qwen--dataset`.
    static func isGlued(to table: OptionTable) -> (String) -> Bool {
        { word in option(behind: word, in: table) != nil }
    }

    /// What is wrong with such a value.
    static func glued(_ words: [String], in table: OptionTable) -> String {
        let word = words.first(where: isGlued(to: table)) ?? ""
        let name = option(behind: word, in: table) ?? ""
        let value = word.dropLast(name.count)
        return
            "got \"\(word)\", which is a value and the option \(name) in one word: a backslash is glued to the value. "
            + "Write a space before it: \(value) \\"
    }

    private static func option(behind word: String, in table: OptionTable) -> String? {
        guard !word.contains(" "), !FileManager.default.fileExists(atPath: word),
            let mark = word.range(of: "--", options: .backwards),
            mark.lowerBound > word.startIndex
        else { return nil }
        let name = String(word[mark.upperBound...].map { $0 == "-" ? "_" : $0 })
        let isKnown = table.allNames.contains(name) || Rename.all[name] != nil
        return isKnown ? String(word[mark.lowerBound...]) : nil
    }

    private static func code(_ character: Character) -> String {
        let value = String(character.unicodeScalars.first?.value ?? 0, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - value.count)) + value
    }

    private static func visible(_ word: String) -> String {
        String(word.map { spaces[$0] == nil && !$0.isNewline ? $0 : "␣" })
    }
}

extension String {
    fileprivate func firstSpace(_ spaces: [Character: String]) -> (Character, String)? {
        for character in self { if let name = spaces[character] { return (character, name) } }
        return nil
    }
}
