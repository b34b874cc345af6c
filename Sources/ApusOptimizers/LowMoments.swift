import ApusTorch

/// Adam's moments of a gradient of a low rank, in full or as bytes in blocks of 256.
struct LowMoments {
    private let average: Tensor?
    private let square: Tensor?
    private let coded: (average: ByteCoded, square: ByteCoded)?
    private let codes: (Tensor, Tensor)?

    init(_ shape: [Int], inBytes: Bool, dtype: DType, device: Device) throws {
        // As in `AdamW8Bit`, less is not worth the bytes.
        guard inBytes, shape.reduce(1, *) >= AdamW8Bit.leastCount else {
            average = try Tensor.zeros(shape, dtype: dtype, device: device)
            square = try Tensor.zeros(shape, dtype: dtype, device: device)
            (coded, codes) = (nil, nil)
            return
        }
        let blocks = (shape.reduce(1, *) + AdamW8Bit.block - 1) / AdamW8Bit.block
        func zeros() throws -> ByteCoded {
            ByteCoded(
                bytes: try Tensor.zeros(shape, dtype: .uint8, device: device),
                absmax: try Tensor.zeros([blocks], device: device))
        }
        coded = (try zeros(), try zeros())
        codes = (try Tensor(DynamicCode.signed, device: device), try Tensor(DynamicCode.unsigned, device: device))
        (average, square) = (nil, nil)
    }

    /// `M / (√V + ε)` once a gradient is taken up.
    func follow(_ gradient: Tensor, _ settings: AdamW.Settings) throws -> Tensor {
        func moved(_ average: Tensor, _ square: Tensor) throws -> Tensor {
            try average.multiply(by: settings.beta1)
            try average.add(gradient, scale: 1 - settings.beta1)
            try square.multiply(by: settings.beta2)
            try square.add(gradient * gradient, scale: 1 - settings.beta2)
            return try average / (sqrt(square) + settings.epsilon)
        }
        if let average, let square { return try moved(average, square) }
        guard let coded, let codes else { return gradient }
        let average = try coded.average.decoded(code: codes.0, block: AdamW8Bit.block).to(gradient.dtype)
        let square = try coded.square.decoded(code: codes.1, block: AdamW8Bit.block).to(gradient.dtype)
        let update = try moved(average, square)
        for (values, kept, code) in [(average, coded.average, codes.0), (square, coded.square, codes.1)] {
            let bytes = try ByteCoded(values.to(.float32).contiguous(), code: code, block: AdamW8Bit.block)
            try kept.bytes.copy(from: bytes.bytes)
            try kept.absmax.copy(from: bytes.absmax)
        }
        return update
    }

    func state(_ name: String) -> [(name: String, tensor: Tensor)] {
        if let average, let square { return [("exp_avg.\(name)", average), ("exp_avg_sq.\(name)", square)] }
        guard let coded else { return [] }
        return [
            ("exp_avg.\(name)", coded.average.bytes), ("exp_avg_absmax.\(name)", coded.average.absmax),
            ("exp_avg_sq.\(name)", coded.square.bytes), ("exp_avg_sq_absmax.\(name)", coded.square.absmax),
        ]
    }
}
