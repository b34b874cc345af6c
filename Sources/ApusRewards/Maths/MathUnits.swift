/// Words behind a number that say of what it is one.
enum MathUnits {
    /// Units and their short forms, by the word that two spellings of one unit share.
    private static let names: [String: String] = [
        "m": "meter", "meter": "meter", "metre": "meter", "cm": "cm", "centimeter": "cm", "centimetre": "cm",
        "mm": "mm", "millimeter": "mm", "millimetre": "mm", "km": "km", "kilometer": "km", "kilometre": "km",
        "dm": "dm", "ft": "foot", "foot": "foot", "feet": "foot", "in": "inch", "inch": "inch", "inche": "inch",
        "yd": "yard", "yard": "yard", "mile": "mile",
        "g": "gram", "gram": "gram", "kg": "kg", "kilogram": "kg", "mg": "mg", "milligram": "mg", "lb": "pound",
        "pound": "pound", "ton": "ton",
        "s": "second", "sec": "second", "second": "second", "min": "minute", "minute": "minute", "h": "hour",
        "hr": "hour", "hour": "hour", "day": "day", "week": "week", "month": "month", "year": "year",
        "l": "liter", "liter": "liter", "litre": "liter", "ml": "ml", "milliliter": "ml", "gallon": "gallon",
        "mph": "mph", "kmph": "kmph", "degree": "degree", "deg": "degree", "cent": "cent", "dollar": "dollar",
        "euro": "euro", "rupee": "rupee", "acre": "acre", "hectare": "hectare", "am": "am", "pm": "pm",
        "unit": "", "point": "", "people": "", "student": "", "apple": "", "coin": "", "time": "", "way": "",
        "digit": "", "square": "^2", "sq": "^2", "cubic": "^3",
    ]

    /// Short forms that letters of formulas spell too, so that they count as units in `\text{…}` alone (`5m`, `2mg`).
    private static let onlyInText: Set<String> = ["m", "g", "s", "h", "l", "mg", "ml", "am", "pm", "euro"]

    /// The short forms that may stand right behind a digit.
    private static let attached: Set<String> = ["cm", "mm", "km", "kg", "mph", "kmph", "deg"]

    /// Words that change the number before them, wherever they stand behind it.
    private static let scales: Set<String> = [
        "hundred", "thousand", "million", "billion", "trillion", "dozen", "half", "below", "negative", "remainder",
    ]

    /// Words that do so right behind it.
    private static let operations: Set<String> = [
        "third", "thirds", "quarter", "quarters", "fourths", "fifths", "sixths", "eighths", "tenths", "hundredths",
        "base", "mod", "modulo", "choose", "minus", "plus", "over", "squared", "cubed", "factorial",
    ]

    /// The one spelling of a word; nil where it is no unit.
    private static func canonical(_ word: some StringProtocol) -> String? {
        let word = word.lowercased()
        return names[word] ?? (word.count > 2 && word.hasSuffix("s") ? names[String(word.dropLast())] : nil)
    }

    // MARK: - Text without its unit

    /// A formula and the unit that stood behind it.
    struct Stripped: Equatable {
        let text: String
        /// Nil where there was none that is known, or only words such as "apples".
        let unit: String?
    }

    /// - Parameter text: A formula in one spelling, perhaps with words behind it.
    static func stripped(_ text: String) -> Stripped {
        if let found = withoutWords(text[...]) { return found }
        var (rest, power) = (text[...], "")
        if let (shorter, found) = withoutPower(rest), let word = lastWord(of: shorter), canonical(word) != nil {
            (rest, power) = (shorter, found)
        }
        var unit = ""
        // "square feet" goes in two steps: the noun first.
        for _ in 0..<2 {
            guard let word = lastWord(of: rest), let found = canonical(word), !onlyInText.contains(String(word)) else {
                break
            }
            let before = rest.dropLast(word.count)
            guard let last = before.trimmed.last, before.last == " " || last == "}" || isAttached(word, to: last)
            else { break }
            unit = found.hasPrefix("^") ? unit + found : found + unit
            rest = before.trimmed
        }
        guard rest.count < text.count, let last = rest.last, last.isNumber || last == "}" || last == "%" else {
            return Stripped(text: text, unit: nil)
        }
        unit += power
        return Stripped(text: String(rest), unit: unit.isEmpty ? nil : unit)
    }

    private static func isAttached(_ word: Substring, to last: Character) -> Bool {
        (last.isNumber || last == "%") && (word.count > 3 || attached.contains(String(word)))
    }

    private static func lastWord(of text: Substring) -> Substring? {
        let start = text.lastIndex { !($0.isASCII && $0.isLetter) }.map { text.index(after: $0) } ?? text.startIndex
        return start == text.endIndex ? nil : text[start...]
    }

    private static func withoutPower(_ text: Substring) -> (Substring, String)? {
        for (spelling, power) in [("^2", "^2"), ("^3", "^3"), ("^{2}", "^2"), ("^{3}", "^3")]
        where text.hasSuffix(spelling) {
            return (text.dropLast(spelling.count), power)
        }
        return nil
    }

    /// Without a `\text{…}` at the end, with its power.
    private static func withoutWords(_ text: Substring) -> Stripped? {
        let (rest, power) = withoutPower(text) ?? (text, "")
        guard rest.hasSuffix("}"), let start = rest.ranges(of: "\\text").last ?? rest.ranges(of: "\\mbox").last else {
            return nil
        }
        let braced = rest[start.upperBound...].trimmed
        guard braced.hasPrefix("{"), braced.dropLast().contains("}") == false else { return nil }
        let before = rest[..<start.lowerBound].trimmed
        // What would be half a formula without its words is left whole.
        guard let last = before.last, last.isNumber || last.isLetter || ")]}%".contains(last) else { return nil }
        let words = braced.dropFirst().dropLast().replacing(".", with: "").split { !$0.isLetter && !$0.isNumber }
        if words.contains(where: { scales.contains($0.lowercased()) }) { return nil }
        if let first = words.first, operations.contains(first.lowercased()) { return nil }
        // A letter of its own is one of the formula, unless it is a unit.
        let isTemperature = before.hasSuffix("\\circ") || before.hasSuffix("\\circ}") || before.hasSuffix("°")
        if words.count == 1, words[0].count == 1 {
            if isTemperature { return Stripped(text: String(before), unit: "degree " + words[0].lowercased()) }
            if !["m", "g", "s", "h", "l", "L"].contains(words[0]) { return nil }
        }
        let units = words.map { canonical($0) }
        guard !units.isEmpty, units.allSatisfy({ $0 != nil }) else { return Stripped(text: String(before), unit: nil) }
        let known = units.compactMap(\.self)
        let unit = (known.filter { !$0.hasPrefix("^") } + known.filter { $0.hasPrefix("^") }).joined() + power
        return Stripped(text: String(before), unit: unit.isEmpty ? nil : unit)
    }
}
