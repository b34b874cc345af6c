/// A step that cuts a text into the pieces which the model sees one by one.
enum PreTokenizer: Sendable {
    case split(SplitMatcher, SplitBehavior, inverted: Bool)
    /// Puts a space before every piece that does not start with one.
    case prefixSpace
    /// Spells every byte in the byte alphabet.
    case byteLevel
}

extension [PreTokenizer] {
    /// Cuts a text into pieces.
    ///
    /// - Returns: The text that the pieces index, which is another one where a step has rewritten it.
    func apply(
        to text: UnsafeBufferPointer<UInt8>, scratch: EncodingScratch
    ) -> UnsafeBufferPointer<UInt8> {
        var text = text
        var output = scratch.firstRewrite
        var spare = scratch.secondRewrite
        scratch.pieces.removeAll(keepingCapacity: true)
        guard text.count > 0 else { return text }
        scratch.pieces.append(Stretch(start: 0, end: text.count, isMatch: false))
        for step in self {
            switch step {
            case .split(let matcher, let behavior, let inverted):
                split(text, scratch, matcher, behavior, inverted)
            case .prefixSpace, .byteLevel:
                output.removeAll()
                for index in scratch.pieces.indices {
                    let piece = scratch.pieces[index]
                    let start = output.count
                    if case .byteLevel = step {
                        var spelled: [UInt8] = []
                        for byte in text[piece.start..<piece.end] { ByteAlphabet.spell(byte, into: &spelled) }
                        output.append(spelled)
                    } else {
                        if text[piece.start] != UInt8(ascii: " ") { output.append(UInt8(ascii: " ")) }
                        output.append(UnsafeBufferPointer(rebasing: text[piece.start..<piece.end]))
                    }
                    scratch.pieces[index] = Stretch(start: start, end: output.count, isMatch: false)
                }
                text = output.contents
                Swift.swap(&output, &spare)
            }
        }
        return text
    }

    private func split(
        _ text: UnsafeBufferPointer<UInt8>, _ scratch: EncodingScratch, _ matcher: SplitMatcher,
        _ behavior: SplitBehavior, _ inverted: Bool
    ) {
        // The common case, a single step that keeps every stretch, writes the pieces directly.
        if scratch.pieces.count == 1, case .isolated = behavior {
            let whole = scratch.pieces[0]
            if whole.start == 0, whole.end == text.count {
                scratch.pieces.removeAll(keepingCapacity: true)
                matcher.stretches(of: text, into: &scratch.pieces)
                if case .regex = matcher { scratch.pieces.removeAll { $0.start == $0.end } }
                return
            }
        }
        scratch.splitPieces.removeAll(keepingCapacity: true)
        for piece in scratch.pieces {
            scratch.stretches.removeAll(keepingCapacity: true)
            let part = UnsafeBufferPointer(rebasing: text[piece.start..<piece.end])
            matcher.stretches(of: part, into: &scratch.stretches)
            behavior.apply(to: &scratch.stretches, inverted: inverted)
            for stretch in scratch.stretches where stretch.start < stretch.end {
                scratch.splitPieces.append(
                    Stretch(start: piece.start + stretch.start, end: piece.start + stretch.end, isMatch: false))
            }
        }
        swap(&scratch.pieces, &scratch.splitPieces)
    }
}
