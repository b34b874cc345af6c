/// Compatibility decomposition as PyPI `tokenizers` computes it, which is that of Unicode 9.
enum CompatibilityDecomposition {
    /// What scalars become that canonical decomposition treats otherwise.
    private static let parts: [UInt32: ArraySlice<UInt32>] = {
        var table: [UInt32: ArraySlice<UInt32>] = [:]
        var index = 0
        while index + 1 < compatibilityParts.count {
            let end = index + 2 + Int(compatibilityParts[index + 1])
            table[compatibilityParts[index]] = compatibilityParts[index + 2..<end]
            index = end
        }
        return table
    }()

    static func append(_ scalar: UInt32, to scalars: inout [UInt32]) {
        if let parts = parts[scalar] {
            scalars += parts
        } else {
            CanonicalDecomposition.append(scalar, to: &scalars)
        }
    }

    static var changed: some Sequence<UInt32> { parts.keys }
}

/// Unicode normalisation forms D and KD as PyPI `tokenizers` computes them.
enum Decomposition {
    /// 0 for a starter that stays, 255 for a scalar with a decomposition, or else the combining class.
    private static let quickCheck = table(isCompatible: false)
    private static let compatibleQuickCheck = table(isCompatible: true)

    private static func table(isCompatible: Bool) -> ScalarTable {
        ScalarTable { values in
            CanonicalDecomposition.fill(values) { UInt8($0 & 0xFF) }
            for scalar in CanonicalDecomposition.changed { values[Int(scalar)] = 255 }
            if isCompatible { for scalar in CompatibilityDecomposition.changed { values[Int(scalar)] = 255 } }
        }
    }

    /// Writes the decomposed text to `output`, or returns `false` where `text` is decomposed already.
    static func decompose(
        _ text: UnsafeBufferPointer<UInt8>, isCompatible: Bool, into output: ByteBuffer
    ) -> Bool {
        guard let bytes = text.baseAddress else { return false }
        let table = isCompatible ? compatibleQuickCheck : quickCheck
        var pending: [UInt32] = []
        var isChanged = false
        var position = 0
        func flush() {
            guard !pending.isEmpty else { return }
            CanonicalDecomposition.sortMarks(&pending)
            for scalar in pending { output.append(scalar: scalar) }
            pending.removeAll(keepingCapacity: true)
        }
        while position < text.count {
            let (scalar, next) = decodeScalar(bytes, position)
            let scalarClass = scalar < 0x80 ? 0 : table[scalar]
            if scalarClass == 0 {
                flush()
                output.append(UnsafeBufferPointer(rebasing: text[position..<next]))
            } else if scalarClass == 255 {
                isChanged = true
                if isCompatible {
                    CompatibilityDecomposition.append(scalar, to: &pending)
                } else {
                    CanonicalDecomposition.append(scalar, to: &pending)
                }
            } else {
                // Marks alone may still be out of order.
                isChanged = true
                pending.append(scalar)
            }
            position = next
        }
        flush()
        return isChanged
    }
}

/// The marks that are stripped as accents, as `char::is_combining_mark` of `tokenizers` has them.
enum CombiningMark {
    static let table = ScalarTable { values in
        for index in stride(from: 0, to: accentBounds.count - 1, by: 2) {
            values[Int(accentBounds[index])..<Int(accentBounds[index + 1])].update(repeating: 1)
        }
    }
}

/// The scripts of scalars as the pre-tokenizer `UnicodeScripts` sees them.
enum UnicodeScript {
    /// Spaces and unassigned scalars, which go with every script.
    static let any: UInt8 = 0

    static let table = ScalarTable { values in
        for (index, run) in scriptRuns.enumerated() {
            let end = index + 1 < scriptRuns.count ? Int(scriptRuns[index + 1] >> 8) : 0x110000
            values[Int(run >> 8)..<end].update(repeating: UInt8(run & 0xFF))
        }
    }
}
