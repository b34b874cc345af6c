import ApusNN
import ApusTorch

/// First values of LoRA that are taken out of the base matrix: `W = W_res + s · B A`.
///
/// The residual takes the base matrix's place, for training and wherever such an adapter is loaded. PEFT decomposes in
/// float32, where near singular values cost up to 1e-5 of the product, otherwise on each machine; in float64 whoever loads
/// the adapter gets the residual that it was trained on.
enum LoRADecomposition: Sendable, Equatable {
    /// The largest `rank` singular values: `B = U √(S/s)`, `A = √(S/s) Vᵀ`.
    ///
    /// Meng et al. 2024, <https://arxiv.org/abs/2404.02948>.
    case singularValues
    /// The first `rank` columns of Q and rows of R, `W = Q R`.
    ///
    /// Büyükakyüz 2024, <https://arxiv.org/abs/2406.01775>.
    case orthogonal

    /// A [rank, in] and B [out, rank] of a matrix [out, in] in float64.
    func factors(_ matrix: Tensor, rank: Int, scale: Double) throws -> (a: Tensor, b: Tensor) {
        switch self {
        case .orthogonal:
            let (q, r) = try matrix.qrDecomposition()
            return (
                try r.narrowed(0, start: 0, length: rank).contiguous(),
                try q.narrowed(1, start: 0, length: rank).contiguous()
            )
        case .singularValues:
            let (u, s, v) = try matrix.singularValueDecomposition()
            let roots = try sqrt(s.narrowed(0, start: 0, length: rank) * (1 / scale))  // [r]
            return (
                try roots.unsqueezed(1) * v.narrowed(0, start: 0, length: rank),
                try u.narrowed(1, start: 0, length: rank) * roots.unsqueezed(0)
            )
        }
    }
}

extension LoRA {
    /// Takes this adapter's first values out of the matrix of its layer.
    func take(_ decomposition: LoRADecomposition, from base: Linear) throws {
        guard !base.isQuantized else {
            throw AdapterError(
                "init_lora_weights: pissa and olora change the base matrices, and these are quantised, which would round "
                    + "what is left. Start the adapter otherwise, or load the model without --quant_method.")
        }
        try withoutGradients {
            let matrix = try base.matrix
            let wide = try matrix.to(.float64)
            guard rank <= min(base.inputs, base.outputs) else {
                throw AdapterError(
                    "init_lora_weights: a matrix of \(base.outputs) × \(base.inputs) has no \(rank) singular values; give a lower rank"
                )
            }
            let factors = try decomposition.factors(wide, rank: rank, scale: scale)
            let residual = try wide - matmul(factors.b, factors.a) * scale
            try base.setMatrix(residual.to(matrix.dtype))
            try $a.fill(factors.a.to(a.dtype))
            try $b.fill(factors.b.to(b.dtype))
        }
    }
}
