/// Damages the bytes of a file: what transfer, disks and editors do, and what a person who wants harm would do.
struct Mutator {
    private var generator: SplitMix

    init(seed: UInt64) { generator = SplitMix(state: seed) }

    mutating func number(below bound: Int) -> Int { Int.random(in: 0..<max(1, bound), using: &generator) }

    mutating func choice<T>(_ values: [T]) -> T { values[number(below: values.count)] }

    /// Numbers at the edges of types, as little-endian bytes.
    private static let extremes: [UInt64] = [
        0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 33, 1 << 40,
        1 << 62,
        UInt64(Int64.max), 1 << 63, .max,
    ]

    /// Words that have a meaning in some format, in places where they have none.
    private static let words = [
        "null", "NaN", "-1", "0", "1e999", "-1e-999", "18446744073709551615", "9223372036854775807", "1073741824",
        "2147483648",
        "true", "[]", "{}", "\"\"", "\\u0000", "\\ud800", "\u{FEFF}", "\u{2028}", "\r", "\n", "\"", ",", ";", "\t",
        "[[[[[[",
        "{\"a\":", "{{", "{%", "%}", "}}", "*", "(", ")", "(a+)+$", "\\", "../", "e", ".", ":", "F8_E4M3", "I64", "|",
    ]

    /// A damaged copy.
    ///
    /// - Parameters:
    ///   - head: The bytes that say what the rest is; most of the damage is done there.
    ///   - others: Sound files, pieces of which may come in.
    mutating func mutated(_ original: [UInt8], head: Int, others: [[UInt8]], isText: Bool) -> [UInt8] {
        var bytes = original
        for _ in 0...number(below: 4) {
            guard !bytes.isEmpty else { break }
            let limit = number(below: 8) == 0 ? bytes.count : min(head, bytes.count)
            mutate(&bytes, at: number(below: limit), others: others, isText: isText)
        }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8], at position: Int, others: [[UInt8]], isText: Bool) {
        switch number(below: isText ? 14 : 10) {
        case 0: bytes[position] ^= 1 << UInt8(number(below: 8))
        case 1: bytes[position] = UInt8(number(below: 256))
        case 2: bytes.insert(UInt8(number(below: 256)), at: position)
        case 3: bytes.remove(at: position)
        case 4: overwrite(&bytes, at: position)
        case 5: bytes[position] &+= UInt8(truncatingIfNeeded: number(below: 5) - 2)
        case 6: bytes.removeSubrange(position..<min(bytes.count, position + 1 + number(below: 64)))
        case 7: if number(below: 4) == 0 { bytes.removeSubrange(position...) }
        case 8: copyPiece(of: bytes, into: &bytes, at: position)
        case 9: copyPiece(of: choice(others), into: &bytes, at: position)
        case 10: bytes.insert(contentsOf: Array(choice(Self.words).utf8), at: position)
        case 11: replaceNumber(in: &bytes, from: position)
        case 12:
            let word = Array(choice(Self.words).utf8)
            bytes.replaceSubrange(position..<min(bytes.count, position + word.count), with: word)
        default:
            let word = Array(choice(Self.words).utf8)
            bytes.insert(contentsOf: (0..<number(below: 400)).flatMap { _ in word }, at: position)
        }
    }

    private mutating func overwrite(_ bytes: inout [UInt8], at position: Int) {
        let value = choice(Self.extremes)
        for offset in 0..<choice([1, 2, 4, 8]) where position + offset < bytes.count {
            bytes[position + offset] = UInt8(truncatingIfNeeded: value >> UInt64(8 * offset))
        }
    }

    private mutating func copyPiece(of source: [UInt8], into bytes: inout [UInt8], at position: Int) {
        guard !source.isEmpty else { return }
        let start = number(below: source.count)
        let piece = source[start..<min(source.count, start + 1 + number(below: 200))]
        if number(below: 2) == 0 {
            bytes.insert(contentsOf: piece, at: position)
        } else {
            bytes.replaceSubrange(position..<min(bytes.count, position + piece.count), with: piece)
        }
    }

    /// Writes another number where the next one stands.
    private mutating func replaceNumber(in bytes: inout [UInt8], from position: Int) {
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        guard let start = bytes[position...].firstIndex(where: isDigit) else { return }
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        let numbers = [
            "0", "-1", "1", "2", "3", "7", "1.5", "255", "65536", "99999999", "2147483647", "4294967296", "1e308",
        ]
        bytes.replaceSubrange(start..<end, with: Array(choice(numbers + ["9223372036854775807"]).utf8))
    }
}

/// SplitMix64: the same numbers on every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
