import Foundation

/// Reads the `vocab.txt` of a WordPiece model.
struct VocabularyText {
    /// The file that errors name.
    let source: String

    /// As in `tokenizers`, white space at the end of a line is no part of its token, and of equal tokens the last counts.
    func read(_ data: Data) throws -> Vocabulary {
        let files = BytePairFiles(source: source)
        return try data.withUnsafeBytes { raw in
            let bytes = raw.bindMemory(to: UInt8.self)
            var vocabulary = Vocabulary(expectedCount: bytes.count / 7)
            guard let base = bytes.baseAddress else { return vocabulary }
            var line: Int32 = 0
            var start = 0
            while start < bytes.count {
                let newline = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
                let token = Array(bytes[start..<newline])
                guard String(validating: token, as: UTF8.self) != nil else {
                    throw TokenizerError(
                        source, "line \(line + 1) is not valid UTF-8: \(BytePairFiles.describe(token))")
                }
                let length = Self.lengthWithoutTrailingSpace(base + start, newline - start)
                try files.insert(Array(token.prefix(length)), line, into: &vocabulary)
                line += 1
                start = newline + 1
            }
            return vocabulary
        }
    }

    private static func lengthWithoutTrailingSpace(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        let text = ClassifiedText(bytes, end: count)
        var length = count
        while length > 0 {
            var last = length - 1
            while last > 0, bytes[last] & 0xC0 == 0x80 { last -= 1 }
            guard text.scalar(at: last).scalarClass.contains(.space) else { break }
            length = last
        }
        return length
    }
}
