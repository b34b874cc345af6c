/// Floats of eight bits, whose 256 values are a table each.
enum EightBitFloats {
    /// The value of every bit pattern; nil for types of other widths, and for those that are not read.
    static func values(of type: WeightDType) -> [Float]? {
        switch type {
        case .float8E4M3: (UInt8.min...UInt8.max).map { value($0, fraction: 3, bias: 7, hasInfinity: false) }
        case .float8E5M2: (UInt8.min...UInt8.max).map { value($0, fraction: 2, bias: 15, hasInfinity: true) }
        case .float8E8M0: (UInt8.min...UInt8.max).map(power)
        default: nil
        }
    }

    /// An exponent alone: 2^(bits - 127), without a sign; the last pattern is no number.
    static func power(_ bits: UInt8) -> Float {
        bits == .max ? .nan : Float(sign: .plus, exponent: Int(bits) - 127, significand: 1)
    }

    /// A sign, an exponent and a fraction, by the rules of IEEE 754 or those that spend its infinities on numbers.
    ///
    /// Micikevicius et al. 2022, <https://arxiv.org/abs/2209.05433>.
    private static func value(_ bits: UInt8, fraction width: Int, bias: Int, hasInfinity: Bool) -> Float {
        let sign: FloatingPointSign = bits & 0x80 == 0 ? .plus : .minus
        let magnitude = Int(bits & 0x7F)
        let (exponent, fraction) = (magnitude >> width, magnitude & (1 << width - 1))
        let isLast = exponent == 0x7F >> width
        if isLast, hasInfinity || fraction == 1 << width - 1 {
            guard hasInfinity, fraction == 0 else { return .nan }
            return sign == .plus ? .infinity : -.infinity
        }
        let significand = Float(exponent == 0 ? fraction : fraction + 1 << width)
        return Float(sign: sign, exponent: max(exponent, 1) - bias - width, significand: significand)
    }

    /// The numbers of bytes, into room for as many.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, by values: [Float], into out: UnsafeMutableBufferPointer<Float>
    ) {
        guard let source = bytes.bindMemory(to: UInt8.self).baseAddress, let target = out.baseAddress,
            bytes.count == out.count
        else { return }
        // Safe to share: the bytes are only read, and each call writes its own part of the output.
        nonisolated(unsafe) let (from, to) = (source, target)
        inParallel(bytes.count, chunk: 1 << 17) { part in
            for index in part { to[index] = values[Int(from[index])] }
        }
    }
}
