// Super-blocks of 256: each sub-block gets the scale (and minimum) with the least weighed squared error among some that
// are tried, then all of them are rounded to a few bits of the largest, and each element takes the nearest code.

/// The nearest whole number, ties to even: added to 1.5 · 2²³, it is the last bits of the sum.
///
/// Only numbers below 2²² come out right; others give any number.
@inline(__always)
private func nearest(_ x: Float) -> Int32 {
    Int32(bitPattern: (x + 0x1.8p23).bitPattern & 0x7F_FFFF) - 0x40_0000
}

@inline(__always)
private func clamped(_ code: Int32, _ range: ClosedRange<Int32>) -> Int32 {
    min(max(code, range.lowerBound), range.upperBound)
}

/// x ≈ scale · q − minimum for 32 elements, q from 0 to `last`.
private struct AffineFit {
    var scale: Float = 0
    /// 0 or more.
    var minimum: Float = 0

    /// Tries the scale that spans all elements, and more that spread them over a few codes more or fewer.
    ///
    /// For the codes that a scale gives, scale and minimum follow by weighed least squares. The weight of an element is its
    /// magnitude plus the root mean square. Trials spread the elements from the best minimum so far.
    ///
    /// - Parameters:
    ///   - first: How many codes more the first trial spreads them over; each next trial 0.1 more.
    ///   - codes: Receives the codes of the best fit.
    init(
        _ x: UnsafePointer<Float>, last: Int32, first: Float, steps: Int, codes: UnsafeMutablePointer<UInt8>
    ) {
        var squares: Float = 0
        for i in 0..<32 { squares += x[i] * x[i] }
        let root = (squares / 32).squareRoot()
        var (low, high) = (x[0], x[0])
        var (sumOfWeights, sumOfX) = (Float(0), Float(0))
        for i in 0..<32 {
            if x[i] < low { low = x[i] }
            if x[i] > high { high = x[i] }
            let weight = root + abs(x[i])
            sumOfWeights += weight
            sumOfX += weight * x[i]
        }
        if low > 0 { low = 0 }
        defer { minimum = -low }
        codes.update(repeating: 0, count: 32)
        guard high > low else { return }

        /// The weighed squared error of codes under a scale and an offset.
        func error(_ codes: UnsafeMutablePointer<UInt8>, _ scale: Float, _ offset: Float) -> Float {
            var error: Float = 0
            for i in 0..<32 {
                let difference = scale * Float(Int32(codes[i])) + offset - x[i]
                error += (root + abs(x[i])) * (difference * difference)
            }
            return error
        }
        func encode(_ inverse: Float, _ codes: UnsafeMutablePointer<UInt8>) {
            for i in 0..<32 { codes[i] = UInt8(clamped(nearest(inverse * (x[i] - low)), 0...last)) }
        }

        let whole = Float(last) / (high - low)
        scale = 1 / whole
        encode(whole, codes)
        var least = error(codes, scale, low)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { trial in
            guard let trial = trial.baseAddress else { return }
            for step in 0...steps {
                encode((first + 0.1 * Float(step) + Float(last)) / (high - low), trial)
                var (sumOfQ, sumOfSquares, sumOfProducts) = (Float(0), Float(0), Float(0))
                for i in 0..<32 {
                    let q = Float(Int32(trial[i]))
                    let weighed = (root + abs(x[i])) * q
                    sumOfQ += weighed
                    sumOfSquares += weighed * q
                    sumOfProducts += weighed * x[i]
                }
                let determinant = sumOfWeights * sumOfSquares - sumOfQ * sumOfQ
                guard determinant > 0 else { continue }
                var slope = (sumOfWeights * sumOfProducts - sumOfX * sumOfQ) / determinant
                var offset = (sumOfSquares * sumOfX - sumOfQ * sumOfProducts) / determinant
                if offset > 0 { (slope, offset) = (sumOfProducts / sumOfSquares, 0) }
                let found = error(trial, slope, offset)
                guard found < least else { continue }
                (least, scale, low) = (found, slope, offset)
                codes.update(from: trial, count: 32)
            }
        }
    }
}

/// d · scale · q − dmin · minimum: what Q4_K and Q5_K share, scales and minima of six bits among it.
///
/// - Parameters:
///   - header: d, dmin and the 12 bytes of scales and minima.
///   - codes: Receives a code from 0 to `last` for each element.
@inline(__always)
private func encodeAffine(
    _ x: UnsafePointer<Float>, last: Int32, first: Float, steps: Int, header: UnsafeMutablePointer<UInt8>,
    codes: UnsafeMutablePointer<UInt8>
) {
    withUnsafeTemporaryAllocation(of: AffineFit.self, capacity: 8) { fits in
        var (largestScale, largestMinimum) = (Float(0), Float(0))
        for sub in 0..<8 {
            let fit = AffineFit(x + 32 * sub, last: last, first: first, steps: steps, codes: codes + 32 * sub)
            fits[sub] = fit
            if fit.scale > largestScale { largestScale = fit.scale }
            if fit.minimum > largestMinimum { largestMinimum = fit.minimum }
        }
        store(half: largestScale / 63, at: header)
        store(half: largestMinimum / 63, at: header + 2)
        let (d, dmin) = (half(header), half(header + 2))
        let scaleInverse = largestScale > 0 ? 63 / largestScale : 0
        let minimumInverse = largestMinimum > 0 ? 63 / largestMinimum : 0
        let packed = header + 4
        packed.update(repeating: 0, count: 12)
        for sub in 0..<8 {
            let scale = min(63, UInt8(truncatingIfNeeded: nearest(scaleInverse * fits[sub].scale)))
            let minimum = min(63, UInt8(truncatingIfNeeded: nearest(minimumInverse * fits[sub].minimum)))
            if sub < 4 {
                packed[sub] = scale
                packed[sub + 4] = minimum
            } else {
                packed[sub + 4] = scale & 15 | (minimum & 15) << 4
                packed[sub - 4] |= (scale >> 4) << 6
                packed[sub] |= (minimum >> 4) << 6
            }
            let step = d * Float(Int32(scale))
            // Elements that all stand for the same keep the codes of their fit.
            guard step != 0 else { continue }
            let offset = dmin * Float(Int32(minimum))
            for i in 32 * sub..<32 * sub + 32 {
                codes[i] = UInt8(clamped(nearest((x[i] + offset) / step), 0...last))
            }
        }
    }
}

/// Each 32 bytes take one sub-block in their low nibbles and the next in their high ones.
@inline(__always)
private func storeNibbles(_ codes: UnsafePointer<UInt8>, at nibbles: UnsafeMutablePointer<UInt8>) {
    for pair in 0..<4 {
        for i in 0..<32 {
            nibbles[32 * pair + i] = codes[64 * pair + i] & 15 | codes[64 * pair + 32 + i] << 4
        }
    }
}

@inline(__always)
private func withCodes(_ body: (UnsafeMutablePointer<UInt8>) -> Void) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { if let codes = $0.baseAddress { body(codes) } }
}

extension Q4_KFormat: EncodableFormat {
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        withCodes { codes in
            encodeAffine(x, last: 15, first: -1, steps: 20, header: block, codes: codes)
            storeNibbles(codes, at: block + 16)
        }
    }
}

extension Q5_KFormat: EncodableFormat {
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        withCodes { codes in
            encodeAffine(x, last: 31, first: -0.5, steps: 15, header: block, codes: codes)
            for i in 0..<32 {
                block[16 + i] = (0..<8).reduce(0) { $0 | (codes[32 * $1 + i] >> 4) << UInt8($1) }
            }
            storeNibbles(codes, at: block + 48)
        }
    }
}

/// x ≈ scale · q for 16 elements, q from −32 to 31.
///
/// The scale that takes the farthest element to −32 is tried, and 18 that take it up to 0.9 codes beside it; for the codes
/// that each gives, the scale follows by least squares weighed by x². `codes` receives q + 32.
private func linearFit(_ x: UnsafePointer<Float>, codes: UnsafeMutablePointer<UInt8>) -> Float {
    var (extreme, largest) = (Float(0), Float(0))
    for i in 0..<16 where abs(x[i]) > largest { (extreme, largest) = (x[i], abs(x[i])) }
    codes.update(repeating: 0, count: 16)
    guard largest >= 1e-15 else { return 0 }

    func code(_ inverse: Float, _ i: Int) -> Int32 { clamped(nearest(inverse * x[i]), -32...31) }
    func sums(_ inverse: Float) -> (products: Float, squares: Float) {
        var (products, squares) = (Float(0), Float(0))
        for i in 0..<16 {
            let q = Float(code(inverse, i))
            let weight = x[i] * x[i]
            products += weight * x[i] * q
            squares += weight * q * q
        }
        return (products, squares)
    }
    func encode(_ inverse: Float) { for i in 0..<16 { codes[i] = UInt8(code(inverse, i) + 32) } }

    let plain = -32 / extreme
    encode(plain)
    let (products, squares) = sums(plain)
    var scale = squares != 0 ? products / squares : 0
    var best = scale * products
    for step in -9...9 where step != 0 {
        let inverse = -(32 + 0.1 * Float(step)) / extreme
        let (products, squares) = sums(inverse)
        guard squares > 0, products * products > best * squares else { continue }
        encode(inverse)
        scale = products / squares
        best = scale * products
    }
    return scale
}

extension Q6_KFormat: EncodableFormat {
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 16) { scales in
            withCodes { codes in
                var extreme = Float(0)
                for sub in 0..<16 {
                    scales[sub] = linearFit(x + 16 * sub, codes: codes + 16 * sub)
                    if abs(scales[sub]) > abs(extreme) { extreme = scales[sub] }
                }
                guard abs(extreme) >= 1e-15 else { return block.update(repeating: 0, count: 210) }
                let inverse = -128 / extreme
                store(half: 1 / inverse, at: block + 208)
                let d = half(block + 208)
                for sub in 0..<16 {
                    let scale = min(127, nearest(inverse * scales[sub]))
                    block[192 + sub] = UInt8(truncatingIfNeeded: scale)
                    let step = d * Float(scale)
                    guard step != 0 else { continue }
                    for i in 16 * sub..<16 * sub + 16 {
                        codes[i] = UInt8(clamped(nearest(x[i] / step), -32...31) + 32)
                    }
                }
                storeSixBits(codes, at: block)
            }
        }
    }

    /// The inverse of reading: see `Q6_KFormat`.
    @inline(__always)
    private static func storeSixBits(_ codes: UnsafePointer<UInt8>, at block: UnsafeMutablePointer<UInt8>) {
        for side in 0..<2 {
            let (codes, low, high) = (codes + 128 * side, block + 64 * side, block + 128 + 32 * side)
            for i in 0..<64 { low[i] = codes[i] & 15 | codes[i + 64] << 4 }
            for i in 0..<32 {
                high[i] = (0..<4).reduce(0) { $0 | (codes[32 * $1 + i] >> 4) << UInt8(2 * $1) }
            }
        }
    }
}
