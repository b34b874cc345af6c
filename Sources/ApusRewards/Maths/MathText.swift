/// The formula in the text of an answer.
enum MathText {
    /// What of an answer is compared: its formula, and that as text.
    struct Extract: Equatable {
        /// Nil for what cannot be read as a formula.
        let value: MathValue?
        let text: String
        /// The unit that stood behind it, in one spelling.
        let unit: String?

        init(latex: String, isPercentage: Bool = false) {
            // Nobody's answer is longer; what is, is compared as it stands.
            guard latex.utf8.count <= MathText.longest else {
                (value, text, unit) = (nil, String(latex.trimmed), nil)
                return
            }
            let stripped = MathText.normalized(latex)
            (text, unit) = (stripped.text, stripped.unit)
            let value = MathValue(latex: text)
            if isPercentage, case .expression(let expression)? = value {
                self.value = .expression(.percent(expression))
            } else {
                self.value = value
            }
        }
    }

    /// The answer in a text that says where it is: in `\boxed{…}`, or in LaTeX behind "final answer is" or "answer".
    static func marked(_ text: String) -> Extract? {
        let text = end(of: text)
        if let box = MathBoxes.last(of: text) { return Extract(latex: box) }
        let environments = MathEnvironments(text)
        return environments.behind("final answer", reach: 100, then: "is") ?? environments.behind("answer:", reach: 50)
            ?? environments.behind("answer", reach: 50)
    }

    /// The answer in a text that is an answer and little else, such as a column of right ones.
    ///
    /// What is marked comes first, in a box or behind `####` in the last line; then the last formula in `$…$` or its like, or
    /// where that cannot be read a number behind it; then the whole text where it is a formula, then the last number in it.
    static func plain(_ text: String) -> Extract? {
        let text = end(of: text)
        if let box = MathBoxes.last(of: text) { return Extract(latex: box) }
        if let line = lastLine(of: text), let found = plain(line), found.value != nil { return found }
        let environments = MathEnvironments(text)
        if let found = environments.behind("answer", reach: 50) { return found }
        if let (found, rest) = environments.last {
            return found.value == nil ? MathNumbers.last(of: rest) ?? found : found
        }
        let whole = Extract(latex: String(text.trimmed))
        if whole.value != nil, !hasWords(whole.text) { return whole }
        return MathNumbers.last(of: text)
    }

    /// What stands behind `####` in the last line, as in the rows of GSM8K.
    private static func lastLine(of text: String) -> String? {
        let line = text.trimmed.split(whereSeparator: \.isNewline).last
        guard let line, line.hasPrefix("####") else { return nil }
        return String(line.drop { $0 == "#" })
    }

    /// Whether there is anything in the text of a right answer that answers can be compared with.
    static func isReadable(_ text: String) -> Bool { plain(text).map { $0.value != nil || !$0.text.isEmpty } ?? false }

    /// What is looked at of a text that nobody would read to the end: the last 100,000 bytes.
    private static func end(of text: String) -> String {
        text.utf8.count <= 100_000 ? text : String(decoding: text.utf8.suffix(100_000), as: UTF8.self)
    }

    /// Whether letters stand together that are no command, and so are no formula but a sentence.
    private static func hasWords(_ text: String) -> Bool {
        var (previous, run): (Character, Int) = (" ", 0)
        for character in text {
            guard character.isLetter else {
                (previous, run) = (character, 0)
                continue
            }
            run += 1
            // Behind a brace it is the content of \text{…} or the name of an environment.
            if run == 2, previous != "\\", previous != "{" { return true }
        }
        return false
    }

    /// The most bytes of a formula that is read.
    static let longest = 10_000

    // MARK: - One spelling of LaTeX

    private static let spellings: [(String, String)] = [
        ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\cfrac", "\\frac"), ("\\mathrm", "\\text"),
        ("\\mathbf", "\\text"),
        ("\\mathit", "\\text"), ("\\textbf", "\\text"), ("\\textrm", "\\text"), ("\\textit", "\\text"),
        ("\\textnormal", "\\text"), ("\\displaystyle", ""), ("\\left", ""), ("\\right", ""), ("\\bigl", ""),
        ("\\bigr", ""),
        ("\\big", ""), ("\\!", ""), ("\\,", " "), ("\\;", " "), ("\\:", " "), ("\\quad", " "), ("\\ ", " "),
        ("{,}", ","),
        ("\\$", ""), ("$", ""), ("\\(", ""), ("\\)", ""), ("\\[", ""), ("\\]", ""), ("\"", ""), ("~", " "),
        ("\\lbrace", "\\{"), ("\\rbrace", "\\}"), ("\\lbrack", "["), ("\\rbrack", "]"), ("\n", " "), ("\t", " "),
        ("\\text{and}", ","), ("\\text{ and }", ","), ("\\text{or}", ","), ("\\text{ or }", ","),
        ("\\infinity", "\\infty"),
        ("percentage", "\\%"), ("percent", "\\%"), ("\\text{\\%}", "\\%"), ("\\text{ \\%}", "\\%"), (" and ", ","),
        (" or ", ","),
        ("infinity", "\\infty"), ("**", "^"),
    ]

    /// A formula without what only lays it out, and without the units behind it.
    static func normalized(_ latex: String) -> MathUnits.Stripped {
        // Line ends of matrices are no spaces, and doubled backslashes elsewhere are slips.
        let isTable = latex.contains("\\begin{")
        var text = latex.replacing("\\\\", with: isTable ? "\u{1}" : "\\")
        for (old, new) in spellings where text.contains(old) {
            text = old.last?.isLetter == true ? replacing(old, with: new, in: text) : text.replacing(old, with: new)
        }
        text = text.replacing("\u{1}", with: "\\\\")
        text = String(text.trimmed)
        if text.hasSuffix("."), text.count > 1 { text = String(text.dropLast().trimmed) }
        let stripped = MathUnits.stripped(text)
        return MathUnits.Stripped(text: withoutFonts(stripped.text), unit: stripped.unit)
    }

    /// With a command or word in place of another where no letter follows: `\big` is no part of `\bigcup`.
    private static func replacing(_ old: String, with new: String, in text: String) -> String {
        var result = ""
        var rest = text[...]
        while let found = rest.firstRange(of: old) {
            let isWhole = found.upperBound == text.endIndex || !isLetter(text[found.upperBound])
            result += rest[..<found.lowerBound] + (isWhole ? new : old)
            rest = rest[found.upperBound...]
        }
        return result + rest
    }

    private static func isLetter(_ character: Character) -> Bool { character.isASCII && character.isLetter }

    /// With the letter in place of `\text{i}`, unless that is all there is.
    private static func withoutFonts(_ text: String) -> String {
        guard text.contains("\\text") else { return text }
        var result = ""
        var rest = text[...]
        while let found = rest.firstRange(of: "\\text{") {
            result += rest[..<found.lowerBound]
            rest = rest[found.upperBound...]
            let isWhole = result.isEmpty && rest.dropFirst(2).isEmpty
            if let letter = rest.first, isLetter(letter), rest.dropFirst().first == "}", !isWhole {
                result += " \(letter) "
                rest = rest.dropFirst(2)
            } else {
                result += "\\text{"
            }
        }
        return result + rest
    }
}
