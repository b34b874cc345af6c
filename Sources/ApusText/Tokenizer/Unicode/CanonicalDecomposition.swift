/// Unicode normalisation form D as PyPI `tokenizers` computes it, which is that of Unicode 9.
enum CanonicalDecomposition {
    /// Appends what a scalar is made of, marks in the order of the tables.
    static func append(_ scalar: UInt32, to scalars: inout [UInt32]) {
        if let parts = Hangul.decomposition(of: scalar) {
            scalars += parts
        } else if let (first, second) = decompositions[scalar] {
            append(first, to: &scalars)
            if second != 0 { append(second, to: &scalars) }
        } else {
            scalars.append(scalar)
        }
    }

    /// Sorts every run of marks by class, keeping the order of equals.
    static func sortMarks(_ scalars: inout [UInt32]) {
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

    /// The scalars that decompose.
    static var changed: some Sequence<UInt32> { Array(decompositions.keys) + Array(Hangul.syllables) }

    // MARK: - Tables

    static let combiningClass = ScalarTable { values in fill(values) { UInt8($0 & 0xFF) } }

    static func fill(_ values: UnsafeMutableBufferPointer<UInt8>, _ value: (UInt32) -> UInt8) {
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
}

/// The arithmetic of Hangul syllables (The Unicode Standard, section 3.12).
enum Hangul {
    private static let (syllable, leading, vowel, trailing): (UInt32, UInt32, UInt32, UInt32) =
        (0xAC00, 0x1100, 0x1161, 0x11A7)
    private static let (leadingCount, vowelCount, trailingCount): (UInt32, UInt32, UInt32) = (19, 21, 28)

    static var syllables: Range<UInt32> { syllable..<syllable + leadingCount * vowelCount * trailingCount }

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
