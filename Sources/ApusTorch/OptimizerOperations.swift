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
