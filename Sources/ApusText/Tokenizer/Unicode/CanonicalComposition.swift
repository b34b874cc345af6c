/// Unicode normalisation form C as PyPI `tokenizers` computes it, which is that of Unicode 9.
///
/// Text is checked by the quick check of UAX #15; only the stretches between starters that fail it are composed. Own
/// tables, because the ones of Foundation are newer and differ between systems.
enum CanonicalComposition {
    /// Writes the composed text to `output`, or returns `false` where `text` is composed already.
    static func compose(_ text: UnsafeBufferPointer<UInt8>, into output: ByteBuffer) -> Bool {
        guard let bytes = text.baseAddress else { return false }
        let table = quickCheck
        var position = 0
        var copied = 0
        var segment = 0
        var lastClass: UInt8 = 0
        var failed = false

        func flush(_ end: Int) {
            output.append(UnsafeBufferPointer(rebasing: text[copied..<segment]))
            appendComposed(UnsafeBufferPointer(rebasing: text[segment..<end]), to: output)
            copied = end
            failed = false
        }
        while position < text.count {
            // Everything below U+0300 is a starter that nothing replaces.
            if bytes[position] < 0xCC {
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

    private static func appendComposed(_ segment: UnsafeBufferPointer<UInt8>, to output: ByteBuffer) {
        guard let bytes = segment.baseAddress else { return }
        var scalars: [UInt32] = []
        var position = 0
        while position < segment.count {
            let (scalar, next) = decodeScalar(bytes, position)
            appendDecomposed(scalar, to: &scalars)
            position = next
        }
        sortMarks(&scalars)
        composePairs(&scalars)
        for scalar in scalars { output.append(scalar: scalar) }
    }

    private static func appendDecomposed(_ scalar: UInt32, to scalars: inout [UInt32]) {
        if let parts = Hangul.decomposition(of: scalar) {
            scalars += parts
        } else if let (first, second) = decompositions[scalar] {
            appendDecomposed(first, to: &scalars)
            if second != 0 { appendDecomposed(second, to: &scalars) }
        } else {
            scalars.append(scalar)
        }
    }

    /// Sorts every run of marks by class, keeping the order of equals.
    private static func sortMarks(_ scalars: inout [UInt32]) {
        var start = 0
        while start < scalars.count {
            guard combiningClass[scalars[start]] != 0 else {
                start += 1
                continue
            }
            var end = start
            while end < scalars.count, combiningClass[scalars[end]] != 0 { end += 1 }
            let run = scalars[start..<end]
            // The standard library's sort is stable, which the algorithm needs.
            scalars.replaceSubrange(start..<end, with: run.sorted { combiningClass[$0] < combiningClass[$1] })
            start = end
        }
    }

    /// Joins each scalar to the last starter where they form a pair and no mark between blocks it.
    private static func composePairs(_ scalars: inout [UInt32]) {
        var written = 0
        var starter: Int?
        var lastClass: UInt8 = 0
        for scalar in scalars {
            let scalarClass = combiningClass[scalar]
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
        fill(values) { $0 & 0x100 != 0 ? mayChange : UInt8($0 & 0xFF) }
    }

    private static let combiningClass = ScalarTable { values in fill(values) { UInt8($0 & 0xFF) } }

    private static func fill(_ values: UnsafeMutableBufferPointer<UInt8>, _ value: (UInt32) -> UInt8) {
        for (index, run) in combiningClassRuns.enumerated() {
            let end = index + 1 < combiningClassRuns.count ? Int(combiningClassRuns[index + 1] >> 9) : 0x110000
            values[Int(run >> 9)..<end].update(repeating: value(run))
        }
    }

    private static let decompositions: [UInt32: (UInt32, UInt32)] = {
        var table: [UInt32: (UInt32, UInt32)] = [:]
        for list in [canonicalPairs, canonicalReplacements] {
            for index in stride(from: 0, to: list.count, by: 3) {
                table[list[index]] = (list[index + 1], list[index + 2])
            }
        }
        return table
    }()

    private static let compositions: [UInt64: UInt32] = {
        var table: [UInt64: UInt32] = [:]
        for index in stride(from: 0, to: canonicalPairs.count, by: 3) {
            table[UInt64(canonicalPairs[index + 1]) << 32 | UInt64(canonicalPairs[index + 2])] = canonicalPairs[index]
        }
        return table
    }()
}

/// The arithmetic of Hangul syllables (The Unicode Standard, section 3.12).
private enum Hangul {
    private static let (syllable, leading, vowel, trailing): (UInt32, UInt32, UInt32, UInt32) =
        (0xAC00, 0x1100, 0x1161, 0x11A7)
    private static let (leadingCount, vowelCount, trailingCount): (UInt32, UInt32, UInt32) = (19, 21, 28)

    static func decomposition(of scalar: UInt32) -> [UInt32]? {
        let index = scalar &- syllable
        guard index < leadingCount * vowelCount * trailingCount else { return nil }
        let last = index % trailingCount
        return [
            leading + index / (vowelCount * trailingCount),
            vowel + index % (vowelCount * trailingCount) / trailingCount,
        ]
            + (last == 0 ? [] : [trailing + last])
    }

    static func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        let (leadingIndex, vowelIndex) = (first &- leading, second &- vowel)
        if leadingIndex < leadingCount, vowelIndex < vowelCount {
            return syllable + (leadingIndex * vowelCount + vowelIndex) * trailingCount
        }
        let (syllableIndex, trailingIndex) = (first &- syllable, second &- trailing)
        guard syllableIndex < leadingCount * vowelCount * trailingCount, syllableIndex % trailingCount == 0,
            trailingIndex > 0, trailingIndex < trailingCount
        else { return nil }
        return first + trailingIndex
    }
}
