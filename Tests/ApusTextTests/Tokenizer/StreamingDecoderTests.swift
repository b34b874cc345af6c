import Testing

@testable import ApusText

@Suite struct StreamingDecoderTests {
    /// Every byte is a token, its id the byte.
    private func byteTokenizer() throws -> Tokenizer {
        let tokens = (0...255).map { byte in
            var spelling: [UInt8] = []
            ByteAlphabet.spell(UInt8(byte), into: &spelling)
            return String(decoding: spelling, as: UTF8.self)
        }
        return try Tokenizer(
            gguf: GGUFVocabulary(model: "gpt2", preTokenizer: nil, tokens: tokens, tokenTypes: [], merges: []))
    }

    @Test func neverCutsACharacter() throws {
        let tokenizer = try byteTokenizer()
        var decoder = tokenizer.streamingDecoder()
        let pieces = Array("a é €😀".utf8).map { decoder.append(Int32($0)) }
        #expect(pieces == ["a", " ", "", "é", " ", "", "", "€", "", "", "", "😀"])
        #expect(decoder.finish() == "")
    }

    @Test func flushesIncompleteCharactersAsDecodeDoes() throws {
        let tokenizer = try byteTokenizer()
        var decoder = tokenizer.streamingDecoder()
        #expect([0xF0, 0x9F, 0x98].map { decoder.append($0) } == ["", "", ""])
        #expect(decoder.finish() == "\u{FFFD}")
        #expect(tokenizer.decode([0xF0, 0x9F, 0x98]) == "\u{FFFD}")
        #expect(decoder.append(0x61) == "a")
    }

    @Test func piecesOfRandomBytesMakeTheWhole() throws {
        let tokenizer = try byteTokenizer()
        var generator = SeededGenerator(seed: 9)
        let interesting: [Int32] = [
            0x61, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF4,
            0xF5, 0xFF,
        ]
        for _ in 0..<1500 {
            let ids = (0..<Int.random(in: 1...8, using: &generator)).map { _ in
                interesting.randomElement(using: &generator) ?? 0
            }
            var decoder = tokenizer.streamingDecoder()
            var text = ids.map { decoder.append($0) }.joined()
            text += decoder.finish()
            #expect(text.utf8.elementsEqual(tokenizer.decode(ids).utf8))
        }
    }
}
