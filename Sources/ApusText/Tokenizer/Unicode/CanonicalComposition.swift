/// Unicode normalisation forms C and KC as PyPI `tokenizers` computes them, which are those of Unicode 9.
///
/// Text is checked by the quick check of UAX #15; only the stretches between starters that fail it are composed. Own
/// tables, because the ones of Foundation are newer and differ between systems.
enum CanonicalComposition {
    /// Writes the composed text to `output`, or returns `false` where `text` is composed already.
    static func compose(
        _ text: UnsafeBufferPointer<UInt8>, isCompatible: Bool = false, into output: ByteBuffer
    ) -> Bool {
        guard let bytes = text.baseAddress else { return false }
        let table = isCompatible ? compatibleQuickCheck : quickCheck
        // Everything below U+0300, or below U+0080, is a starter that nothing replaces.
        let firstChanging: UInt8 = isCompatible ? 0x80 : 0xCC
        var position = 0
        var copied = 0
        var segment = 0
        var lastClass: UInt8 = 0
        var failed = false

        func flush(_ end: Int) {
            output.append(UnsafeBufferPointer(rebasing: text[copied..<segment]))
            appendComposed(
                UnsafeBufferPointer(rebasing: text[segment..<end]), isCompatible: isCompatible, to: output)
            copied = end
            failed = false
        }
        while position < text.count {
            if bytes[position] < firstChanging {
                if failed { flush(position) }
                segment = position
                lastClass = 0
                position += bytes[position] < 0x80 ? 1 : 2
                continue
            }
            let (scalar, next) = decodeScalar(bytes, position)
            let scalarClass = table[scalar]
            if scalarClass == 0 {
                if failed { flush(position) }
                segment = position
            } else if scalarClass == mayChange || scalarClass < lastClass {
                failed = true
            }
            lastClass = scalarClass
            position = next
        }
        if failed { flush(text.count) }
        guard copied > 0 else { return false }
        output.append(UnsafeBufferPointer(rebasing: text[copied...]))
        return true
    }

    private static func appendComposed(
        _ segment: UnsafeBufferPointer<UInt8>, isCompatible: Bool, to output: ByteBuffer
    ) {
        guard let bytes = segment.baseAddress else { return }
        var scalars: [UInt32] = []
        var position = 0
        while position < segment.count {
            let (scalar, next) = decodeScalar(bytes, position)
            if isCompatible {
                CompatibilityDecomposition.append(scalar, to: &scalars)
            } else {
                CanonicalDecomposition.append(scalar, to: &scalars)
            }
            position = next
        }
        CanonicalDecomposition.sortMarks(&scalars)
        composePairs(&scalars)
        for scalar in scalars { output.append(scalar: scalar) }
    }

    /// Joins each scalar to the last starter where they form a pair and no mark between blocks it.
    private static func composePairs(_ scalars: inout [UInt32]) {
        var written = 0
        var starter: Int?
        var lastClass: UInt8 = 0
        for scalar in scalars {
            let scalarClass = CanonicalDecomposition.combiningClass[scalar]
            let isBlocked = starter.map { written - 1 > $0 && (lastClass == 0 || lastClass >= scalarClass) } ?? true
            if let starter, !isBlocked, let composed = composition(scalars[starter], scalar) {
                scalars[starter] = composed
                continue
            }
            if scalarClass == 0 { starter = written }
            lastClass = scalarClass
            scalars[written] = scalar
            written += 1
        }
        scalars.removeSubrange(written...)
    }

    private static func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        Hangul.composition(first, second) ?? compositions[UInt64(first) << 32 | UInt64(second)]
    }

    // MARK: - Tables

    private static let mayChange: UInt8 = 255

    /// 0 for a starter that composition leaves alone, `mayChange`, or else the combining class.
    private static let quickCheck = ScalarTable { values in
        CanonicalDecomposition.fill(values) { $0 & 0x100 != 0 ? mayChange : UInt8($0 & 0xFF) }
    }

    private static let compatibleQuickCheck = ScalarTable { values in
        CanonicalDecomposition.fill(values) { $0 & 0x100 != 0 ? mayChange : UInt8($0 & 0xFF) }
        for scalar in CompatibilityDecomposition.changed { values[Int(scalar)] = mayChange }
    }

    private static let compositions: [UInt64: UInt32] = {
        var table: [UInt64: UInt32] = [:]
        for index in stride(from: 0, to: canonicalPairs.count, by: 3) {
            table[UInt64(canonicalPairs[index + 1]) << 32 | UInt64(canonicalPairs[index + 2])] = canonicalPairs[index]
        }
        return table
    }()
}
