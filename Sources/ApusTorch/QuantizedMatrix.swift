internal import CTorch

/// A matrix [out, in] in four or eight bits, in the form of bitsandbytes (Sources/CTorch/fused/quantize.cpp).
///
/// Numbers are cut into blocks, row after row. In four bits a number is `code[index] · absmax` of its block, two indices
/// a byte; the absmax themselves can be 8-bit indices, each group of them about a common mean. In eight bits a number is
/// `integer / 127 · absmax` of its row.
package struct QuantizedMatrix {
    /// Two indices a byte, the first in its high half, or int8.
    package let packed: Tensor
    /// What the sixteen indices stand for; nil for int8.
    package let code: Tensor?  // [16]
    /// The largest absolute value of each block, in float32, or as an index where `nested` is there.
    package let absmax: Tensor
    /// How absmax that are indices become numbers.
    package let nested: Nested?
    /// Numbers that share an absmax.
    package let block: Int
    package let rows: Int
    package let columns: Int

    package struct Nested {
        package let code: Tensor  // [256]
        package let absmax: Tensor
        package let offset: Float
        package let block: Int

        package init(code: Tensor, absmax: Tensor, offset: Float, block: Int) {
            (self.code, self.absmax, self.offset, self.block) = (code, absmax, offset, block)
        }
    }

    package init(
        packed: Tensor, code: Tensor?, absmax: Tensor, nested: Nested?, block: Int, rows: Int, columns: Int
    ) {
        (self.packed, self.code, self.absmax, self.nested) = (packed, code, absmax, nested)
        (self.block, self.rows, self.columns) = (block, rows, columns)
    }

    /// Bytes of everything that is kept.
    package var byteCount: Int {
        let tensors = [packed, code, absmax, nested?.code, nested?.absmax]
        return tensors.reduce(0) { $0 + ($1?.byteCount ?? 0) }
    }

    /// The matrix in full, [out, in].
    package func dequantized(_ dtype: DType) throws -> Tensor {
        try Tensor(owning: withDescription { ct_dequantize($0, dtype.scalarType) })
    }

    private func withDescription<Result>(_ body: (UnsafePointer<ct_quantized>) throws -> Result) rethrows -> Result {
        try withHandles(packed, absmax) { packed, absmax in
            try withHandle(ifPresent: code) { code in
                try withHandle(ifPresent: nested?.code) { nestedCode in
                    try withHandle(ifPresent: nested?.absmax) { nestedAbsmax in
                        let description = ct_quantized(
                            packed: packed, code: code, absmax: absmax, absmax_code: nestedCode,
                            absmax_scale: nestedAbsmax, offset: Double(nested?.offset ?? 0), block: Int64(block),
                            absmax_block: Int64(nested?.block ?? 0), rows: Int64(rows), columns: Int64(columns))
                        return try withUnsafePointer(to: description, body)
                    }
                }
            }
        }
    }

    fileprivate func product(_ x: Tensor, _ bias: Tensor?, dtype: DType) throws -> Tensor {
        try Tensor(
            owning: withHandles(x) { x in
                withHandle(ifPresent: bias) { bias in
                    withDescription { ct_quantized_linear(x, $0, bias, dtype.scalarType) }
                }
            })
    }

    fileprivate func product(
        _ x: Tensor, _ bias: Tensor?, dtype: DType, a: Tensor, b: Tensor, scale: Double, dropout: Double, key: UInt64
    ) throws -> Tensor {
        try Tensor(
            owning: withHandles(x, a, b) { x, a, b in
                withHandle(ifPresent: bias) { bias in
                    withDescription {
                        ct_quantized_lora_linear(x, $0, bias, dtype.scalarType, a, b, scale, dropout, key)
                    }
                }
            })
    }
}

extension QuantizedMatrix {
    /// Rounds each number of a matrix [out, in] to one of sixteen codes.
    ///
    /// - Parameter block: Numbers that share an absmax, an even count.
    package init(fourBits matrix: Tensor, code: [Float], block: Int) throws {
        let code = try Tensor(code, shape: [16], device: matrix.device)
        var absmax: ct_tensor?
        let packed = try Tensor(
            owning: withHandles(matrix, code) { ct_quantize_4bit($0, $1, Int64(block), &absmax) })
        self.init(
            packed: packed, code: code, absmax: try Tensor(owning: absmax), nested: nil, block: block,
            rows: matrix.shape[0], columns: matrix.shape[1])
    }

    /// Rounds each number of a matrix [out, in] to an integer from -127 to 127 times the largest of its row.
    package init(eightBits matrix: Tensor) throws {
        var absmax: ct_tensor?
        let packed = try Tensor(owning: withHandles(matrix) { ct_quantize_rows($0, &absmax) })
        self.init(
            packed: packed, code: nil, absmax: try Tensor(owning: absmax), nested: nil, block: matrix.shape[1],
            rows: matrix.shape[0], columns: matrix.shape[1])
    }

    /// The same matrix with its absmax in eight bits: their distances from the mean, in blocks of 256, by the dynamic code.
    package func compressed() throws -> QuantizedMatrix {
        let block = 256
        var mean = 0.0
        try check(withHandles(absmax) { ct_mean_on_one_thread($0, &mean) })
        let offset = Float(mean)
        let code = try Tensor(DynamicCode.signed, shape: [256], device: absmax.device)
        var scale: ct_tensor?
        let indices = try Tensor(
            owning: withHandles(absmax - Double(offset), code) {
                ct_quantize_blockwise($0, $1, Int64(block), &scale)
            })
        let nested = Nested(code: code, absmax: try Tensor(owning: scale), offset: offset, block: block)
        return QuantizedMatrix(
            packed: packed, code: self.code, absmax: indices, nested: nested, block: self.block, rows: rows,
            columns: columns)
    }
}

/// `x Wᵀ + b` — x [T, in]; W is made for the product in the type `dtype`, dropped, and made again in the backward pass.
package func linear(_ x: Tensor, _ matrix: QuantizedMatrix, _ bias: Tensor?, dtype: DType) throws -> Tensor {
    try matrix.product(x, bias, dtype: dtype)
}

/// The same plus `scale · (drop(x) Aᵀ) Bᵀ` — A [rank, in], B [out, rank]; `key` decides which elements are dropped.
package func loraLinear(
    _ x: Tensor, _ matrix: QuantizedMatrix, _ bias: Tensor?, dtype: DType, a: Tensor, b: Tensor, scale: Double,
    dropout: Double, key: UInt64
) throws -> Tensor {
    try matrix.product(x, bias, dtype: dtype, a: a, b: b, scale: scale, dropout: dropout, key: key)
}
