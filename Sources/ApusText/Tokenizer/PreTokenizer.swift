/// A step that cuts a text into the pieces which the model sees one by one.
enum PreTokenizer: Sendable {
    case split(SplitMatcher, SplitBehavior, inverted: Bool)
    /// Cuts at white space and around punctuation.
    case bert
    /// Cuts where the script changes.
    case unicodeScripts
    /// Cuts after so many scalars.
    case fixedLength(Int)
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
                let start = isStart && scheme == .first ? 0 : -1
                for piece in pieces {
                    let takesOne = scheme == .always || piece.start == start
                    PreTokenizer.appendMetaspace(
                        UnsafeBufferPointer(rebasing: text[piece.start..<piece.end]), replacement,
                        takesOne: takesOne, splits: splits, into: output, to: &nextPieces)
                }
                text = output.contents
                swap(&output, &spare)
            default:
                for piece in pieces {
                    step.appendPieces(
                        of: UnsafeBufferPointer(rebasing: text[piece.start..<piece.end]), offset: piece.start,
                        to: &nextPieces)
                }
            }
            swap(&pieces, &nextPieces)
        }
        swap(&pieces, &scratch.pieces)
        swap(&nextPieces, &scratch.sparePieces)
        return text
    }
}

extension PreTokenizer {
    /// Appends what a step cuts a piece into, without empty pieces.
    ///
    /// - Parameter offset: What to add to every position.
    fileprivate func appendPieces(of piece: UnsafeBufferPointer<UInt8>, offset: Int, to pieces: inout [Stretch]) {
        let first = pieces.count
        switch self {
        case .split(let matcher, .isolated, _):
            matcher.appendStretches(of: piece, offset: offset, to: &pieces)
            if case .regex = matcher { Self.removeEmpty(&pieces, from: first) }
        case .split(let matcher, .removed, let isInverted):
            matcher.appendStretches(of: piece, offset: offset, to: &pieces)
            var kept = first
            for index in first..<pieces.count where pieces[index].isMatch == isInverted {
                guard pieces[index].start < pieces[index].end else { continue }
                pieces[kept] = pieces[index]
                kept += 1
            }
            pieces.removeSubrange(kept...)
        case .split(let matcher, let behavior, let isInverted):
            var stretches: [Stretch] = []
            matcher.appendStretches(of: piece, offset: offset, to: &stretches)
            behavior.apply(to: &stretches, inverted: isInverted)
            for stretch in stretches where stretch.start < stretch.end { pieces.append(stretch) }
        case .bert: BertSplitter.appendPieces(of: piece, offset: offset, to: &pieces)
        case .unicodeScripts: Self.appendScripts(of: piece, offset: offset, to: &pieces)
        case .fixedLength(let length):
            var start = 0
            while start < piece.count {
                var end = start
                for _ in 0..<length where end < piece.count { end += utf8Length(piece[end]) }
                pieces.append(Stretch(start: offset + start, end: offset + end, isMatch: false))
                start = end
            }
        case .prefixSpace, .byteLevel, .metaspace: break
        }
    }

    private static func removeEmpty(_ pieces: inout [Stretch], from first: Int) {
        var kept = first
        for index in first..<pieces.count where pieces[index].start < pieces[index].end {
            pieces[kept] = pieces[index]
            kept += 1
        }
        pieces.removeSubrange(kept...)
    }

    /// As in `tokenizers`, what goes with every script is left out where it stands before all others.
    private static func appendScripts(
        of piece: UnsafeBufferPointer<UInt8>, offset: Int, to pieces: inout [Stretch]
    ) {
        guard let bytes = piece.baseAddress else { return }
        let table = UnicodeScript.table
        var last = UnicodeScript.any
        var start = 0
        var position = 0
        while position < piece.count {
            let (scalar, next) = decodeScalar(bytes, position)
            let script = table[scalar]
            if script != UnicodeScript.any, script != last {
                if last != UnicodeScript.any {
                    pieces.append(Stretch(start: offset + start, end: offset + position, isMatch: false))
                }
                (start, last) = (position, script)
            }
            position = next
        }
        if last != UnicodeScript.any {
            pieces.append(Stretch(start: offset + start, end: offset + piece.count, isMatch: false))
        }
    }

    /// Appends a piece as `Metaspace` rewrites it, and the pieces that it cuts it into.
    fileprivate static func appendMetaspace(
        _ piece: UnsafeBufferPointer<UInt8>, _ replacement: [UInt8], takesOne: Bool, splits: Bool,
        into output: ByteBuffer, to pieces: inout [Stretch]
    ) {
        guard let first = piece.first else { return }
        var start = output.count
        if takesOne, first != 0x20, !piece.starts(with: replacement) { output.append(replacement) }
        let lead = replacement.first ?? 0
        var position = 0
        while position < piece.count {
            let byte = piece[position]
            let isSpace = byte == 0x20
            if isSpace || (byte == lead && piece[position...].starts(with: replacement)) {
                if splits, output.count > start {
                    pieces.append(Stretch(start: start, end: output.count, isMatch: false))
                    start = output.count
                }
                output.append(replacement)
                position += isSpace ? 1 : replacement.count
            } else {
                output.append(byte)
                position += 1
            }
        }
        pieces.append(Stretch(start: start, end: output.count, isMatch: false))
    }

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
