import ApusNN
import ApusTorch

extension LoRAConfiguration {
    /// First values are the singular values of `W C`, C the correlation of what goes into the layer, with C taken off again.
    ///
    /// `W C = U S Vᵀ`, `A = √(S/s) Vᵀ C⁻¹`, `B = U √(S/s)`: of the largest values (`ipm`), or of the smallest, so that what
    /// the model does with these inputs stays (`kpm`). Inputs of a sample are divided by the largest of them.
    /// Yang et al. 2024, <https://arxiv.org/abs/2406.05223>.
    func startFromCorrelations(_ passes: StartPasses, _ parts: [AdapterPart]) throws {
        let layers = parts.compactMap { part -> (path: String, host: Linear, lora: LoRA)? in
            guard let linear = part.host as? Linear, let lora = part.adapter as? LoRA else { return nil }
            return (part.path, linear, lora)
        }
        let inputs = try LayerInputs(layers.map(\.lora))
        var sums: [Int: Tensor] = [:]
        let count = min(start.samples, passes.sampleCount)
        for sample in 0..<count {
            // Layers that are given the same input have the same correlation.
            var last: (input: Tensor, product: Tensor)?
            try inputs.observed(passes, [sample]) { layer, x in
                let product: Tensor
                if let last, last.input === x {
                    product = last.product
                } else {
                    let x64 = try x.to(.float64)
                    let rows = try x64 / Swift.abs(x64.max().item())
                    product = try matmul(rows.transposed(0, 1), rows)  // [in, in]
                    last = (x, product)
                }
                if let sum = sums[layer] { try sum.add(product) } else { sums[layer] = try product.cloned() }
            }
        }
        try withoutGradients {
            for (index, layer) in layers.enumerated() {
                guard let sum = sums.removeValue(forKey: index) else { continue }
                try decompose(layer.host, layer.lora, correlation: sum / Double(count), path: layer.path)
            }
        }
    }

    private func decompose(_ linear: Linear, _ lora: LoRA, correlation: Tensor, path: String) throws {
        guard try correlation.isFinite().to(.float32).mean().item() == 1 else {
            throw AdapterError("--init_weights corda: the inputs of \(path) are not finite for these samples")
        }
        let identity = try Tensor.identity(linear.inputs, dtype: .float64)
        let diagonal = try (correlation * identity).sum().item() / Double(linear.inputs)
        var damping = 0.01
        var damped = correlation
        var inverse = identity
        // More is added to the diagonal until the inverse is one.
        repeat {
            damped = try correlation + identity * (diagonal * damping)
            inverse = try identity.divided(byMatrix: damped)
            damping *= 2
        } while try sqrt((matmul(damped, inverse) - identity).power(2).sum()).item() >= 0.05
        let (u, s, v) = try matmul(linear.matrix.to(.float64), damped).singularValueDecomposition()
        try lora.checkRank(of: linear, "--init_weights corda", path)
        let first = start.context == .instructions ? 0 : s.count - lora.rank
        let roots = try sqrt(s.narrowed(0, start: first, length: lora.rank) * (1 / lora.scale))  // [r]
        let v64 = try matmul(v.narrowed(0, start: first, length: lora.rank), inverse)  // [r, in]
        try lora.begin(
            LowRankFactors(
                a: roots.unsqueezed(1) * v64, b: u.narrowed(1, start: first, length: lora.rank) * roots.unsqueezed(0)))
    }
}
