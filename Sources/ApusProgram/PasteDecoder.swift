/// Makes characters of the bytes of a keyboard, and one piece of what a terminal marks as pasted.
///
/// A pasted text of several lines must not end the line that is edited, and a long one would not fit on the screen:
/// such a text is shown by a name in brackets, which stands for it until the line is sent. The marks are
/// `ESC [ 200 ~` and `ESC [ 201 ~`.
struct PasteDecoder {
    private static let beginning = Array("\u{1B}[200~".utf8)
    private static let end = Array("\u{1B}[201~".utf8)
    /// More characters are shown by a name.
    private static let longestShown = 400

    private var ready: [Unicode.Scalar] = []
    /// Bytes that may begin a mark or a character.
    private var pending: [UInt8] = []
    /// What was pasted so far; nil outside of marks.
    private var paste: [UInt8]?
    private var texts: [(name: String, text: String)] = []

    /// The next character, if there is a whole one.
    mutating func next() -> Unicode.Scalar? {
        ready.isEmpty ? nil : ready.removeFirst()
    }

    /// Adds characters as if they were typed.
    mutating func insert(_ text: String) {
        ready += text.unicodeScalars
    }

    mutating func append(_ byte: UInt8) {
        if paste != nil {
            paste?.append(byte)
            if let text = paste, text.suffix(Self.end.count).elementsEqual(Self.end) {
                paste = nil
                add(String(decoding: text.dropLast(Self.end.count), as: UTF8.self))
            }
            return
        }
        pending.append(byte)
        if pending == Self.beginning {
            pending = []
            paste = []
        } else if !Self.beginning.starts(with: pending), Self.isWhole(pending) {
            insert(String(decoding: pending, as: UTF8.self))
            pending = []
        }
    }

    /// A line with the pasted texts in place of their names.
    func expanded(_ line: String) -> String {
        texts.reduce(line) { $0.replacing($1.name, with: $1.text) }
    }

    private mutating func add(_ pasted: String) {
        var text = pasted.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        // The line break behind the last line was copied with it, not meant as a key.
        if text.hasSuffix("\n") { text.removeLast() }
        let isPlain = text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
        if isPlain, text.count <= Self.longestShown { return insert(text) }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count
        let size = lines > 1 ? "\(lines) lines" : "\(text.count) characters"
        let name = "[pasted text \(texts.count + 1): \(size)]"
        texts.append((name, text))
        insert(name)
    }

    /// Whether bytes end with a whole character, or with none that could become one.
    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        guard let lead = bytes.lastIndex(where: { $0 & 0xC0 != 0x80 }) else { return true }
        let length =
            switch bytes[lead] {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 1
            }
        return bytes.count - lead >= length
    }
}
