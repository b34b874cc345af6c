/// A Python slice laid over a sequence: `count` positions from `start` in steps of `step`.
struct JinjaSlice {
    let start: Int
    /// Where it ends, itself left out; -1 before the first where it goes backwards.
    let stop: Int
    let step: Int
    let count: Int

    /// - Throws: When `step` is 0.
    init(start: Int?, stop: Int?, step: Int?, length: Int) throws {
        let step = step ?? 1
        guard step != 0 else { throw JinjaError.value("slice step cannot be zero") }
        let lowest = step > 0 ? 0 : -1
        let highest = step > 0 ? length : length - 1
        func clamped(_ index: Int) -> Int {
            // `Int.min + length` cannot overflow, since only negative indices are moved.
            min(max(index < 0 ? index + length : index, lowest), highest)
        }
        let first = start.map(clamped) ?? (step > 0 ? lowest : highest)
        let last = stop.map(clamped) ?? (step > 0 ? highest : lowest)
        let distance = step > 0 ? last - first : first - last
        self.start = first
        self.stop = last
        self.step = step
        let stride = step.magnitude
        count = distance > 0 ? Int((UInt(distance) + stride - 1) / stride) : 0
    }

    var positions: some Sequence<Int> {
        // The product stays inside the sequence's length.
        (0..<count).lazy.map { [start, step] in start + $0 * step }
    }
}

extension JinjaText {
    /// The byte offset of every code point, and the end.
    func scalarOffsets() -> [Int] {
        var offsets: [Int] = []
        offsets.reserveCapacity(bytes.count + 1)
        for (offset, byte) in bytes.enumerated() where !Self.isContinuation(byte) { offsets.append(offset) }
        offsets.append(bytes.count)
        return offsets
    }

    /// The byte offset of a code point in `0...count`.
    func byteOffset(ofScalar index: Int) -> Int {
        if isASCII { return index }
        var seen = 0
        for (offset, byte) in bytes.enumerated() where !Self.isContinuation(byte) {
            if seen == index { return offset }
            seen += 1
        }
        return bytes.count
    }

    /// The number of code points before a byte offset.
    func scalarIndex(ofByte offset: Int) -> Int {
        if isASCII { return offset }
        return bytes[..<offset].reduce(into: 0) { count, byte in if !Self.isContinuation(byte) { count += 1 } }
    }

    /// The code point at a Python index, or nil outside.
    func character(at index: Int) -> JinjaText? {
        let count = count
        let position = index < 0 ? index + count : index
        guard position >= 0, position < count else { return nil }
        let start = byteOffset(ofScalar: position)
        var end = start + 1
        while end < bytes.count, Self.isContinuation(bytes[end]) { end += 1 }
        return JinjaText(bytes[start..<end], isMarkup: isMarkup)
    }

    func sliced(start: Int?, stop: Int?, step: Int?) throws -> JinjaText {
        let slice = try JinjaSlice(start: start, stop: stop, step: step, length: count)
        if slice.count == 0 { return JinjaText([UInt8](), isMarkup: isMarkup) }
        if slice.step == 1 {
            let from = byteOffset(ofScalar: slice.start)
            let to = byteOffset(ofScalar: slice.start + slice.count)
            return JinjaText(bytes[from..<to], isMarkup: isMarkup)
        }
        if isASCII { return JinjaText(slice.positions.map { bytes[$0] }, isMarkup: isMarkup) }
        let offsets = scalarOffsets()
        return JinjaText(slice.positions.flatMap { bytes[offsets[$0]..<offsets[$0 + 1]] }, isMarkup: isMarkup)
    }

    /// Every code point as a string of its own.
    func characters() -> [JinjaText] {
        if isASCII { return bytes.map { JinjaText([$0]) } }
        let offsets = scalarOffsets()
        return (0..<offsets.count - 1).map { JinjaText(bytes[offsets[$0]..<offsets[$0 + 1]]) }
    }
}
