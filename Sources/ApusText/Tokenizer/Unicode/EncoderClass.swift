/// What the normalizer and the splitter of BERT ask about a scalar, as bits.
struct EncoderClass: OptionSet {
    let rawValue: UInt8

    /// Controls, private and unassigned scalars, U+0000 and U+FFFD, which cleaning leaves out.
    static let removed = EncoderClass(rawValue: 1)
    /// White space, which cleaning makes a space and at which text is split.
    static let space = EncoderClass(rawValue: 2)
    /// Han characters, around which spaces are put.
    static let han = EncoderClass(rawValue: 4)
    /// Marks that count as accents (`Mn`).
    static let accent = EncoderClass(rawValue: 8)
    /// Scalars with a canonical decomposition.
    static let decomposes = EncoderClass(rawValue: 16)
    /// Scalars that are not their own lower case.
    static let upper = EncoderClass(rawValue: 32)
    /// Marks that stay and that decomposition sorts among each other.
    static let orderedMark = EncoderClass(rawValue: 64)
    /// Punctuation, each of which is a piece of its own.
    static let punctuation = EncoderClass(rawValue: 128)

    static let table = ScalarTable { values in
        for (index, run) in encoderClassRuns.enumerated() {
            let end = index + 1 < encoderClassRuns.count ? Int(encoderClassRuns[index + 1] >> 8) : 0x110000
            values[Int(run >> 8)..<end].update(repeating: UInt8(run & 0xFF))
        }
    }
}

/// Lower case scalar by scalar, without regard to what stands around it, as Rust's `char::to_lowercase` has it.
enum LowerCase {
    /// Calls `body` with the one scalar that a scalar becomes, or with two.
    @inline(__always)
    static func forEachScalar(of scalar: UInt32, _ body: (UInt32) -> Void) {
        if scalar < 0x80 {
            body(scalar &- 0x41 < 26 ? scalar + 0x20 : scalar)
        } else {
            body(mapping[scalar] ?? scalar)
            // İ keeps its dot.
            if scalar == 0x130 { body(0x307) }
        }
    }

    private static let mapping: [UInt32: UInt32] = {
        var mapping: [UInt32: UInt32] = [:]
        for index in stride(from: 0, to: lowercasePairs.count, by: 2) {
            mapping[lowercasePairs[index]] = lowercasePairs[index + 1]
        }
        return mapping
    }()
}
