package import ApusNN
package import ApusTorch

/// The matrix of a layer in four or eight bits.
///
/// Each product makes the matrix anew and drops it; so does its backward pass. Eight bits are multiplied as bitsandbytes
/// does it while it trains on a CPU: by the matrix, not by integers.
package struct QuantizedWeight: QuantizedStorage {
    package let numbers: QuantizedMatrix
    /// What four bits stand for; nil for int8.
    package let type: FourBitType?
    /// The type that products are computed in; nil takes that of their input.
    package let computeType: DType?
    /// The type that the matrix had.
    package let dtype: DType

    package init(_ numbers: QuantizedMatrix, type: FourBitType?, computeType: DType?, dtype: DType) {
        (self.numbers, self.type, self.computeType, self.dtype) = (numbers, type, computeType, dtype)
    }

    /// Rounds a matrix [out, in].
    ///
    /// - Parameter name: For the error.
    /// - Throws: `TorchError` for a matrix with numbers that are not finite, or too large for float16, which bitsandbytes
    ///   goes through on its way to eight bits.
    package init(_ matrix: Tensor, as settings: QuantizationSettings, name: String) throws {
        self = try withoutGradients {
            var numbers: QuantizedMatrix
            let type: FourBitType?
            switch settings.format {
            case .fourBits(let kind, let block, let isDouble):
                numbers = try QuantizedMatrix(fourBits: matrix, code: kind.code, block: block)
                try Self.checkIsFinite(numbers.absmax, name)
                if isDouble { numbers = try numbers.compressed() }
                type = kind
            case .eightBits:
                numbers = try QuantizedMatrix(eightBits: matrix)
                try Self.checkIsFinite(numbers.absmax, name)
                type = nil
            }
            return QuantizedWeight(numbers, type: type, computeType: settings.computeType, dtype: matrix.dtype)
        }
    }

    private static func checkIsFinite(_ absmax: Tensor, _ name: String) throws {
        guard absmax.count > 0, try absmax.isFinite().to(.float32).mean().item() < 1 else { return }
        throw TorchError(
            kind: .invalidOperation,
            message:
                "\(name): holds numbers that are not finite (or, for eight bits, beyond the 65504 of float16), which "
                + "cannot be quantised; is the file damaged?")
    }

    package func matrix() throws -> Tensor { try numbers.dequantized(dtype) }

    package func product(_ x: Tensor, _ bias: Tensor?) throws -> Tensor {
        try linear(x, numbers, bias, dtype: computeType ?? x.dtype)
    }

    package func product(_ x: Tensor, _ bias: Tensor?, plus term: LowRankTerm) throws -> Tensor {
        try loraLinear(
            x, numbers, bias, dtype: computeType ?? x.dtype, a: term.a, b: term.b, scale: term.scale,
            dropout: term.dropout, key: term.key)
    }

    package var summary: String { type.map { "\($0)\(numbers.nested == nil ? "" : ", double")" } ?? "int8" }

    package var byteCount: Int { numbers.byteCount }
}
