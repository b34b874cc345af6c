/// A step that cuts a text into the pieces which the model sees one by one.
enum PreTokenizer: Sendable {
    case split(SplitMatcher, SplitBehavior, inverted: Bool)
    /// Cuts at white space and around punctuation.
    case bert
    /// Puts a space before every piece that does not start with one.
    case prefixSpace
    /// Spells every byte in the byte alphabet.
    case byteLevel
    /// Writes another scalar for every space, puts it before pieces, and may cut before each.
    case metaspace([UInt8], MetaspaceScheme, splits: Bool)
}

/// Which pieces `Metaspace` starts with its scalar, those that have it already aside.
enum MetaspaceScheme: String, Sendable {
    /// The one at the start of the text.
    case first
    case always, never
}

extension [PreTokenizer] {
    /// Cuts a text into `scratch.pieces`.
    ///
    /// - Parameter isStart: Whether nothing came before the text.
    /// - Returns: The text that the pieces index, which is another one where a step has rewritten it.
    func apply(
        to text: UnsafeBufferPointer<UInt8>, isStart: Bool, scratch: EncodingScratch
    ) -> UnsafeBufferPointer<UInt8> {
        var text = text
        var output = scratch.firstRewrite
        var spare = scratch.secondRewrite
        // Arrays of a class pay for a check at every access, so the loops work on local ones.
        var pieces: [Stretch] = []
        var nextPieces: [Stretch] = []
        swap(&pieces, &scratch.pieces)
        swap(&nextPieces, &scratch.sparePieces)
        pieces.removeAll(keepingCapacity: true)
        if text.count > 0 { pieces.append(Stretch(start: 0, end: text.count, isMatch: false)) }
        for step in self {
            nextPieces.removeAll(keepingCapacity: true)
            switch step {
            case .split(let matcher, .isolated, _):
                for piece in pieces {
                    let part = UnsafeBufferPointer(rebasing: text[piece.start..<piece.end])
                    matcher.appendStretches(of: part, offset: piece.start, to: &nextPieces)
                }
                if case .regex = matcher { nextPieces.removeAll { $0.start == $0.end } }
            case .split(let matcher, let behavior, let inverted):
                for piece in pieces {
                    var stretches: [Stretch] = []
                    let part = UnsafeBufferPointer(rebasing: text[piece.start..<piece.end])
                    matcher.appendStretches(of: part, offset: piece.start, to: &stretches)
                    behavior.apply(to: &stretches, inverted: inverted)
                    for stretch in stretches where stretch.start < stretch.end { nextPieces.append(stretch) }
                }
            case .bert:
                for piece in pieces {
                    let part = UnsafeBufferPointer(rebasing: text[piece.start..<piece.end])
                    BertSplitter.appendPieces(of: part, offset: piece.start, to: &nextPieces)
                }
            case .prefixSpace, .byteLevel:
                output.removeAll()
                for piece in pieces {
                    let start = output.count
                    step.rewrite(UnsafeBufferPointer(rebasing: text[piece.start..<piece.end]), into: output)
                    nextPieces.append(Stretch(start: start, end: output.count, isMatch: false))
                }
                text = output.contents
                swap(&output, &spare)
            case .metaspace(let replacement, let scheme, let splits):
                output.removeAll()
                for piece in pieces {
                    let start = output.count
                    let part = UnsafeBufferPointer(rebasing: text[piece.start..<piece.end])
                    let takesOne = scheme == .always || (scheme == .first && isStart && piece.start == 0)
                    let starts = part.first == 0x20 || part.starts(with: replacement)
                    if takesOne, !starts, !part.isEmpty { output.append(replacement) }
                    for byte in part {
                        if byte == 0x20 { output.append(replacement) } else { output.append(byte) }
                    }
                    var stretches = [Stretch(start: start, end: output.count, isMatch: false)]
                    if splits {
                        stretches.removeAll()
                        SplitMatcher.literal(replacement).appendStretches(
                            of: UnsafeBufferPointer(rebasing: output.contents[start...]), offset: start,
                            to: &stretches)
                        SplitBehavior.mergedWithNext.apply(to: &stretches, inverted: false)
                    }
                    for stretch in stretches where stretch.start < stretch.end { nextPieces.append(stretch) }
                }
                text = output.contents
                swap(&output, &spare)
            }
            swap(&pieces, &nextPieces)
        }
        swap(&pieces, &scratch.pieces)
        swap(&nextPieces, &scratch.sparePieces)
        return text
    }
}

extension PreTokenizer {
    /// Appends a piece as this step rewrites it.
    fileprivate func rewrite(_ piece: UnsafeBufferPointer<UInt8>, into output: ByteBuffer) {
        if case .byteLevel = self {
            var spelled: [UInt8] = []
            for byte in piece { ByteAlphabet.spell(byte, into: &spelled) }
            output.append(spelled)
        } else {
            if piece.first != UInt8(ascii: " ") { output.append(UInt8(ascii: " ")) }
            output.append(piece)
        }
    }
}
