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
            try begin(LowRankFactors(a: factors.a, b: factors.b))
        }
    }
    /// Puts a rounded matrix in place of the layer's, and what rounding has lost into the adapter, as far as its rank goes.
    ///
    /// `Q = round(W - L R)`, `L R` the best of the rank to `W - Q`, again and again; L and R share the singular values. As
    /// in PEFT, the adapter's scale is not taken off. Li et al. 2023, <https://arxiv.org/abs/2310.08659>.
    func round(_ settings: LoRAStartSettings.Rounding, _ base: Linear) throws {
        guard !base.isQuantized else {
            throw AdapterError(
                "init_lora_weights loftq rounds the base matrices itself, and these are quantised already; load the model "
                    + "without --quant_method")
        }
        try withoutGradients {
            let matrix = try base.matrix
            let wide = try matrix.to(.float32).contiguous()  // bitsandbytes rounds numbers of 32 bits
            guard rank <= min(base.inputs, base.outputs) else {
                throw AdapterError(
                    "init_lora_weights loftq: a matrix of \(base.outputs) × \(base.inputs) has no \(rank) singular values; "
                        + "give a lower rank")
            }
            var (rest, rounded) = (wide, wide)
            for round in 1...settings.iterations {
                rounded = try rest.rounded(bits: settings.bits).dequantized(.float32)
                let (u, s, v) = try (wide.to(.float64) - rounded.to(.float64)).singularValueDecomposition()
                let roots = try sqrt(s.narrowed(0, start: 0, length: rank))  // [r]
                let factors = LowRankFactors(
                    a: try roots.unsqueezed(1) * v.narrowed(0, start: 0, length: rank),
                    b: try u.narrowed(1, start: 0, length: rank) * roots.unsqueezed(0))
                try $a.fill(factors.a.to(a.dtype).contiguous())
                try $b.fill(factors.b.to(b.dtype).contiguous())
                if round < settings.iterations {
                    rest = try (wide.to(.float64) - matmul(factors.b, factors.a)).to(.float32).contiguous()
                }
            }
            try base.setMatrix(rounded.to(matrix.dtype))
        }
    }
}

extension Tensor {
    /// A matrix of float32 in nf4 with blocks of 64, or in int8 by rows.
    fileprivate func rounded(bits: Int) throws -> QuantizedMatrix {
        try bits == 8
            ? QuantizedMatrix(eightBits: self) : QuantizedMatrix(fourBits: self, code: FourBitType.nf4.code, block: 64)
    }
}
