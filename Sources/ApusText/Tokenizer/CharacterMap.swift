import Foundation

/// The normalizer that a SentencePiece model carries, `precompiled_charsmap`: a double-array trie from spellings to their
/// replacements.
///
/// As `tokenizers` runs it, a grapheme cluster of up to five bytes becomes the replacement of the shortest spelling at its
/// front; where there is none, and in longer clusters, each scalar is replaced by itself. The memory is written once and
/// then only read.
final class CharacterMap: @unchecked Sendable {
    /// Units of the trie as darts-clone has them: a label in bits 0…7 and 31, whether a value follows in bit 8, and the
    /// offset to the children in bits 9…30; or a value.
    private let units: UnsafeMutableBufferPointer<UInt32>
    /// The replacements, each ended by a zero.
    private let replacements: UnsafeMutableBufferPointer<UInt8>
    /// Per byte of ASCII, whether it is replaced when it stands alone.
    private var replacesASCII: [Bool] = []

    /// The map as files hold it.
    let data: Data

    private static let longestCluster = 5

    /// Why some bytes are no map.
    struct Fault: Error {
        let reason: String
    }

    /// - Parameter data: The number of bytes of the trie, the trie, and the replacements.
    init(_ data: Data) throws {
        self.data = data
        let bytes = [UInt8](data)
        func number(at offset: Int) -> UInt32 {
            UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
                | UInt32(bytes[offset + 3]) << 24
        }
        guard bytes.count >= 4 else {
            throw Fault(reason: "it has \(bytes.count) bytes, not even the size of its trie")
        }
        let count = Int(number(at: 0) / 4)
        guard count > 0, 4 + count * 4 <= bytes.count else {
            throw Fault(reason: "its trie should have \(number(at: 0)) bytes, but it has \(bytes.count - 4) in all")
        }
        let text = bytes[(4 + count * 4)...]
        guard text.withUnsafeBufferPointer(isValidUTF8) else {
            throw Fault(reason: "its replacements are not valid UTF-8")
        }
        units = .allocate(capacity: count)
        for index in 0..<count { units.initializeElement(at: index, to: number(at: 4 + index * 4)) }
        replacements = .allocate(capacity: text.count)
        _ = replacements.initialize(fromContentsOf: text)
        replacesASCII = (0..<128).map { byte in
            [UInt8(byte)].withUnsafeBufferPointer { replacement(of: $0) != nil }
        }
    }

    deinit {
        units.deallocate()
        replacements.deallocate()
    }

    /// Writes the changed text to `output` and returns `true`, or returns `false` where nothing changes.
    func apply(to text: UnsafeBufferPointer<UInt8>, into output: ByteBuffer) -> Bool {
        guard let bytes = text.baseAddress else { return false }
        var isChanged = false
        var position = 0
        replacesASCII.withUnsafeBufferPointer { replacesASCII in
            while position < text.count {
                // Two bytes of ASCII are one cluster only where they are a line break.
                let byte = bytes[position]
                if byte < 0x80, byte != 0x0D, position + 1 == text.count || bytes[position + 1] < 0x80 {
                    if !replacesASCII[Int(byte)] {
                        output.append(byte)
                        position += 1
                        continue
                    }
                }
                let end = GraphemeCluster.end(in: text, from: position)
                let cluster = UnsafeBufferPointer(rebasing: text[position..<end])
                if cluster.count <= Self.longestCluster, let replacement = replacement(of: cluster) {
                    output.append(replacement)
                    isChanged = true
                } else if appendScalars(cluster, to: output) {
                    isChanged = true
                }
                position = end
            }
        }
        return isChanged
    }

    private func appendScalars(_ cluster: UnsafeBufferPointer<UInt8>, to output: ByteBuffer) -> Bool {
        var isChanged = false
        var position = 0
        while position < cluster.count {
            let end = min(cluster.count, position + utf8Length(cluster[position]))
            let scalar = UnsafeBufferPointer(rebasing: cluster[position..<end])
            if let replacement = replacement(of: scalar) {
                output.append(replacement)
                isChanged = true
            } else {
                output.append(scalar)
            }
            position = end
        }
        return isChanged
    }

    /// The replacement of the shortest spelling that some bytes start with.
    private func replacement(of spelling: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
        var node = Self.offset(units[0])
        for byte in spelling {
            node ^= Int(byte)
            guard byte != 0, node < units.count else { return nil }
            let unit = units[node]
            guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            node ^= Self.offset(unit)
            guard unit >> 8 & 1 == 1 else { continue }
            guard node < units.count else { return nil }
            let start = Int(units[node] & 0x7FFF_FFFF)
            // The table is sound UTF-8, and a number in a damaged file may point into the middle of a character.
            guard start <= replacements.count, start == replacements.count || replacements[start] & 0xC0 != 0x80 else {
                return nil
            }
            var end = start
            while end < replacements.count, replacements[end] != 0 {
                end += 1
                // Spellings of one character are short; a table without ends must not be copied for each of a text.
                guard end - start <= 1 << 10 else { return nil }
            }
            return UnsafeBufferPointer(rebasing: replacements[start..<end])
        }
        return nil
    }

    @inline(__always)
    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }
}
