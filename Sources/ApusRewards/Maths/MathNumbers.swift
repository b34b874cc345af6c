/// Numbers and sums in running text.
enum MathNumbers {
    /// The last number or arithmetic expression of a text; where the word "answer" stands in it, the first behind the last such
    /// word.
    static func last(of text: String) -> MathText.Extract? {
        let characters = Array(text)
        let word = Array("answer")
        let ends = characters.indices.dropLast(word.count).filter { start in
            (0..<word.count).allSatisfy { characters[start + $0].lowercased() == String(word[$0]) }
        }
        if let end = ends.last.map({ $0 + word.count }), let first = all(in: String(characters[end...])).first {
            return first
        }
        return all(in: text).last
    }

    private static func all(in text: String) -> [MathText.Extract] {
        let characters = Array(text)
        var found: [MathText.Extract] = []
        var place = 0
        while place < characters.count {
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
            // In running text a comma is a decimal one unless three digits follow.
            let extract = MathText.Extract(latex: decimals(piece), isPercentage: isPercentage)
            if extract.value != nil { found.append(extract) }
        }
        return found
    }

    /// A digit, or a sign or currency before one, at the beginning of a word.
    private static func startsNumber(_ characters: [Character], at place: Int) -> Bool {
        if place > 0, !characters[place - 1].isWhitespace, !"=*:$€£¥(#".contains(characters[place - 1]) { return false }
        var next = place
        while next < characters.count, "-(.".contains(characters[next]) { next += 1 }
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
