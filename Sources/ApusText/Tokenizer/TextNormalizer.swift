/// A step that rewrites a text before it is split.
enum TextNormalizer: Sendable {
    /// Canonical composition.
    case nfc
    case lowercase
    case bert(BertNormalizer)
    case strip(left: Bool, right: Bool)
    /// Puts a text before every text that is not empty.
    case prepend([UInt8])
    case replace(SplitMatcher, [UInt8])
    /// Spells every byte in the byte alphabet.
    case byteLevel

    /// Writes the changed text to `output` and returns `true`, or returns `false` where nothing changes.
    func apply(to text: UnsafeBufferPointer<UInt8>, into output: ByteBuffer) -> Bool {
        guard let base = text.baseAddress, text.count > 0 else { return false }
        switch self {
        case .nfc:
            return CanonicalComposition.compose(text, into: output)
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
    func apply(
        to text: UnsafeBufferPointer<UInt8>, _ first: ByteBuffer, _ second: ByteBuffer
    ) -> UnsafeBufferPointer<UInt8> {
        var (current, output, spare) = (text, first, second)
        for normalizer in self {
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
        return withExtendedLifetime((first, second)) {
            text.withUnsafeBufferPointer { [UInt8](apply(to: $0, first, second)) }
        }
    }
}
