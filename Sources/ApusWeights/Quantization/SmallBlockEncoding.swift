// Blocks of 32: the scale is the largest element over the largest code, or the span over all codes, and each element takes
// the nearest code.

/// The element farthest from zero, the first of several.
@inline(__always)
private func extreme(_ x: UnsafePointer<Float>) -> Float {
    var (extreme, largest) = (Float(0), Float(0))
    for i in 0..<32 where abs(x[i]) > largest { (extreme, largest) = (x[i], abs(x[i])) }
    return extreme
}

@inline(__always)
private func bounds(_ x: UnsafePointer<Float>) -> (minimum: Float, maximum: Float) {
    var (minimum, maximum) = (x[0], x[0])
    for i in 1..<32 {
        if x[i] < minimum { minimum = x[i] }
        if x[i] > maximum { maximum = x[i] }
    }
    return (minimum, maximum)
}

@inline(__always)
private func inverse(_ scale: Float) -> Float { scale == 0 ? 0 : 1 / scale }

/// The code at or below a place, within 0…`last`.
@inline(__always)
private func code(_ place: Float, last: UInt8) -> UInt8 {
    place >= Float(last) ? last : place > 0 ? UInt8(place) : 0
}

/// Elements i and i + 16 share byte i, the first in its low nibble; fifth bits are left out.
@inline(__always)
private func storeNibbles(
    at nibbles: UnsafeMutablePointer<UInt8>, _ codeOf: (Int) -> UInt8
) {
    for i in 0..<16 { nibbles[i] = codeOf(i) & 15 | codeOf(i + 16) << 4 }
}

/// As `storeNibbles`, with the fifth bits of all elements in one word.
@inline(__always)
private func storeFiveBits(
    at nibbles: UnsafeMutablePointer<UInt8>, high: UnsafeMutablePointer<UInt8>, _ codeOf: (Int) -> UInt8
) {
    var word: UInt32 = 0
    for i in 0..<32 { word |= UInt32(codeOf(i) >> 4) << UInt32(i) }
    store(word, at: high)
    storeNibbles(at: nibbles, codeOf)
}

extension Q8_0Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        let d = abs(extreme(x)) / 127
        let inverse = inverse(d)
        store(half: d, at: block)
        for i in 0..<32 {
            let place = (x[i] * inverse).rounded()
            // A scale too small to be divided by leaves no codes.
            block[2 + i] = UInt8(bitPattern: abs(place) <= 127 ? Int8(place) : 0)
        }
    }
}

extension Q4_0Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        let d = extreme(x) / -8
        let inverse = inverse(d)
        store(half: d, at: block)
        storeNibbles(at: block + 2) { code(x[$0] * inverse + 8.5, last: 15) }
    }
}

extension Q4_1Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        let (minimum, maximum) = bounds(x)
        let d = (maximum - minimum) / 15
        let inverse = inverse(d)
        store(half: d, at: block)
        store(half: minimum, at: block + 2)
        storeNibbles(at: block + 4) { code((x[$0] - minimum) * inverse + 0.5, last: 15) }
    }
}

extension Q5_0Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        let d = extreme(x) / -16
        let inverse = inverse(d)
        store(half: d, at: block)
        storeFiveBits(at: block + 6, high: block + 2) { code(x[$0] * inverse + 16.5, last: 31) }
    }
}

extension Q5_1Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        let (minimum, maximum) = bounds(x)
        let d = (maximum - minimum) / 31
        let inverse = inverse(d)
        store(half: d, at: block)
        store(half: minimum, at: block + 2)
        storeFiveBits(at: block + 8, high: block + 4) { code((x[$0] - minimum) * inverse + 0.5, last: 31) }
    }
}
