/// The formulas in a text: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, and a bare `\frac{1}{2}`.
struct MathEnvironments {
    private let characters: [Character]

    private struct Found {
        let content: String
        var isPercentage: Bool
        let end: Int
    }

    init(_ text: String) {
        characters = Array(text)
    }

    /// The last formula.
    var last: MathText.Extract? {
        var place = 0
        var last: MathText.Extract?
        while place < characters.count {
            guard let found = chain(at: place) else {
                place += 1
                continue
            }
            last = found.extract
            place = found.end
        }
        return last
    }

    /// The last formula that begins within reach of a word.
    ///
    /// - Parameter then: A word that stands between the two, right before the formula.
    func behind(_ word: String, reach: Int, then: String? = nil) -> MathText.Extract? {
        var place = 0
        var last: MathText.Extract?
        while let start = firstEnd(of: word, from: place) {
            place = start
            for begin in start...min(start + reach, characters.count) {
                var begin = begin
                if let then {
                    guard let end = firstEnd(of: then, from: begin), end == begin + then.count else { continue }
                    begin = end
                    if begin < characters.count, characters[begin] == ":" { begin += 1 }
                    while begin < characters.count, characters[begin].isWhitespace { begin += 1 }
                }
                guard let found = chain(at: begin) else { continue }
                last = found.extract
                place = found.end
                break
            }
        }
        return last
    }

    /// Where a word ends that is looked for in any case.
    private func firstEnd(of word: String, from place: Int) -> Int? {
        let word = Array(word.lowercased())
        guard word.count <= characters.count - place else { return nil }
        return (place...characters.count - word.count).first { start in
            (0..<word.count).allSatisfy { characters[start + $0].lowercased() == String(word[$0]) }
        }.map { $0 + word.count }
    }

    /// A formula, with those joined to it by a comma or "and".
    private func chain(at place: Int) -> (extract: MathText.Extract, end: Int)? {
        guard let first = environment(at: place) else { return nil }
        var parts = [first]
        while parts.count < 6, let start = joint(parts[parts.count - 1].end), let next = environment(at: start) {
            parts.append(next)
        }
        let end = parts[parts.count - 1].end
        if parts.count > 1 {
            let joined = MathText.Extract(latex: parts.map(\.content).joined(separator: ","))
            if joined.value != nil { return (joined, end) }
        }
        return (MathText.Extract(latex: first.content, isPercentage: first.isPercentage), end)
    }

    /// Where a formula may begin that a comma or a word joins to the one that ends here.
    private func joint(_ end: Int) -> Int? {
        func skipped(_ place: Int) -> Int {
            var place = place
            while place < characters.count, characters[place].isWhitespace { place += 1 }
            return place
        }
        let start = skipped(end)
        for word in [",and", ",or", "and", "or", ","] where matches(word, at: start) {
            return skipped(start + word.count)
        }
        return nil
    }

    private func matches(_ word: String, at place: Int) -> Bool {
        place + word.count <= characters.count && characters[place..<place + word.count].elementsEqual(word)
    }

    private func environment(at place: Int) -> Found? {
        guard place < characters.count else { return nil }
        let previous: Character? = place > 0 ? characters[place - 1] : nil
        var found: Found?
        if matches("$$", at: place), previous != "\\" { found = content(place + 2, "$$", isInline: false) }
        if found == nil, matches("$", at: place), previous != "\\", previous?.isNumber != true {
            found = content(place + 1, "$", isInline: true)
        }
        if found == nil, matches("\\[", at: place), previous != "\\" {
            found = content(place + 2, "\\]", isInline: false)
        }
        if found == nil, matches("\\(", at: place), previous != "\\" {
            found = content(place + 2, "\\)", isInline: true)
        }
        if found == nil { found = fraction(at: place) }
        guard var found else { return nil }
        let rest = String(characters[found.end..<min(found.end + 12, characters.count)]).trimmed.lowercased()
        found.isPercentage =
            rest.hasPrefix("%") || rest.hasPrefix("\\%") || rest.hasPrefix("percent") || rest.hasPrefix("pct")
        return found
    }

    private func content(_ start: Int, _ end: String, isInline: Bool) -> Found? {
        var place = start
        while place < characters.count, !(isInline && characters[place] == "\n") {
            if place > start, matches(end, at: place), characters[place - 1] != "\\" {
                return Found(content: String(characters[start..<place]), isPercentage: false, end: place + end.count)
            }
            place += 1
        }
        return nil
    }

    /// `\frac{a}{b}` of two numbers, outside of any formula.
    private func fraction(at place: Int) -> Found? {
        var next = place
        if matches("-", at: next) { next += 1 }
        guard matches("\\frac{", at: next) else { return nil }
        next += 5
        for _ in 0..<2 {
            guard matches("{", at: next), let close = characters[next...].firstIndex(of: "}"), close > next + 1 else {
                return nil
            }
            let digits = characters[next + 1..<close]
            guard digits.allSatisfy({ $0.isNumber || "-.,".contains($0) }) else { return nil }
            next = close + 1
        }
        return Found(content: String(characters[place..<next]), isPercentage: false, end: next)
    }
}
