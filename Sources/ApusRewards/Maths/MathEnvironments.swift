/// The formulas in a text: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, and a bare `\frac{1}{2}`.
///
/// What stands between the amounts of "2 pens at $5 cost $10" is no formula: behind the end of one there is no digit.
struct MathEnvironments {
    private let characters: [Character]
    private let lowercase: [String]
    /// Where each mark that ends a formula stands, so that what is never closed is not looked for again and again.
    private let ends: [String: [Int]]
    private let lineEnds: [Int]

    private struct Found {
        let content: String
        var isPercentage: Bool
        let end: Int
    }

    /// Formulas that commas or words join.
    private struct Chain {
        let parts: [Found]
        var end: Int { parts.last?.end ?? 0 }

        var extract: MathText.Extract? {
            guard let first = parts.first else { return nil }
            if parts.count > 1 {
                let joined = MathText.Extract(latex: parts.map(\.content).joined(separator: ","))
                if joined.value != nil { return joined }
            }
            return MathText.Extract(latex: first.content, isPercentage: first.isPercentage)
        }
    }

    init(_ text: String) {
        let characters = Array(text)
        self.characters = characters
        lowercase = characters.map { $0.lowercased() }
        ends = ["$$", "$", "\\]", "\\)"].reduce(into: [:]) { ends, mark in
            ends[mark] = characters.indices.filter { place in
                Self.matches(mark, characters, at: place) && (place == 0 || characters[place - 1] != "\\")
            }
        }
        lineEnds = characters.indices.filter { characters[$0] == "\n" || characters[$0] == "\r\n" }
    }

    /// The last formula, and the text behind it.
    var last: (extract: MathText.Extract, rest: String)? {
        var place = 0
        var last: Chain?
        while place < characters.count {
            guard let found = chain(at: place) else {
                place += 1
                continue
            }
            last = found
            place = found.end
        }
        return last.flatMap { chain in chain.extract.map { ($0, String(characters[chain.end...])) } }
    }

    /// The last formula that begins within reach of a word.
    ///
    /// - Parameter then: A word that stands between the two, right before the formula.
    func behind(_ word: String, reach: Int, then: String? = nil) -> MathText.Extract? {
        var place = 0
        var last: Chain?
        while let start = firstEnd(of: word, from: place) {
            place = start
            for begin in start...min(start + reach, characters.count) {
                var begin = begin
                if let then {
                    guard reads(then, at: begin) else { continue }
                    begin += then.count
                    if begin < characters.count, characters[begin] == ":" { begin += 1 }
                    while begin < characters.count, characters[begin].isWhitespace { begin += 1 }
                }
                guard let found = chain(at: begin) else { continue }
                last = found
                place = found.end
                break
            }
        }
        return last?.extract
    }

    /// Where a word ends that is looked for in any case.
    private func firstEnd(of word: String, from place: Int) -> Int? {
        guard word.count <= characters.count - place else { return nil }
        return (place...characters.count - word.count).first { reads(word, at: $0) }.map { $0 + word.count }
    }

    /// Whether a word in lower case stands there, in any case.
    private func reads(_ word: String, at place: Int) -> Bool {
        place + word.count <= lowercase.count && zip(word, lowercase[place...]).allSatisfy { String($0) == $1 }
    }

    /// A formula, with those joined to it by a comma or "and".
    private func chain(at place: Int) -> Chain? {
        guard let first = environment(at: place) else { return nil }
        var parts = [first]
        while parts.count < 6, let start = joint(parts[parts.count - 1].end), let next = environment(at: start) {
            parts.append(next)
        }
        return Chain(parts: parts)
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

    private func matches(_ word: String, at place: Int) -> Bool { Self.matches(word, characters, at: place) }

    private static func matches(_ word: String, _ characters: [Character], at place: Int) -> Bool {
        place < characters.count && characters[place] == word.first && place + word.count <= characters.count
            && characters[place..<place + word.count].elementsEqual(word)
    }

    private func environment(at place: Int) -> Found? {
        guard place < characters.count, "$\\-".contains(characters[place]) else { return nil }
        let previous: Character? = place > 0 ? characters[place - 1] : nil
        var found: Found?
        if matches("$$", at: place), previous != "\\" { found = content(place + 2, "$$", isInline: false) }
        if found == nil, matches("$", at: place), previous != "\\", previous?.isNumber != true {
            found = content(place + 1, "$", isInline: true).flatMap { startsAmount(at: $0.end) ? nil : $0 }
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

    /// Whether a digit stands there, so that the sign of a currency is before it and no mark.
    private func startsAmount(at place: Int) -> Bool {
        place < characters.count && characters[place].isASCII && characters[place].isNumber
    }

    private func content(_ start: Int, _ mark: String, isInline: Bool) -> Found? {
        guard let end = Self.first(of: ends[mark] ?? [], behind: start),
            !isInline || (Self.first(of: lineEnds, behind: start - 1) ?? end) >= end
        else { return nil }
        // What is longer than any answer keeps its place, and is nobody's answer.
        let content = String(characters[start..<min(end, start + MathText.longest + 1)])
        return Found(content: content, isPercentage: false, end: end + mark.count)
    }

    /// The first of places in order that is larger than another.
    private static func first(of places: [Int], behind place: Int) -> Int? {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle] > place { high = middle } else { low = middle + 1 }
        }
        return low < places.count ? places[low] : nil
    }

    /// `\frac{a}{b}` of two numbers, outside of any formula.
    private func fraction(at place: Int) -> Found? {
        var next = place
        if matches("-", at: next) { next += 1 }
        guard matches("\\frac{", at: next) else { return nil }
        next += 5
        for _ in 0..<2 {
            guard matches("{", at: next) else { return nil }
            let digits = characters[(next + 1)...].prefix { $0.isNumber || "-.,".contains($0) }
            guard !digits.isEmpty, matches("}", at: digits.endIndex) else { return nil }
            next = digits.endIndex + 1
        }
        return Found(content: String(characters[place..<next]), isPercentage: false, end: next)
    }
}
