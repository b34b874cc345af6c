/// A pattern of paths as the cards of data sets have them: `*`, `?` and `[ab]` stand for characters of one name, `**` for
/// folders as well.
///
/// The rules are those of fsspec, by which `datasets` looks for files. A `**` beside other characters, which fsspec
/// refuses since 2023.12, stands for any characters, as it did before.
struct PathGlob {
    private enum Part {
        case scalar(Unicode.Scalar)
        /// `?`.
        case any
        /// `[a-c]`, `[!a-c]`.
        case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
        /// `*`.
        case characters
        /// `**`.
        case everything
        /// `**/`.
        case folders
    }

    private let parts: [Part]
    /// Whether it can fit more paths than one.
    let isPattern: Bool

    init(_ pattern: String) {
        isPattern = pattern.contains { "*?[".contains($0) }
        let scalars = Array(pattern.unicodeScalars)
        var parts: [Part] = []
        var at = 0
        while at < scalars.count {
            if scalars[at] == "*" {
                let end = scalars[at...].firstIndex { $0 != "*" } ?? scalars.count
                let isName = (at == 0 || scalars[at - 1] == "/") && end < scalars.count && scalars[end] == "/"
                if end == at + 1 {
                    parts.append(.characters)
                } else {
                    parts.append(isName ? .folders : .everything)
                }
                at = end > at + 1 && isName ? end + 1 : end
            } else if scalars[at] == "[", let (set, end) = Self.set(scalars, at) {
                parts.append(set)
                at = end
            } else {
                parts.append(scalars[at] == "?" ? .any : .scalar(scalars[at]))
                at += 1
            }
        }
        self.parts = parts
    }

    /// The set that begins at a bracket and the place behind it; nil for a bracket that stands for itself.
    private static func set(_ scalars: [Unicode.Scalar], _ start: Int) -> (Part, Int)? {
        var first = start + 1
        let isNegated = first < scalars.count && scalars[first] == "!"
        if isNegated { first += 1 }
        // A bracket in the first place is one of the set.
        guard first < scalars.count, let end = scalars[(first + 1)...].firstIndex(of: "]"),
            !scalars[first..<end].contains("/")
        else { return nil }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        var at = first
        while at < end {
            if at + 2 < end, scalars[at + 1] == "-" {
                if scalars[at] <= scalars[at + 2] { ranges.append(scalars[at]...scalars[at + 2]) }
                at += 3
            } else {
                ranges.append(scalars[at]...scalars[at])
                at += 1
            }
        }
        return (.set(ranges, isNegated: isNegated), end + 1)
    }

    /// In time of at most the product of the lengths.
    func fits(_ path: String) -> Bool {
        let text = Array(path.unicodeScalars)
        // Whether what was read of the pattern can end before each character, and behind the last.
        var ends = [true] + Array(repeating: false, count: text.count)
        for part in parts {
            var next = Array(repeating: false, count: text.count + 1)
            var hasBegun = false
            for place in 0...text.count {
                let before = place > 0 ? text[place - 1] : nil
                let (stays, steps) = (ends[place], place > 0 && ends[place - 1])
                switch part {
                case .scalar(let scalar): next[place] = steps && before == scalar
                case .any: next[place] = steps && before != "/"
                case .set(let ranges, let isNegated):
                    next[place] =
                        steps && before != "/"
                        && before.map { scalar in ranges.contains { $0.contains(scalar) } != isNegated } == true
                case .characters: next[place] = stays || place > 0 && next[place - 1] && before != "/"
                case .everything: next[place] = stays || place > 0 && next[place - 1]
                case .folders: next[place] = stays || hasBegun && before == "/"
                }
                hasBegun = hasBegun || stays
            }
            guard next.contains(true) else { return false }
            ends = next
        }
        return ends[text.count]
    }
}
