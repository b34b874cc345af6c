/// Borrowed valid UTF-8, read by class of scalar.
struct ClassifiedText {
    let bytes: UnsafePointer<UInt8>
    let end: Int
    private let table = ScalarClass.table

    init(_ bytes: UnsafePointer<UInt8>, end: Int) {
        self.bytes = bytes
        self.end = end
    }

    /// The class of the scalar at `position`, which must be before the end, and where the next one starts.
    @inline(__always)
    func scalar(at position: Int) -> (scalarClass: ScalarClass, next: Int) {
        let byte = bytes[position]
        if byte < 0x80 { return (ScalarClass(rawValue: table.values[Int(byte)]), position + 1) }
        let (scalar, next) = decodeScalar(bytes, position)
        return (ScalarClass(rawValue: table[scalar]), next)
    }

    /// The end of the run of scalars from `position` on that have any of these classes.
    @inline(__always)
    func run(of classes: ScalarClass, from position: Int) -> Int {
        var position = position
        while position < end {
            let (scalarClass, next) = scalar(at: position)
            if scalarClass.isDisjoint(with: classes) { break }
            position = next
        }
        return position
    }

    /// The end of the run of scalars from `position` on that have none of these classes.
    @inline(__always)
    func run(without classes: ScalarClass, from position: Int) -> Int {
        var position = position
        while position < end {
            let (scalarClass, next) = scalar(at: position)
            if !scalarClass.isDisjoint(with: classes) { break }
            position = next
        }
        return position
    }

    @inline(__always)
    func isLineBreak(at position: Int) -> Bool {
        position < end && (bytes[position] == 0x0A || bytes[position] == 0x0D)
    }

    /// The end of `\s+(?!\S)|\s+` at a white space: all of the run, less its last one where text follows.
    @inline(__always)
    func whitespaceEnd(from start: Int) -> Int {
        var position = start
        var last = start
        while position < end {
            let (scalarClass, next) = scalar(at: position)
            if !scalarClass.contains(.space) { return last > start ? last : position }
            last = position
            position = next
        }
        return position
    }

    /// The end of `\s*[\r\n]+|\s+(?!\S)|\s+` at a white space.
    @inline(__always)
    func lineOrWhitespaceEnd(from start: Int) -> Int {
        var position = start
        var last = start
        var lineEnd = -1
        while position < end {
            let (scalarClass, next) = scalar(at: position)
            if !scalarClass.contains(.space) { break }
            if isLineBreak(at: position) { lineEnd = next }
            last = position
            position = next
        }
        if lineEnd >= 0 { return lineEnd }
        return position == end || last == start ? position : last
    }

    /// The end of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at an apostrophe, or `nil`.
    ///
    /// Case folding lets ſ stand for s.
    @inline(__always)
    func contractionEnd(from start: Int) -> Int? {
        guard start + 1 < end else { return nil }
        let first = bytes[start + 1] | 0x20
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return start + 2 < end && bytes[start + 2] | 0x20 == UInt8(ascii: "e") ? start + 3 : nil
        case UInt8(ascii: "l"):
            return start + 2 < end && bytes[start + 2] | 0x20 == UInt8(ascii: "l") ? start + 3 : nil
        default:
            return bytes[start + 1] == 0xC5 && start + 2 < end && bytes[start + 2] == 0xBF ? start + 3 : nil
        }
    }
}

/// A hand-written matcher of one well-known split pattern, all of which cover every text without gaps.
protocol SplitScanner: Sendable {
    /// The end of the match that starts at `start`, which is before the end of the text.
    func matchEnd(in text: ClassifiedText, from start: Int) -> Int
}
