import Testing

@testable import ApusText

@Suite struct CanonicalCompositionTests {
    @Test(arguments: [
        ("", ""), ("abc", "abc"), ("é", "é"), ("e\u{301}", "é"), ("\u{301}e", "\u{301}e"),
        // Marks are sorted by class, and one of a lower class does not block a later one.
        ("a\u{301}\u{323}", "\u{1EA1}\u{301}"), ("a\u{323}\u{302}", "\u{1EAD}"),
        // Replaced for good: the Ångström sign, a compatibility ideograph, a Hebrew presentation form.
        ("\u{212B}", "Å"), ("\u{F900}", "\u{8C48}"), ("\u{FB1D}", "\u{5D9}\u{5B4}"),
        // Hangul, whole or in parts.
        ("\u{1112}\u{1161}\u{11AB}", "한"), ("\u{AC00}\u{11A8}\u{303}", "각\u{303}"), ("각\u{11A8}", "각\u{11A8}"),
        ("x\u{212B}y\u{301}z\u{1112}\u{1161}", "xÅýz하"),
        // Characters later than Unicode 9 are left alone.
        ("\u{105D2}\u{307}", "\u{105D2}\u{307}"), ("\u{1E2EC}\u{323}", "\u{1E2EC}\u{323}"),
    ])
    func composes(_ text: String, _ expected: String) {
        #expect(scalars(compose(text)) == scalars(expected))
    }

    @Test func randomTextStaysCanonicallyEqualAndComposesOnce() {
        var texts = RandomTexts(seed: 3)
        for _ in 0..<2000 {
            let text = texts.next()
            let composed = compose(text)
            // `String` compares by canonical equivalence.
            #expect(composed == text)
            #expect(scalars(compose(composed)) == scalars(composed))
        }
    }

    @Test func manyMarksTakeNoMoreThanSortingThem() {
        let text = "a" + String(repeating: "\u{301}\u{323}", count: 20_000)
        #expect(compose(text).unicodeScalars.count == 40_000)
    }

    private func compose(_ text: String) -> String {
        String(decoding: [TextNormalizer.composed(isCompatible: false)].normalized(Array(text.utf8)), as: UTF8.self)
    }

    private func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }
}
