import Testing

@testable import ApusProgram

/// From the bytes of a keyboard to the line that is sent.
struct PasteDecoderTests {
    /// The characters that the line editor sees, and what the line stands for.
    func typed(_ bytes: String) -> (seen: String, line: String) {
        var decoder = PasteDecoder()
        var seen = String.UnicodeScalarView()
        for byte in bytes.utf8 {
            decoder.append(byte)
            while let scalar = decoder.next() { seen.append(scalar) }
        }
        return (String(seen), decoder.expanded(String(seen)))
    }

    @Test(arguments: ["abc", "你好 é🦊", "\u{1B}[A\u{1B}[D\u{1B}OP", "\u{1B}[20~x", "\u{7F}\t"])
    func keysPassAsTheyAre(keys: String) {
        #expect(typed(keys).seen == keys)
    }

    @Test func severalLinesStayOne() {
        let result = typed("Look: \u{1B}[200~one\r\ntwo\nthree\n\u{1B}[201~ please")
        #expect(result.seen == "Look: [pasted text 1: 3 lines] please")
        #expect(result.line == "Look: one\ntwo\nthree please")
        #expect(!result.seen.contains { $0.isNewline })
    }

    @Test func aShortPieceIsShown() {
        #expect(typed("\u{1B}[200~你好 abc\n\u{1B}[201~").seen == "你好 abc")
        let long = String(repeating: "x", count: 401)
        #expect(typed("\u{1B}[200~\(long)\u{1B}[201~").seen == "[pasted text 1: 401 characters]")
        #expect(typed("\u{1B}[200~\(long)\u{1B}[201~").line == long)
    }

    /// Pasted keys do nothing: they are text.
    @Test func controlCharactersDoNotAct() {
        let result = typed("\u{1B}[200~a\u{03}\u{1B}[Ab\u{1B}[201~")
        #expect(result.seen == "[pasted text 1: 6 characters]")
        #expect(result.line == "a\u{03}\u{1B}[Ab")
    }

    @Test func twoPiecesAndHistory() {
        var decoder = PasteDecoder()
        for byte in "\u{1B}[200~a\nb\u{1B}[201~\u{1B}[200~c\nd\u{1B}[201~".utf8 { decoder.append(byte) }
        #expect(decoder.expanded("[pasted text 1: 2 lines]|[pasted text 2: 2 lines]") == "a\nb|c\nd")
        // From the history the name still stands for its text.
        #expect(decoder.expanded("again [pasted text 1: 2 lines]") == "again a\nb")
    }
}
