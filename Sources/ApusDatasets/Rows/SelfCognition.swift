import ApusText

/// The placeholders of self-cognition data, `{{NAME}}` and `{{AUTHOR}}`, and what the user wants in their place.
struct SelfCognition: Sendable {
    private struct Placeholder {
        let text: String
        let option: String
        /// In Chinese and in English.
        let values: (chinese: String, english: String)?

        init(text: String, option: String, values: [String]) throws {
            guard values.count <= 2 else {
                throw DatasetError("\(option) takes the Chinese and the English name, not \(values.count) values")
            }
            self.text = text
            self.option = option
            self.values = values.first.map { ($0, values.last ?? $0) }
        }
    }

    private let placeholders: [Placeholder]

    /// - Parameters:
    ///   - names: None, one for both languages, or the Chinese and the English one.
    ///   - authors: The same of the author.
    init(names: [String], authors: [String]) throws {
        placeholders = [
            try Placeholder(text: "{{NAME}}", option: "--model_name", values: names),
            try Placeholder(text: "{{AUTHOR}}", option: "--model_author", values: authors),
        ]
    }

    /// Fills the placeholders in place.
    ///
    /// - Parameter isChinese: The language of the row, where it says; else Chinese characters decide.
    /// - Returns: Notes on placeholders that stay.
    func fill(_ messages: inout [Message], isChinese: Bool?) -> [String] {
        // Searching a String is slow, and hardly any text has braces.
        guard messages.contains(where: { Self.hasBraces($0.textOrEmpty) }) else { return [] }
        var notes: [String] = []
        for placeholder in placeholders where messages.contains(where: { $0.textOrEmpty.contains(placeholder.text) }) {
            guard let values = placeholder.values else {
                notes.append("\(placeholder.text) left as it is (\(placeholder.option) is not given)")
                continue
            }
            let isChinese = isChinese ?? messages.contains { $0.textOrEmpty.unicodeScalars.contains { Self.isHan($0) } }
            for index in messages.indices {
                messages[index].replaceText(placeholder.text, with: isChinese ? values.chinese : values.english)
            }
        }
        return notes
    }

    private static func hasBraces(_ text: String) -> Bool {
        var previous: UInt8 = 0
        for byte in text.utf8 {
            if byte == UInt8(ascii: "{"), byte == previous { return true }
            previous = byte
        }
        return false
    }

    private static func isHan(_ scalar: Unicode.Scalar) -> Bool {
        (0x4E00...0x9FFF).contains(scalar.value) || (0x3400...0x4DBF).contains(scalar.value)
    }
}
