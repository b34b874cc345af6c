/// Numbers and sums in running text.
enum MathNumbers {
    /// The last number or arithmetic expression of a text; where the word "answer" stands in it, the first behind the last such
    /// word.
    static func last(of text: String) -> MathText.Extract? {
        let characters = Array(text)
        let word = ["a", "n", "s", "w", "e", "r"]
        let end = characters.indices.dropLast(word.count).last { start in
            (0..<word.count).allSatisfy { characters[start + $0].lowercased() == word[$0] }
        }
        // Of many that are none, some are looked at.
        if let end {
            for piece in all(in: Array(characters[(end + word.count)...]), limit: 100) {
                if let extract = piece.extract { return extract }
            }
        }
        for piece in all(in: characters).reversed().prefix(100) {
            if let extract = piece.extract { return extract }
        }
        return nil
    }

    private struct Piece {
        let text: String
        let isPercentage: Bool

        /// Nil for what cannot be read as a formula.
        var extract: MathText.Extract? {
            // In running text a comma is a decimal one unless three digits follow.
            let extract = MathText.Extract(latex: MathNumbers.decimals(text), isPercentage: isPercentage)
            return extract.value == nil ? nil : extract
        }
    }

    private static func all(in characters: [Character], limit: Int = .max) -> [Piece] {
        var found: [Piece] = []
        var place = 0
        while place < characters.count, found.count < limit {
            guard startsNumber(characters, at: place) else {
                place += 1
                continue
            }
            var end = place
            while end < characters.count, belongs(characters, at: end) { end += 1 }
            var piece = String(characters[place..<end])
            while let last = piece.last, !last.isNumber, last != ")" { piece.removeLast() }
            place = max(end, place + 1)
            let rest = String(characters[end..<min(end + 12, characters.count)]).trimmed.lowercased()
            let isPercentage = rest.hasPrefix("%") || rest.hasPrefix("percent") || rest.hasPrefix("pct")
            found.append(Piece(text: piece, isPercentage: isPercentage))
        }
        return found
    }

    /// A digit, or a sign or currency before one, at the beginning of a word.
    private static func startsNumber(_ characters: [Character], at place: Int) -> Bool {
        if place > 0, !characters[place - 1].isWhitespace, !"=*:$€£¥(#".contains(characters[place - 1]) { return false }
        var next = place
        while next < min(characters.count, place + 20), "-(.".contains(characters[next]) { next += 1 }
        return next < characters.count && characters[next].isASCII && characters[next].isNumber
    }

    private static func belongs(_ characters: [Character], at place: Int) -> Bool {
        let next = characters[place]
        if next.isASCII, next.isNumber { return true }
        if "+-*/^()×÷".contains(next) { return true }
        func digit(_ index: Int) -> Bool {
            characters.indices.contains(index) && characters[index].isASCII && characters[index].isNumber
        }
        if next == "." || next == "," { return digit(place + 1) }
        guard next == " " else { return false }
        // A space is part of a sum, or stands between groups of three digits.
        let (before, after) = (place - 1, place + 1)
        guard characters.indices.contains(before), characters.indices.contains(after) else { return false }
        let operators = "+-*/^×÷"
        if operators.contains(characters[before]) || operators.contains(characters[after]) { return true }
        return digit(before) && digit(after) && digit(after + 1) && digit(after + 2) && !digit(after + 3)
    }

    private static func decimals(_ text: String) -> String {
        let text = text.replacing(" ", with: text.contains { "+-*/^×÷".contains($0) } ? " " : "")
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count == 2, !text.contains("."), parts[1].count != 3, parts[1].allSatisfy(\.isNumber) else {
            return text
        }
        return text.replacing(",", with: ".")
    }
}
