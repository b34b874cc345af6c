/// The normalizer of BERT in one pass: cleaning, spaces around Han characters, accents, case, in this order.
struct BertNormalizer: Sendable {
    private let stripsAccents: Bool
    private let lowercases: Bool
    /// The classes of scalars that do not simply stay.
    private let changing: EncoderClass
    /// Per byte what it becomes, or one of the two marks below.
    private let ascii: [UInt8]

    private static let isDropped: UInt8 = 0xFF
    private static let isNotASCII: UInt8 = 0xFE

    /// - Parameter stripsAccents: Nil means: where text becomes lower case.
    init(cleansText: Bool, spacesHan: Bool, stripsAccents: Bool?, lowercases: Bool) {
        self.stripsAccents = stripsAccents ?? lowercases
        self.lowercases = lowercases
        var changing: EncoderClass = []
        if cleansText { changing.formUnion([.removed, .space]) }
        if spacesHan { changing.insert(.han) }
        if self.stripsAccents { changing.formUnion([.accent, .decomposes, .orderedMark]) }
        if lowercases { changing.insert(.upper) }
        self.changing = changing
        let table = EncoderClass.table
        ascii = (0..<256).map { byte in
            if byte >= 0x80 { return Self.isNotASCII }
            let encoderClass = EncoderClass(rawValue: table.values[byte]).intersection(changing)
            if encoderClass.contains(.removed) { return Self.isDropped }
            if encoderClass.contains(.space) { return 0x20 }
            return UInt8(byte) | (encoderClass.contains(.upper) ? 0x20 : 0)
        }
    }

    /// Whether a scalar goes, or all that it decomposes to at its front.
    func removes(_ scalar: UInt32) -> Bool {
        !EncoderClass(rawValue: EncoderClass.table[scalar]).intersection(changing).isDisjoint(with: [.removed, .accent])
    }

    func apply(to text: UnsafeBufferPointer<UInt8>, into output: ByteBuffer) {
        guard let bytes = text.baseAddress else { return }
        let table = EncoderClass.table
        var marks = SortedMarks()
        var parts: [UInt32] = []
        var position = 0
        ascii.withUnsafeBufferPointer { ascii in
            while position < text.count {
                if marks.isEmpty {
                    output.reserve(text.count - position)
                    let target = output.base + output.count
                    var written = 0
                    while position < text.count {
                        let byte = ascii[Int(bytes[position])]
                        if byte >= Self.isNotASCII {
                            if byte == Self.isNotASCII { break }
                        } else {
                            target[written] = byte
                            written += 1
                        }
                        position += 1
                    }
                    output.advance(written)
                    if position == text.count { break }
                }
                let (scalar, next) = decodeScalar(bytes, position)
                let encoderClass = EncoderClass(rawValue: table[scalar]).intersection(changing)
                if encoderClass.isEmpty, marks.isEmpty {
                    output.append(UnsafeBufferPointer(start: bytes + position, count: next - position))
                } else {
                    append(scalar, encoderClass, to: output, &marks, &parts)
                }
                position = next
            }
        }
        flush(&marks, to: output)
    }

    private func append(
        _ scalar: UInt32, _ encoderClass: EncoderClass, to output: ByteBuffer, _ marks: inout SortedMarks,
        _ parts: inout [UInt32]
    ) {
        if encoderClass.contains(.removed) { return }
        if encoderClass.contains(.space) { return appendCased(0x20, to: output, &marks) }
        if encoderClass.contains(.han) { appendCased(0x20, to: output, &marks) }
        if encoderClass.contains(.decomposes) {
            parts.removeAll(keepingCapacity: true)
            CanonicalDecomposition.append(scalar, to: &parts)
            for part in parts { appendStripped(part, to: output, &marks) }
        } else {
            appendStripped(scalar, to: output, &marks)
        }
        if encoderClass.contains(.han) { appendCased(0x20, to: output, &marks) }
    }

    private func appendStripped(_ scalar: UInt32, to output: ByteBuffer, _ marks: inout SortedMarks) {
        let encoderClass = EncoderClass(rawValue: EncoderClass.table[scalar]).intersection(changing)
        if encoderClass.contains(.accent) { return }
        if encoderClass.contains(.orderedMark) { return marks.insert(scalar) }
        appendCased(scalar, to: output, &marks)
    }

    private func appendCased(_ scalar: UInt32, to output: ByteBuffer, _ marks: inout SortedMarks) {
        flush(&marks, to: output)
        if lowercases {
            LowerCase.forEachScalar(of: scalar) { output.append(scalar: $0) }
        } else {
            output.append(scalar: scalar)
        }
    }

    private func flush(_ marks: inout SortedMarks, to output: ByteBuffer) {
        guard !marks.isEmpty else { return }
        for scalar in marks.removeAll() {
            if lowercases {
                LowerCase.forEachScalar(of: scalar) { output.append(scalar: $0) }
            } else {
                output.append(scalar: scalar)
            }
        }
    }
}

/// The marks since the last starter, in canonical order; those that are stripped need no place in it.
private struct SortedMarks {
    private var scalars: [UInt32] = []
    var isEmpty: Bool { scalars.isEmpty }

    mutating func insert(_ scalar: UInt32) { scalars.append(scalar) }

    mutating func removeAll() -> [UInt32] {
        var sorted = scalars
        scalars.removeAll()
        CanonicalDecomposition.sortMarks(&sorted)
        return sorted
    }
}
