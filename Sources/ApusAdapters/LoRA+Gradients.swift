import ApusNN
import ApusTorch

extension LoRAConfiguration {
    /// First values are singular vectors of the gradient of the base matrix, so that first steps go where those of full
    /// training would go.
    ///
    /// With `∇W = U S Vᵀ` of rank 2r, `ArB2r`: `A = V₁…ᵣᵀ`, `B = Uᵣ₊₁…₂ᵣ S`; `stable` multiplies B by `⁴√out / √γ`.
    /// Wang et al. 2024, <https://arxiv.org/abs/2407.05000>. PEFT decomposes by chance with an error, here without one.
    func startFromGradients(_ passes: StartPasses, _ parts: [AdapterPart], seed: UInt64) throws {
        let layers = parts.compactMap { part -> (path: String, host: Linear, lora: LoRA)? in
            guard let linear = part.host as? Linear, let lora = part.adapter as? LoRA else { return nil }
            return (part.path, linear, lora)
        }
        for layer in layers {
            guard layer.host.storage == nil else {
                throw AdapterError(
                    "--init_weights lora-ga: the matrix of \(layer.path) is quantised or shared with a table of words, and "
                        + "its gradient is needed. Leave the layer out, or load the model without --quant_method.")
            }
            try layer.lora.checkRank(of: layer.host, "--init_weights lora-ga", layer.path, times: 2)
            try layer.host.$weight.setTrainable(true)
        }
        defer { for layer in layers { layer.host.$weight.tensor?.clearGradient() } }
        let count = start.gradients.passes
        for pass in 0..<count {
            try passes.run(passes.places(ofPass: pass, size: start.gradients.batchSize)).loss.backward()
        }
        let generator = try Generator(seed: seed)
        try withoutGradients {
            for layer in layers {
                let gradient = layer.host.$weight.tensor?.gradient
                layer.host.$weight.tensor?.clearGradient()
                try layer.host.$weight.setTrainable(false)
                guard let gradient else {
                    throw AdapterError("--init_weights lora-ga: \(layer.path) takes no part in the loss; leave it out")
                }
                let lying = try layer.host.layout == .outputsFirst ? gradient : gradient.transposed(0, 1)
                try begin(layer.host, layer.lora, lying.to(.float64) * (1 / Double(count)), generator)
            }
        }
    }

    private func begin(_ linear: Linear, _ lora: LoRA, _ gradient: Tensor, _ generator: Generator) throws {
        let (settings, r) = (start.gradients, lora.rank)
        let (left, s, right) = try gradient.contiguous().singularValueDecomposition()
        let signs = try right.signsOfLargest()  // [k, 1]
        let (u, v) = (try left * signs.transposed(0, 1), try right * signs)
        let places: (a: [Int], b: [Int])
        switch settings.direction {
        case .alternating: places = ((0..<r).map { 2 * $0 + 1 }, (0..<r).map { 2 * $0 })
        case .secondForA: places = (Array(r..<2 * r), Array(0..<r))
        case .firstForA: places = (Array(0..<r), Array(r..<2 * r))
        case .random:
            let drawn = try generator.permutation(of: 2 * r).values(as: Int64.self).prefix(r).map { Int($0) }
            places = (drawn, drawn)
        }
        func index(_ places: [Int]) throws -> Tensor { try Tensor(places.map(Int64.init), device: gradient.device) }
        let lengths = try s.indexed(0, index(places.b))  // [r]
        var a = try v.indexed(0, index(places.a))  // [r, in]
        var b = try u.indexed(1, index(places.b)) * lengths.unsqueezed(0)  // [out, r]
        switch settings.scale {
        case .unit: break
        case .stable:
            // As PEFT, by the first size of the matrix as it lies.
            let outputs = linear.layout == .outputsFirst ? linear.outputs : linear.inputs
            b = try b * (Double(outputs).squareRoot().squareRoot() / Double(settings.gamma).squareRoot())
        case .weights:
            let first = try lengths.narrowed(0, start: 0, length: 1).item()
            guard first > 0 else { break }
            let (_, weights, _) = try linear.matrix.to(.float64).singularValueDecomposition()
            b = try b * (weights.narrowed(0, start: 0, length: 1).item() / first)
        case .steps: (a, b) = (try a / lora.scale, try b / lora.scale)
        }
        try lora.begin(LowRankFactors(a: a, b: b))
    }
}
