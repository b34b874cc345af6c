/// A Python `str`: UTF-8 whose length, indices and slices count code points.
///
/// Swift's `String` counts grapheme clusters and compares canonically; Python does neither.
struct JinjaText: Sendable {
    let bytes: [UInt8]
    let isASCII: Bool
    /// True for what `safe` and `escape` return (markupsafe's `Markup`): joining escapes the other side.
    let isMarkup: Bool

    init(_ bytes: [UInt8], isMarkup: Bool = false) {
        // Without an early exit the compiler makes this a vector loop.
        let union = bytes.withUnsafeBufferPointer { $0.reduce(0) { $0 | $1 } }
        self.init(bytes, isASCII: union < 0x80, isMarkup: isMarkup)
    }

    /// - Parameter isASCII: Must be true for ASCII bytes.
    init(_ bytes: [UInt8], isASCII: Bool, isMarkup: Bool) {
        self.bytes = bytes
        self.isASCII = isASCII
        self.isMarkup = isMarkup
    }

    init(_ bytes: ArraySlice<UInt8>, isMarkup: Bool = false) { self.init(Array(bytes), isMarkup: isMarkup) }

    init(_ string: String) { self.init(Array(string.utf8)) }

    init(scalars: some Sequence<Unicode.Scalar>, isMarkup: Bool = false) {
        var bytes: [UInt8] = []
        for scalar in scalars { bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter) }
        self.init(bytes, isMarkup: isMarkup)
    }

    static let empty = JinjaText([UInt8]())

    var string: String { String(decoding: bytes, as: UTF8.self) }
    var scalars: String.UnicodeScalarView { string.unicodeScalars }
    var isEmpty: Bool { bytes.isEmpty }

    /// Number of code points.
    var count: Int {
        if isASCII { return bytes.count }
        return bytes.reduce(into: 0) { count, byte in if !Self.isContinuation(byte) { count += 1 } }
    }

    static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    /// The same characters as Markup or as a plain string.
    func marked(_ isMarkup: Bool) -> JinjaText {
        JinjaText(bytes, isASCII: isASCII, isMarkup: isMarkup)
    }
}

extension JinjaText: Hashable {
    static func == (lhs: JinjaText, rhs: JinjaText) -> Bool { lhs.bytes == rhs.bytes }
    func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

extension JinjaText: Comparable {
    /// The order of code points, which is the order of the UTF-8 bytes.
    static func < (lhs: JinjaText, rhs: JinjaText) -> Bool { lhs.bytes.lexicographicallyPrecedes(rhs.bytes) }
}

extension JinjaText: ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self.init(value) }
}

extension [UInt8] {
    /// The bytes `count` times, none for a negative count.
    func repeated(_ count: Int) -> [UInt8] {
        if count <= 0 { return [] }
        if self.count == 1 { return [UInt8](repeating: self[0], count: count) }
        var result: [UInt8] = []
        result.reserveCapacity(self.count * count)
        for _ in 0..<count { result += self }
        return result
    }
}
