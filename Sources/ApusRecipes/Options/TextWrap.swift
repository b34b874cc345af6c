/// Breaks a text into lines of a width.
enum TextWrap {
    /// - Parameter indent: Spaces before each line.
    static func lines(_ text: String, indent: Int, width: Int) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = margin
        var length = indent
        for word in text.split(separator: " ") {
            let count = word.count
            if length > indent, length + 1 + count > width {
                lines.append(line)
                (line, length) = (margin, indent)
            }
            if length > indent {
                line += " "
                length += 1
            }
            line += word
            length += count
        }
        return lines + [line]
    }
}
