/// Breaks a text into lines of a width.
enum TextWrap {
    /// - Parameter indent: Spaces before each line.
    static func lines(_ text: String, indent: Int, width: Int) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = margin
        var length = indent
        for word in text.split(separator: " ") {
            for (number, part) in parts(of: word, room: width - indent).enumerated() {
                let gap = number == 0 ? " " : ""
                if length > indent, length + gap.count + part.count > width {
                    lines.append(line)
                    (line, length) = (margin, indent)
                }
                let added = length > indent ? gap + part : String(part)
                line += added
                length += added.count
            }
        }
        return lines + [line]
    }

    /// A word in one piece; one that is longer than a line, as lists of choices are, in pieces that end behind a bar.
    private static func parts(of word: Substring, room: Int) -> [Substring] {
        guard word.count > room else { return [word] }
        var (parts, rest) = ([Substring](), word)
        while let bar = rest.firstIndex(of: "|") {
            parts.append(rest[...bar])
            rest = rest[rest.index(after: bar)...]
        }
        return rest.isEmpty ? parts : parts + [rest]
    }
}
