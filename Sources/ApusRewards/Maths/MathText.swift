/// The formula in the text of an answer.
enum MathText {
    /// What of an answer is compared: its formula, and that as text.
    struct Extract: Equatable {
        /// Nil for what cannot be read as a formula.
        let value: MathValue?
        let text: String

        init(latex: String, isPercentage: Bool = false) {
            text = MathText.normalized(latex)
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
        if let box = MathBoxes.last(of: text) { return Extract(latex: box) }
        let environments = MathEnvironments(text)
        return environments.behind("final answer", reach: 100, then: "is") ?? environments.behind("answer:", reach: 50)
            ?? environments.behind("answer", reach: 50)
    }

    /// The answer in a text that is an answer and little else, such as a column of right ones.
    ///
    /// What is marked comes first, then the last formula in `$…$` or its like, then the whole text where it is a formula, then
    /// the last number in it.
    static func plain(_ text: String) -> Extract? {
        if let box = MathBoxes.last(of: text) { return Extract(latex: box) }
        let environments = MathEnvironments(text)
        if let found = environments.behind("answer", reach: 50) ?? environments.last { return found }
        let whole = Extract(latex: String(text.trimmed))
        if whole.value != nil, !hasWords(whole.text) { return whole }
        return MathNumbers.last(of: text)
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
        ("percentage", "\\%"), ("percent", "\\%"), ("\\text{\\%}", "\\%"), (" and ", ","), (" or ", ","),
        ("infinity", "\\infty"), ("**", "^"),
    ]

    /// The commands that begin like one above and are others.
    private static let longer = ["\\leftarrow", "\\rightarrow", "\\leftrightarrow"]

    /// A formula without what only lays it out, and without the units behind it.
    static func normalized(_ latex: String) -> String {
        guard !longer.contains(where: { latex.contains($0) }) else { return String(latex.trimmed) }
        // Line ends of matrices are no spaces, and doubled backslashes elsewhere are slips.
        let isTable = latex.contains("\\begin{")
        var text = latex.replacing("\\\\", with: isTable ? "\u{1}" : "\\")
        for (old, new) in spellings where text.contains(old) { text = text.replacing(old, with: new) }
        text = text.replacing("\u{1}", with: "\\\\")
        text = String(text.trimmed)
        if text.hasSuffix("."), text.count > 1 { text = String(text.dropLast().trimmed) }
        for _ in 0..<2 { text = withoutUnit(text) }
        return text
    }

    /// Words behind a number that say of what it is one.
    private static let units: Set<String> = [
        "m", "cm", "mm", "km", "dm", "ft", "foot", "feet", "in", "inch", "inches", "yd", "yard", "yards", "mile",
        "miles",
        "meter", "meters", "metre", "metres", "g", "kg", "mg", "gram", "grams", "lb", "lbs", "pound", "pounds", "ton",
        "tons",
        "s", "sec", "second", "seconds", "min", "minute", "minutes", "h", "hr", "hour", "hours", "day", "days", "week",
        "weeks", "month", "months", "year", "years", "l", "ml", "liter", "liters", "litre", "litres", "gallon",
        "gallons",
        "mph", "kmph", "degree", "degrees", "deg", "unit", "units", "point", "points", "cent", "cents", "dollar",
        "dollars",
        "rupee", "rupees", "square", "sq", "cubic", "acre", "acres", "hectare", "hectares", "people", "students",
        "student",
        "apples", "apple", "coins", "coin", "times", "ways", "way", "digits", "digit",
    ]

    private static func withoutUnit(_ text: String) -> String {
        if let found = withoutWords(text) { return found }
        var rest = text[...]
        // The power of a unit: cm^2.
        for power in ["^2", "^3", "^{2}", "^{3}"] where rest.hasSuffix(power) {
            let shorter = rest.dropLast(power.count)
            if shorter.last?.isLetter == true, unit(atEndOf: shorter) != nil { rest = shorter }
        }
        guard let shorter = unit(atEndOf: rest) else { return text }
        return String(shorter.trimmed)
    }

    /// Without a `\text{…}` at the end, with its power.
    private static func withoutWords(_ text: String) -> String? {
        var rest = text[...]
        for power in ["^2", "^3", "^{2}", "^{3}"] where rest.hasSuffix(power) { rest = rest.dropLast(power.count) }
        guard rest.hasSuffix("}"), let start = rest.ranges(of: "\\text").last ?? rest.ranges(of: "\\mbox").last else {
            return nil
        }
        let words = rest[start.upperBound...].trimmed
        guard words.hasPrefix("{"), words.dropLast().contains("}") == false else { return nil }
        let before = rest[..<start.lowerBound].trimmed
        // What would be half a formula without its words is left whole.
        guard let last = before.last, last.isNumber || last.isLetter || ")]}%".contains(last) else { return nil }
        return String(before)
    }

    /// What is left of a text without the unit at its end, which stands behind a number.
    private static func unit(atEndOf text: Substring) -> Substring? {
        var rest = text
        var word = ""
        while let last = rest.last, last.isASCII, last.isLetter {
            word = String(last) + word
            rest.removeLast()
        }
        guard units.contains(word), let last = rest.trimmed.last, last.isNumber || last == "}" || last == "%" else {
            // "square feet" goes in two steps: the noun first.
            guard units.contains(word), rest.last == " " else { return nil }
            let previous = rest.trimmed
            return unit(atEndOf: previous) != nil ? previous : nil
        }
        return rest.trimmed
    }
}
