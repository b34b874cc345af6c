internal import CTorch

/// One step of AdamW over many tensors in one pass (libtorch's fused kernel).
///
/// Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>.
package func fusedAdamW(
    parameters: [Tensor], gradients: [Tensor], averages: [Tensor], squares: [Tensor], steps: [Tensor],
    rate: Double, beta1: Double, beta2: Double, decay: Double, epsilon: Double
) throws {
    try check(
        withHandles(parameters) { p, count in
            withHandles(gradients) { g, _ in
                withHandles(averages) { m, _ in
                    withHandles(squares) { v, _ in
                        withHandles(steps) { s, _ in
                            ct_fused_adamw(p, g, m, v, s, count, rate, beta1, beta2, decay, epsilon)
                        }
                    }
                }
            }
        })
}

/// The 2-norm of all tensors together, as a scalar tensor.
package func totalNorm(_ tensors: [Tensor]) throws -> Tensor {
    try Tensor(owning: withHandles(tensors) { ct_total_norm($0, $1) })
}

/// Multiplies the storage of every tensor by a scalar tensor.
package func scaleAll(_ tensors: [Tensor], by factor: Tensor) throws {
    try check(withHandles(tensors) { handles, count in withHandles(factor) { ct_scale_all(handles, count, $0) } })
}

/// Numbers of float32 as bytes: entries of a code, times the largest magnitude of their block.
///
/// Dettmers et al. 2022, <https://arxiv.org/abs/2110.02861>.
package struct ByteCoded {
    /// uint8, in the shape of the numbers.
    package let bytes: Tensor
    /// float32, one a block.
    package let absmax: Tensor

    package init(bytes: Tensor, absmax: Tensor) {
        self.bytes = bytes
        self.absmax = absmax
    }

    package init(_ values: Tensor, code: Tensor, block: Int) throws {
        var absmax: OpaquePointer?
        bytes = try Tensor(
            owning: withHandles(values, code) { ct_encode_blocks($0, $1, Int64(block), &absmax) })
        self.absmax = try Tensor(owning: absmax)
    }

    package func decoded(code: Tensor, block: Int) throws -> Tensor {
        try Tensor(owning: withHandles(bytes, code, absmax) { ct_decode_blocks($0, $1, Int64(block), $2) })
    }
}

/// One step of AdamW on a float32 parameter whose two moments are bytes in blocks of 256.
///
/// - Parameters:
///   - codes: The codes of the first moment, which has signs, and of the second.
///   - step: The number of this step, from 1.
package func adamW8Bit(
    _ parameter: Tensor, gradient: Tensor, average: ByteCoded, square: ByteCoded, codes: (Tensor, Tensor), step: Int,
    rate: Double, beta1: Double, beta2: Double, decay: Double, epsilon: Double
) throws {
    try check(
        withHandles(average.bytes, average.absmax, codes.0) { bytes1, absmax1, code1 in
            withHandles(square.bytes, square.absmax, codes.1) { bytes2, absmax2, code2 in
                withHandles(parameter, gradient) { parameter, gradient in
                    var first = ct_8bit_state(bytes: bytes1, absmax: absmax1, code: code1)
                    var second = ct_8bit_state(bytes: bytes2, absmax: absmax2, code: code2)
                    return ct_adamw_8bit(
                        parameter, gradient, &first, &second, Int64(step), rate, beta1, beta2, decay, epsilon)
                }
            }
        })
}
