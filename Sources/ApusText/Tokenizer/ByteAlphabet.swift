/// The printable alphabet in which byte-level tokenizers spell bytes (GPT-2, `bytes_to_unicode`).
///
/// Printable bytes of Latin-1 stand for themselves; the other 68 are spelled U+0100, U+0101, … in ascending order.
enum ByteAlphabet {
    /// The code point that spells each byte; all are below U+0180, so two bytes of UTF-8 at most.
    static let scalars: [UInt16] = {
        var scalars: [UInt16] = []
        var next: UInt16 = 0x100
        for byte in UInt16(0)...255 {
            if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE {
                scalars.append(byte)
            } else {
                scalars.append(next)
                next += 1
            }
        }
        return scalars
    }()

    /// The byte that a code point below U+0180 spells, or -1.
    private static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x180)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = Int16(byte) }
        return bytes
    }()

    /// Appends the UTF-8 spelling of one byte.
    @inline(__always)
    static func spell(_ byte: UInt8, into text: inout [UInt8]) {
        let scalar = scalars[Int(byte)]
        if scalar < 0x80 {
            text.append(UInt8(truncatingIfNeeded: scalar))
        } else {
            text.append(0xC0 | UInt8(truncatingIfNeeded: scalar >> 6))
            text.append(0x80 | UInt8(truncatingIfNeeded: scalar & 0x3F))
        }
    }

    /// Appends the bytes that a UTF-8 spelling stands for, or nothing where it holds a scalar outside the alphabet.
    ///
    /// - Returns: Whether it is spelled in the alphabet.
    static func append(bytesSpelledBy text: ArraySlice<UInt8>, to result: inout [UInt8]) -> Bool {
        let start = result.count
        var lead: UInt8 = 0
        for unit in text {
            var scalar = Int(unit)
            if (0xC2...0xC5).contains(unit) {
                lead = unit
                continue
            } else if unit >= 0x80 {
                // Anything but the second byte after one of those leads is beyond the alphabet.
                scalar = lead == 0 ? 0 : Int(lead & 0x1F) << 6 | Int(unit & 0x3F)
                lead = 0
            }
            guard bytes[scalar] >= 0 else {
                result.removeSubrange(start...)
                return false
            }
            result.append(UInt8(truncatingIfNeeded: bytes[scalar]))
        }
        return true
    }
}
