/// A step that rewrites a text before it is split.
enum TextNormalizer: Sendable {
    /// Canonical or compatibility composition.
    case composed(isCompatible: Bool)
    /// Canonical or compatibility decomposition.
    case decomposed(isCompatible: Bool)
    /// Leaves out marks.
    case stripAccents
    /// Leaves out controls and makes other white space a space, as SentencePiece does for machine translation.
    case nmt
    /// Replaces what the map of a SentencePiece model says.
    case mapped(CharacterMap)
    case lowercase
    case bert(BertNormalizer)
    case strip(left: Bool, right: Bool)
    /// Puts a text before every text that is not empty.
    case prepend([UInt8])
    case replace(SplitMatcher, [UInt8])
    /// Spells every byte in the byte alphabet.
    case byteLevel

    /// What a step makes of a scalar that takes each by itself; nil leaves it out.
    private func mapped(_ scalar: UInt32) -> UInt32? {
        if case .stripAccents = self { return scalar >= 0x80 && CombiningMark.table[scalar] == 1 ? nil : scalar }
        switch scalar {
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: return nil
        case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: return 0x20
        default: return scalar
        }
    }

    /// Whether the text that a step makes of another starts after the start of the other one, so that `tokenizers` does
    /// not see it as the start any more.
    func leavesStart(of text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let base = text.baseAddress, text.count > 0 else { return false }
        let (scalar, next) = decodeScalar(base, 0)
        switch self {
        case .strip(let left, _):
            return left && ClassifiedText(base, end: text.count).scalar(at: 0).scalarClass.contains(.space)
        case .stripAccents, .nmt: return mapped(scalar) == nil
        case .bert(let normalizer): return normalizer.removes(scalar)
        case .replace(let matcher, let content):
            var stretches: [Stretch] = []
            matcher.appendStretches(of: text, to: &stretches)
            guard let first = stretches.first, first.isMatch, first.end > 0 else { return false }
            return content.isEmpty || first.end > next
        case .composed, .decomposed, .mapped, .lowercase, .prepend, .byteLevel: return false
        }
    }

    /// Writes the changed text to `output` and returns `true`, or returns `false` where nothing changes.
    func apply(to text: UnsafeBufferPointer<UInt8>, into output: ByteBuffer) -> Bool {
        guard let base = text.baseAddress, text.count > 0 else { return false }
        switch self {
        case .composed(let isCompatible):
            return CanonicalComposition.compose(text, isCompatible: isCompatible, into: output)
        case .decomposed(let isCompatible):
            return Decomposition.decompose(text, isCompatible: isCompatible, into: output)
        case .mapped(let map):
            return map.apply(to: text, into: output)
        case .stripAccents, .nmt:
            var position = 0
            while position < text.count {
                let (scalar, next) = decodeScalar(base, position)
                if let mapped = mapped(scalar) { output.append(scalar: mapped) }
                position = next
            }
        case .lowercase:
            var position = 0
            while position < text.count {
                let (scalar, next) = decodeScalar(base, position)
                LowerCase.forEachScalar(of: scalar) { output.append(scalar: $0) }
                position = next
            }
        case .bert(let normalizer):
            normalizer.apply(to: text, into: output)
        case .strip(let left, let right):
            let classified = ClassifiedText(base, end: text.count)
            let start = left ? classified.run(of: .space, from: 0) : 0
            var end = text.count
            while right, end > start {
                var last = end - 1
                while last > start, base[last] & 0xC0 == 0x80 { last -= 1 }
                guard classified.scalar(at: last).scalarClass.contains(.space) else { break }
                end = last
            }
            if start == 0, end == text.count { return false }
            output.append(UnsafeBufferPointer(rebasing: text[start..<end]))
        case .prepend(let prefix):
            output.append(prefix)
            output.append(text)
        case .replace(let matcher, let content):
            var stretches: [Stretch] = []
            matcher.appendStretches(of: text, to: &stretches)
            guard stretches.contains(where: { $0.isMatch }) else { return false }
            for stretch in stretches {
                if stretch.isMatch {
                    output.append(content)
                } else {
                    output.append(UnsafeBufferPointer(rebasing: text[stretch.start..<stretch.end]))
                }
            }
        case .byteLevel:
            var spelled: [UInt8] = []
            spelled.reserveCapacity(text.count * 2)
            for byte in text { ByteAlphabet.spell(byte, into: &spelled) }
            output.append(spelled)
        }
        return true
    }
}

extension [TextNormalizer] {
    /// Applies the steps in order, alternating between two buffers; the result lives until they are used again.
    ///
    /// - Parameter isStart: Becomes false where the start of the text goes; only looked after while it is true.
    func apply(
        to text: UnsafeBufferPointer<UInt8>, _ first: ByteBuffer, _ second: ByteBuffer, isStart: inout Bool
    ) -> UnsafeBufferPointer<UInt8> {
        var (current, output, spare) = (text, first, second)
        for normalizer in self {
            if isStart, normalizer.leavesStart(of: current) { isStart = false }
            output.removeAll()
            if normalizer.apply(to: current, into: output) {
                current = output.contents
                swap(&output, &spare)
            }
        }
        return current
    }

    func normalized(_ text: [UInt8]) -> [UInt8] {
        let (first, second) = (ByteBuffer(), ByteBuffer())
        var isStart = false
        return withExtendedLifetime((first, second)) {
            text.withUnsafeBufferPointer { [UInt8](apply(to: $0, first, second, isStart: &isStart)) }
        }
    }
}
