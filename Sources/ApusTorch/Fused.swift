internal import CTorch

// Operations with hand-written gradients (Sources/CTorch/fused). Each is tested against the formula of its docstring.

/// `x Wᵀ + b` — x [T, in], weight [out, in], bias [out].
public func linear(_ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil) throws -> Tensor {
    try Tensor(owning: withHandles(x, weight) { x, w in withHandle(ifPresent: bias) { ct_linear(x, w, $0) } })
}

/// `x Wᵀ + b + scale · (drop(x) Aᵀ) Bᵀ` — A [rank, in], B [out, rank]; `key` decides which elements are dropped.
package func loraLinear(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor?, a: Tensor, b: Tensor, scale: Double, dropout: Double, key: UInt64
) throws -> Tensor {
    try Tensor(
        owning: withHandles(x, weight) { x, weight in
            withHandles(a, b) { a, b in
                withHandle(ifPresent: bias) { ct_lora_linear(x, weight, $0, a, b, scale, dropout, key) }
            }
        })
}

/// `weight · x / √(mean(x²) + ε)` over the last axis.
///
/// Zhang and Sennrich 2019, <https://arxiv.org/abs/1910.07467>.
package func rmsNorm(_ x: Tensor, _ weight: Tensor, epsilon: Double) throws -> Tensor {
    try Tensor(owning: withHandles(x, weight) { ct_rms_norm($0, $1, epsilon) })
}

/// `(x - mean) / √(variance + ε) · weight + bias` over the last axis.
///
/// Ba et al. 2016, <https://arxiv.org/abs/1607.06450>.
package func layerNorm(_ x: Tensor, _ weight: Tensor, _ bias: Tensor, epsilon: Double) throws -> Tensor {
    try Tensor(owning: withHandles(x, weight, bias) { ct_layer_norm($0, $1, $2, epsilon) })
}

/// `x Φ(x)`, or `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
///
/// Hendrycks and Gimpel 2016, <https://arxiv.org/abs/1606.08415>.
package func gelu(_ x: Tensor, approximatesByTanh: Bool = false) throws -> Tensor {
    try Tensor(owning: withHandles(x) { ct_gelu($0, approximatesByTanh) })
}

/// `silu(gate) · up`.
///
/// Shazeer 2020, <https://arxiv.org/abs/2002.05202>.
package func swiglu(gate: Tensor, up: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(gate, up) { ct_swiglu($0, $1) })
}

/// Rotates the pairs (i, i + E/2) of x [T, H, E] by angles given as cosines and sines, [T, E/2] in float32.
package func rotated(_ x: Tensor, cosines: Tensor, sines: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(x, cosines, sines) { ct_rope($0, $1, $2) })
}

/// `x · mask / (1 - p)`; the mask is a pure function of `key`.
package func dropout(_ x: Tensor, probability: Double, key: UInt64) throws -> Tensor {
    try Tensor(owning: withHandles(x) { ct_dropout($0, probability, key) })
}

/// The rows of `weight` [V, D] that the ids [T] name: [T, D].
package func embedding(_ ids: Tensor, _ weight: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(weight, ids) { ct_embedding($0, $1) })
}

/// What a row's part in a loss over tokens is made of.
package enum TokenLossForm: Sendable, Equatable {
    /// `-log p(label)`.
    case crossEntropy
    /// `-(1-ε) log p(label) - ε meanⱼ log p(j)`: Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>.
    case smoothed(Double)
    /// `-p(label) log p(label)`, of which p alone has no gradient: Wu et al. 2025, <https://arxiv.org/abs/2508.05629>.
    case dynamic
}

/// A loss over N rows that have a label.
package struct TokenLosses {
    /// A scalar; its gradient is taken.
    package let sum: Tensor
    /// What each row adds to the sum, without gradients, [N].
    package let rows: Tensor
    /// 1 where the label is the argmax, else 0, [N].
    package let hits: Tensor

    package init(sum: Tensor, rows: Tensor, hits: Tensor) {
        self.sum = sum
        self.rows = rows
        self.hits = hits
    }
}

/// Rows whose scores of a whole vocabulary are made at a time: on the processor what its caches hold beside the table, on a
/// device enough for full products.
package func rowsAtATime(on device: Device) -> Int { device == .cpu ? 256 : 2048 }

/// `Σᵢ weightᵢ · CE(xᵢ Wᵀ, labelᵢ)`, without ever holding all logits.
///
/// - Parameters:
///   - x: The hidden states of the rows that have a target, [N, D].
///   - weight: The head, [V, D].
///   - labels: One id a row, [N].
///   - rowWeights: The weight of each row's loss; 1 when absent.
///   - chunk: Rows whose logits exist at a time; by default as many as suit the device.
///   - form: What stands in the place of CE.
package func linearCrossEntropy(
    _ x: Tensor, _ weight: Tensor, labels: Tensor, rowWeights: Tensor? = nil, chunk: Int? = nil,
    form: TokenLossForm = .crossEntropy
) throws -> TokenLosses {
    var (rows, hits): (ct_tensor?, ct_tensor?)
    let chunk = Int64(chunk ?? rowsAtATime(on: x.device))
    let smoothing = if case .smoothed(let share) = form { share } else { 0.0 }
    let sum = try Tensor(
        owning: withHandles(x, weight, labels) { x, weight, labels in
            withHandle(ifPresent: rowWeights) {
                ct_linear_cross_entropy(
                    x, weight, labels, $0, chunk, smoothing, form == .dynamic, &rows, &hits)
            }
        })
    return TokenLosses(sum: sum, rows: try Tensor(owning: rows), hits: try Tensor(owning: hits))
}

/// The same from logits [N, V], which are there whole.
package func crossEntropy(
    _ logits: Tensor, labels: Tensor, rowWeights: Tensor? = nil, form: TokenLossForm
) throws -> TokenLosses {
    let wide = logits.dtype.isShortFloat ? try logits.to(.float32) : logits
    let chances = try logSoftmax(wide)  // [N, V]
    var rows = try -chances.gathered(1, labels.to(.int64).unsqueezed(1)).squeezed(1)  // [N]
    switch form {
    case .crossEntropy: break
    case .smoothed(let share): rows = try rows * (1 - share) - chances.mean(1) * share
    case .dynamic: rows = try rows * exp(-rows).detached()
    }
    if let rowWeights { rows = try rows * rowWeights }
    let hits = try withoutGradients { try wide.argmax(1).isEqual(to: labels.to(.int64)).to(wide.dtype) }
    return TokenLosses(sum: try rows.sum(), rows: try rows.detached(), hits: hits)
}

/// `CE(xᵢ Wᵀ, labelᵢ)` of each row, [N], and the mean of each row's logits, [N], without ever holding all logits.
///
/// For losses that are made of many rows, so that what a row counts is known only when all are there.
///
/// - Parameters:
///   - x: The hidden states of the rows that have a target, [N, D].
///   - weight: The head, [V, D]; where it trains, the backward pass makes the logits again.
///   - labels: One id a row, [N].
///   - chunk: Rows whose logits exist at a time; by default as many as suit the device.
package func linearTokenLosses(
    _ x: Tensor, _ weight: Tensor, labels: Tensor, chunk: Int? = nil
) throws -> (losses: Tensor, meanLogits: Tensor) {
    var means: ct_tensor?
    let chunk = Int64(chunk ?? rowsAtATime(on: x.device))
    let losses = try Tensor(
        owning: withHandles(x, weight, labels) { ct_linear_token_losses($0, $1, $2, chunk, &means) })
    return (losses, try Tensor(owning: means))
}

/// How far a model's distribution is from a teacher's: JSD_β of softmax(z/τ) and softmax(y/τ), for each row, [N].
///
/// β 0 is `Σ T ln(T/S)`, 1 is `Σ S ln(S/T)`, and between `β Σ T ln(T/M) + (1-β) Σ S ln(S/M)` with `M = (1-β) S + β T`.
/// Agarwal et al. 2023, <https://arxiv.org/abs/2306.13649>.
///
/// - Parameters:
///   - logits: z, [N, V]; a gradient reaches them alone.
///   - teacher: y, [N, V].
package func divergence(_ logits: Tensor, from teacher: Tensor, beta: Double, temperature: Double) throws -> Tensor {
    try Tensor(owning: withHandles(logits, teacher) { ct_divergence($0, $1, beta, temperature) })
}

/// `Σᵢ CE(logitsᵢ, labelᵢ)`: cross entropy from logits [N, V] and labels [N], summed.
public func crossEntropySum(_ logits: Tensor, _ labels: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(logits, labels) { ct_cross_entropy_sum($0, $1) })
}

/// `Σ log(1 + eˣ) - x · target`: binary cross entropy of logits and targets of the same shape, summed.
package func binaryCrossEntropySum(_ logits: Tensor, _ targets: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(logits, targets) { ct_binary_cross_entropy_sum($0, $1) })
}
