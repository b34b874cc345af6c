/// Random numbers from a seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Texts that are hard on splitters: mixed classes of scalars, white space of all kinds, contractions, marks, runs.
struct RandomTexts {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    private static let atoms: [String] = [
        "a", "B", "z", "1", "9", " ", " ", " ", "  ", "\n", "\r", "\r\n", "\t", "\u{85}", "\u{A0}", "\u{2028}",
        "\u{3000}",
        "'", "'s", "'S", "'T", "'re", "'vE", "'m", "'LL", "'d", "'ſ", "'l", "'r", "’s", "!", "?!", "/", "_", "ſ", "K",
        "é", "e\u{301}", "\u{301}", "\u{323}", "\u{E49}", "ß", "ǅ", "ʰ", "ª", "Σ", "中", "文字", "あ", "한", "ᄀ", "א", "ع",
        "٣", "²", "Ⅷ", "½", "①", "Ⓐ", "😀", "👨‍👩‍👧", "🇩🇪", "\u{200D}", "\u{FEFF}", "\u{0}", "\u{7F}", "\u{E000}",
        "\u{10FFFF}",
        "\u{378}", "\u{1E900}", "\u{1E922}", "\u{10D69}", "\u{31350}",
    ]

    mutating func next() -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...14, using: &generator) {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0:
                let scalar = Unicode.Scalar(UInt32.random(in: 0...0x10FFFF, using: &generator))
                text.unicodeScalars.append(scalar ?? "a")
            case 1:
                let scalar = Unicode.Scalar(UInt32.random(in: 0...0x2FFF, using: &generator))
                text.unicodeScalars.append(scalar ?? "a")
            case 2:
                let atom = Self.atoms.randomElement(using: &generator) ?? ""
                text += String(repeating: atom, count: Int.random(in: 2...6, using: &generator))
            default:
                text += Self.atoms.randomElement(using: &generator) ?? ""
            }
        }
        return text
    }
}
