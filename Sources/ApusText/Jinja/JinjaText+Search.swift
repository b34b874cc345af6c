/// Finds one pattern in byte strings in linear time, whatever the pattern (Knuth, Morris and Pratt).
struct ByteSearcher {
    let pattern: [UInt8]
    private let fallback: [Int]

    /// - Parameter pattern: Must not be empty.
    init(_ pattern: [UInt8]) {
        self.pattern = pattern
        var fallback = [Int](repeating: 0, count: pattern.count)
        var length = 0
        for index in pattern.indices.dropFirst() {
            while length > 0, pattern[index] != pattern[length] { length = fallback[length - 1] }
            if pattern[index] == pattern[length] { length += 1 }
            fallback[index] = length
        }
        self.fallback = fallback
    }

    /// The offsets of the pattern inside `range` of `bytes`.
    ///
    /// - Parameters:
    ///   - overlapping: Also reports occurrences that share bytes with the one before.
    ///   - limit: Stops after this many.
    func offsets(in bytes: [UInt8], range: Range<Int>, overlapping: Bool = false, limit: Int = .max) -> [Int] {
        var found: [Int] = []
        if limit <= 0 { return found }
        bytes.withUnsafeBufferPointer { bytes in
            var matched = 0
            for index in range {
                while matched > 0, bytes[index] != pattern[matched] { matched = fallback[matched - 1] }
                if bytes[index] == pattern[matched] { matched += 1 }
                if matched == pattern.count {
                    found.append(index + 1 - matched)
                    if found.count == limit { return }
                    matched = overlapping ? fallback[matched - 1] : 0
                }
            }
        }
        return found
    }
}

extension JinjaText {
    func contains(_ part: JinjaText) -> Bool { part.isEmpty || firstOffset(of: part.bytes, in: 0..<bytes.count) != nil }

    func hasPrefix(_ prefix: JinjaText) -> Bool { bytes.starts(with: prefix.bytes) }

    func hasSuffix(_ suffix: JinjaText) -> Bool {
        bytes.count >= suffix.bytes.count && bytes.suffix(suffix.bytes.count).elementsEqual(suffix.bytes)
    }

    /// The byte offset of the first occurrence; an empty part is found at the start of the range.
    func firstOffset(of part: [UInt8], in range: Range<Int>) -> Int? {
        if part.isEmpty { return range.lowerBound }
        if part.count > range.count { return nil }
        return ByteSearcher(part).offsets(in: bytes, range: range, limit: 1).first
    }

    func lastOffset(of part: [UInt8], in range: Range<Int>) -> Int? {
        if part.isEmpty { return range.upperBound }
        if part.count > range.count { return nil }
        return ByteSearcher(part).offsets(in: bytes, range: range, overlapping: true).last
    }

    /// The byte offsets at which `old` would be replaced: `str.replace` takes an empty `old` before each code point.
    func replacementOffsets(of old: JinjaText, limit: Int) -> [Int] {
        if old.isEmpty { return Array(scalarOffsets().prefix(limit)) }
        return ByteSearcher(old.bytes).offsets(in: bytes, range: 0..<bytes.count, limit: limit)
    }

    /// The text with `new` at each of `offsets` in place of `length` bytes.
    func replacing(_ offsets: [Int], length: Int, with new: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + offsets.count * (new.count - length))
        var position = 0
        for offset in offsets {
            result.append(contentsOf: bytes[position..<offset])
            result.append(contentsOf: new)
            position = offset + length
        }
        result.append(contentsOf: bytes[position...])
        return result
    }

    // MARK: - Splitting

    /// `str.split(separator, limit)`; the separator must not be empty, a negative limit is none.
    func split(on separator: JinjaText, limit: Int) -> [JinjaText] {
        let cuts = ByteSearcher(separator.bytes).offsets(
            in: bytes, range: 0..<bytes.count, limit: limit < 0 ? .max : limit)
        return pieces(at: cuts, length: separator.bytes.count)
    }

    /// `str.rsplit(separator, limit)`.
    func splitFromEnd(on separator: JinjaText, limit: Int) -> [JinjaText] {
        if limit < 0 { return split(on: separator, limit: limit) }
        // Occurrences are taken from the end, so that overlapping ones fall differently than from the start.
        let mirrored = JinjaText(Array(bytes.reversed()))
        let length = separator.bytes.count
        let cuts = ByteSearcher(separator.bytes.reversed()).offsets(
            in: mirrored.bytes, range: 0..<bytes.count, limit: limit)
        return pieces(at: cuts.reversed().map { bytes.count - $0 - length }, length: length)
    }

    private func pieces(at cuts: [Int], length: Int) -> [JinjaText] {
        var pieces: [JinjaText] = []
        var position = 0
        for cut in cuts {
            pieces.append(JinjaText(bytes[position..<cut], isMarkup: isMarkup))
            position = cut + length
        }
        pieces.append(JinjaText(bytes[position...], isMarkup: isMarkup))
        return pieces
    }

    /// `str.split(None, limit)`: words between runs of whitespace.
    func splitOnWhitespace(limit: Int) -> [JinjaText] {
        var pieces: [JinjaText] = []
        var rest = stripped(leading: true, trailing: false)
        while !rest.isEmpty {
            if limit >= 0, pieces.count == limit {
                // The rest keeps its trailing whitespace.
                pieces.append(rest)
                break
            }
            let end = rest.endOfWord()
            pieces.append(JinjaText(rest.bytes[..<end], isMarkup: isMarkup))
            rest = JinjaText(rest.bytes[end...], isMarkup: isMarkup).stripped(leading: true, trailing: false)
        }
        return pieces
    }

    /// `str.rsplit(None, limit)`.
    func splitOnWhitespaceFromEnd(limit: Int) -> [JinjaText] {
        if limit < 0 { return splitOnWhitespace(limit: limit) }
        let words = splitOnWhitespace(limit: -1)
        if words.count <= limit { return words }
        var rest = stripped(leading: false, trailing: true)
        let tail = words.suffix(limit)
        for word in tail.reversed() {
            rest = JinjaText(rest.bytes.dropLast(word.bytes.count), isMarkup: isMarkup)
                .stripped(leading: false, trailing: true)
        }
        return (rest.isEmpty ? [] : [rest]) + tail
    }

    private func endOfWord() -> Int {
        if isASCII { return bytes.firstIndex { PythonCharacter.isSpace(Unicode.Scalar($0)) } ?? bytes.count }
        var offset = 0
        for scalar in scalars {
            if PythonCharacter.isSpace(scalar) { break }
            offset += UTF8.width(scalar)
        }
        return offset
    }

    /// `str.splitlines(keepends)`.
    func lines(keepingEnds: Bool) -> [JinjaText] {
        var lines: [JinjaText] = []
        var start = 0
        var offset = 0
        var previousWasReturn = false
        for scalar in scalars {
            let width = UTF8.width(scalar)
            if previousWasReturn, scalar == "\n" {
                // The second half of "\r\n" belongs to the line that "\r" ended.
                if keepingEnds, let last = lines.popLast() { lines.append(JinjaText(last.bytes + [0x0A])) }
                start = offset + width
            } else if PythonCharacter.isLineEnd(scalar) {
                lines.append(JinjaText(bytes[start..<(keepingEnds ? offset + width : offset)], isMarkup: isMarkup))
                start = offset + width
            }
            previousWasReturn = scalar == "\r"
            offset += width
        }
        if start < bytes.count { lines.append(JinjaText(bytes[start...], isMarkup: isMarkup)) }
        return lines
    }

    // MARK: - Stripping

    /// `strip`, `lstrip` and `rstrip`: removes whitespace, or the code points of `characters`, from the ends.
    func stripped(leading: Bool = true, trailing: Bool = true, characters: JinjaText? = nil) -> JinjaText {
        let set = characters.map { Set($0.scalars) }
        func isRemoved(_ scalar: Unicode.Scalar) -> Bool {
            set?.contains(scalar) ?? PythonCharacter.isSpace(scalar)
        }
        var (start, end) = (0, bytes.count)
        let view = scalars
        if leading {
            for scalar in view {
                guard isRemoved(scalar) else { break }
                start += UTF8.width(scalar)
            }
        }
        if trailing {
            for scalar in view.reversed() {
                guard end > start, isRemoved(scalar) else { break }
                end -= UTF8.width(scalar)
            }
        }
        if start == 0, end == bytes.count { return self }
        return JinjaText(bytes[start..<end], isMarkup: isMarkup)
    }
}
