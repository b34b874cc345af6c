/// How two texts become one for a model without segments.
package enum PairFormat {
    package static let standard = "Sentence 1: {text1}\nSentence 2: {text2}"

    /// - Parameter format: A text with `{text1}` and `{text2}` in it.
    package static func joined(_ first: String, _ second: String, by format: String) -> String {
        // One pass, so that a text that holds a placeholder stays as it is.
        var result = ""
        var rest = format[...]
        while let brace = rest.firstIndex(of: "{") {
            result += rest[..<brace]
            rest = rest[brace...]
            if rest.hasPrefix("{text1}") {
                result += first
                rest = rest.dropFirst(7)
            } else if rest.hasPrefix("{text2}") {
                result += second
                rest = rest.dropFirst(7)
            } else {
                result.append(rest.removeFirst())
            }
        }
        return result + rest
    }
}
