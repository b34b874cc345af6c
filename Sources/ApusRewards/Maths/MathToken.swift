/// A piece of a formula written in LaTeX.
enum MathToken: Equatable {
    case number(String)
    /// `\name`, without the backslash; `\text{…}` is `words`.
    case command(String)
    case words(String)
    case letter(Character)
    /// Letters that stand together and look like a word or a name (`mgh`): three or more, and not in the order of the alphabet,
    /// as those of products are (`abc`).
    case run(String)
    /// An operator, a brace, a bracket or punctuation.
    case symbol(Character)

    /// The most tokens of a formula that is read, and the deepest brackets.
    private static let most = (tokens: 2000, depth: 60)

    /// - Returns: nil where something in it is not known, and where it is too long or its brackets are too deep to be anybody's
    ///   answer.
    static func tokens(of text: String) -> [MathToken]? {
        var reader = MathTokenReader(characters: Array(text))
        guard let tokens = reader.tokens(), tokens.count <= most.tokens else { return nil }
        var depth = 0
        for token in tokens {
            depth = max(0, depth + token.depthChange)
            if depth > most.depth { return nil }
        }
        return tokens
    }

    /// 1 for what opens a bracket, -1 for what closes one.
    var depthChange: Int {
        switch self {
        case .symbol("("), .symbol("["), .symbol("{"), .command("{"): 1
        case .symbol(")"), .symbol("]"), .symbol("}"), .command("}"): -1
        case .command(let name): name.hasPrefix("begin ") ? 1 : name.hasPrefix("end ") ? -1 : 0
        default: 0
        }
    }
}

private struct MathTokenReader {
    let characters: [Character]
    private var place = 0
    private var depth = 0
    /// Where the letters end that were seen to be a product.
    private var productEnd = 0

    init(characters: [Character]) {
        self.characters = characters
    }

    mutating func tokens() -> [MathToken]? {
        var tokens: [MathToken] = []
        while place < characters.count {
            let next = characters[place]
            if next.isWhitespace {
                place += 1
            } else if next.isASCII, next.isNumber || (next == "." && digit(at: place + 1)) {
                guard let number = number() else { return nil }
                tokens.append(.number(number))
            } else if next == "\\" {
                guard let token = command() else { return nil }
                tokens.append(token)
            } else if let run = run() {
                tokens.append(.run(run))
            } else {
                place += 1
                guard let token = Self.token(next) else { return nil }
                if "([{".contains(next) { depth += 1 }
                if ")]}".contains(next) { depth -= 1 }
                tokens.append(token)
            }
        }
        return tokens
    }

    /// Takes letters that are no product; the last may have an index or a power of its own.
    private mutating func run() -> String? {
        guard place >= productEnd else { return nil }
        var end = place
        while end < characters.count, characters[end].isASCII, characters[end].isLetter { end += 1 }
        if end < characters.count, "_^'".contains(characters[end]) { end -= 1 }
        guard end - place >= 3 else { return nil }
        let letters = characters[place..<end].map { $0.lowercased() }
        guard letters != letters.sorted() else {
            productEnd = end
            return nil
        }
        place = end
        return letters.joined()
    }

    private static func token(_ character: Character) -> MathToken? {
        switch character {
        case "a"..."z", "A"..."Z": .letter(character)
        case "+", "-", "*", "/", "^", "_", "(", ")", "[", "]", "{", "}", "|", "!", "=", "<", ">", ",", ";", ":", "%",
            "&":
            .symbol(character)
        case "−", "–": .symbol("-")
        case "×", "·", "⋅": .symbol("*")
        case "÷": .symbol("/")
        case "π": .command("pi")
        case "√": .command("sqrt")
        case "∞": .command("infty")
        case "°": .command("degree")
        case "≤": .command("le")
        case "≥": .command("ge")
        case "≠": .command("ne")
        case "±": .command("pm")
        case "∪": .command("cup")
        case "∈": .command("in")
        case "∅": .command("emptyset")
        case "α"..."ω": .letter(character)
        default: nil
        }
    }

    private func digit(at index: Int) -> Bool {
        index < characters.count && characters[index].isASCII && characters[index].isNumber
    }

    /// Digits, in groups of three with commas where no bracket is open, and decimals.
    private mutating func number() -> String? {
        var text = ""
        while digit(at: place) {
            text.append(characters[place])
            place += 1
        }
        func isGroup(_ start: Int) -> Bool {
            start < characters.count && characters[start] == "," && (1...3).allSatisfy { digit(at: start + $0) }
                && !digit(at: start + 4)
        }
        if depth == 0, (1...3).contains(text.count), text.first != "0" {
            while isGroup(place) {
                text += String(characters[place + 1...place + 3])
                place += 4
            }
        }
        if place < characters.count, characters[place] == "." {
            guard digit(at: place + 1) else {
                // A full stop at the end belongs to the sentence, not to the number.
                place += 1
                return place == characters.count ? text : nil
            }
            text.append(".")
            place += 1
            while digit(at: place) {
                text.append(characters[place])
                place += 1
            }
        }
        return text
    }

    private mutating func command() -> MathToken? {
        place += 1
        guard place < characters.count else { return nil }
        let first = characters[place]
        guard first.isASCII, first.isLetter else {
            place += 1
            switch first {
            case "{":
                depth += 1
                return .command("{")
            case "}":
                depth -= 1
                return .command("}")
            case "%": return .symbol("%")
            case "|": return .symbol("|")
            case "\\": return .command("\\")
            default: return nil
            }
        }
        var name = ""
        while place < characters.count, characters[place].isASCII, characters[place].isLetter {
            name.append(characters[place])
            place += 1
        }
        guard ["text", "mbox", "operatorname", "begin", "end"].contains(name) else { return .command(name) }
        while place < characters.count, characters[place].isWhitespace { place += 1 }
        guard place < characters.count, characters[place] == "{",
            let end = characters[place...].firstIndex(of: "}")
        else { return nil }
        let content = String(characters[place + 1..<end]).trimmed
        place = end + 1
        switch name {
        case "operatorname": return .command(String(content))
        case "begin", "end": return .command("\(name) \(content)")
        default: return .words(content.lowercased())
        }
    }
}
