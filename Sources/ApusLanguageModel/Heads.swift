public import ApusNN
public import ApusTorch

// T tokens, S sequences, N rows, D width, V vocabulary, L scores.

/// The scores of every token of the vocabulary: `cap(s · x Wᵀ + b)`, W a table of its own or that of the word vectors.
open class VocabularyHead: Linear {
    /// Whether the model was made with the table of word vectors as its head; a file may bring another all the same.
    package let isTied: Bool

    /// What hidden states are multiplied with, s: Granite divides its scores, MiniCPM its hidden states.
    package var inputScale = 1.0

    /// What scores come near to and never reach, `c · tanh(score / c)`, as in Gemma 2; nil leaves them as they are.
    package var softCap: Double?

    /// A head of its own.
    package init(width: Int, vocabulary: Int, bias: Bool = false, initializer: Initializer) {
        isTied = false
        super.init(width, vocabulary, bias: bias, initializer: initializer)
    }

    /// The table of word vectors as the head.
    package init(tiedTo embedding: Embedding, bias: Bool = false) {
        isTied = true
        super.init(
            embedding.width, embedding.count, bias: bias, initializer: .zeros, storage: TiedWeight(embedding))
    }

    /// W as the scores are made with it, [V, D].
    open var table: Tensor { get throws { try matrix } }

    /// The scores of every token for hidden states [N, D]: [N, V].
    open func logits(_ rows: Tensor, _ context: ForwardContext) throws -> Tensor {
        let scores = try self(scaled(rows), context)
        return try softCap.map { try tanh(scores / $0) * $0 } ?? scores
    }

    private func scaled(_ rows: Tensor) throws -> Tensor { inputScale == 1 ? rows : try rows * inputScale }

    /// `Σᵢ weightᵢ · CE(logitsᵢ, labelᵢ)` for rows [N, D] that have a target.
    ///
    /// A bare head never holds all logits. With an adapter, a bias or a cap, logits are made for some rows at a time, and again
    /// in the backward pass.
    ///
    /// - Parameters:
    ///   - weights: One for each row, [N]; 1 when absent.
    ///   - form: What stands in the place of CE.
    package func crossEntropy(
        _ rows: Tensor, labels: Tensor, weights: Tensor? = nil, form: TokenLossForm = .crossEntropy,
        _ context: ForwardContext
    ) throws -> TokenLosses {
        if isBare(context) {
            return try linearCrossEntropy(scaled(rows), table, labels: labels, rowWeights: weights, form: form)
        }
        let part = rowsAtATime(on: rows.device)
        var sums: [Tensor] = []
        var parts: [TokenLosses] = []
        for start in stride(from: 0, to: rows.shape[0], by: part) {
            func own(_ x: Tensor) throws -> Tensor {
                try x.narrowed(0, start: start, length: min(part, rows.shape[0] - start))
            }
            let wanted = try own(labels).to(.int64)
            let shares = try weights.map(own)
            let number = parts.count
            func loss(_ x: Tensor) throws -> Tensor {
                let logits = try self.logits(x, context).to(.float32)  // [n, V]
                let part = try ApusTorch.crossEntropy(logits, labels: wanted, rowWeights: shares, form: form)
                // Not when it is made again in the backward pass.
                if parts.count == number { parts.append(part) }
                return part.sum
            }
            sums.append(try isRecordingGradients ? checkpointed(own(rows), loss) : loss(own(rows)))
        }
        return TokenLosses(
            sum: try stacked(sums).sum(), rows: try concatenated(parts.map(\.rows)),
            hits: try concatenated(parts.map(\.hits)))
    }

    /// Whether the scores are the product with the table and nothing else.
    private func isBare(_ context: ForwardContext) -> Bool {
        !adapters.contains { context.adapters.contains($0.name) } && !$bias.isDeclared && softCap == nil
    }

    /// `CE(logitsᵢ, labelᵢ)` and the mean of `logitsᵢ` for each of the rows [N, D] that have a target, both [N].
    ///
    /// As in `crossEntropy` all logits are never there together.
    ///
    /// - Parameter temperature: What logits are divided by.
    package func tokenLosses(
        _ rows: Tensor, labels: Tensor, temperature: Double = 1, _ context: ForwardContext
    ) throws -> (losses: Tensor, meanLogits: Tensor) {
        if isBare(context) {
            let scaled = try scaled(rows)
            return try linearTokenLosses(temperature == 1 ? scaled : scaled / temperature, table, labels: labels)
        }
        let part = rowsAtATime(on: rows.device)
        var losses: [Tensor] = []
        var means: [Tensor] = []
        for start in stride(from: 0, to: rows.shape[0], by: part) {
            func own(_ x: Tensor) throws -> Tensor {
                try x.narrowed(0, start: start, length: min(part, rows.shape[0] - start))
            }
            let wanted = try own(labels).to(.int64)
            let number = means.count
            func loss(_ x: Tensor) throws -> Tensor {
                let made = try self.logits(x, context)
                let wide = try made.dtype == .float64 ? made : made.to(.float32)
                let logits = temperature == 1 ? wide : try wide / temperature  // [n, V]
                if means.count == number { means.append(try withoutGradients { try logits.mean(-1) }) }
                return try -logSoftmax(logits).gathered(1, wanted.unsqueezed(1)).squeezed(1)  // [n]
            }
            losses.append(try isRecordingGradients ? checkpointed(own(rows), loss) : loss(own(rows)))
        }
        return (try concatenated(losses), try concatenated(means))
    }
}

extension VocabularyHead {
    /// The entropy of what may come behind each of the rows [N, D], `−Σ p ln p` [N], without gradients.
    ///
    /// - Parameter temperature: What logits are divided by.
    package func entropies(_ rows: Tensor, temperature: Double = 1, _ context: ForwardContext) throws -> Tensor {
        try withoutGradients {
            let part = rowsAtATime(on: rows.device)
            let parts = try stride(from: 0, to: rows.shape[0], by: part).map { start in
                let own = try rows.narrowed(0, start: start, length: min(part, rows.shape[0] - start))
                let made = try logits(own, context)
                let wide = try made.dtype == .float64 ? made : made.to(.float32)
                let scores = try logSoftmax(wide / temperature)  // [n, V]
                return try -(exp(scores) * scores).sum(-1)
            }
            return try concatenated(parts)
        }
    }
}

extension Tensor {
    /// In float32, or in float64 where it is: what scores of sequences are computed in.
    package func widened() throws -> Tensor { dtype == .float64 ? self : try to(.float32) }
}

/// Scores of whole sequences from the hidden states of a flat batch.
open class ScoreHead: Module {
    open var labelCount: Int { preconditionFailure("\(type(of: self)) does not say how many scores it gives") }

    /// Hidden states [T, D] → [S, L] in float32, or in float64 where the model is.
    open func callAsFunction(
        _ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext
    ) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }
}

/// `W h` of each sequence's last token that is not padding, as decoders score.
package final class LastTokenHead: ScoreHead {
    @Child("") private var score: Linear

    /// Of tokens with this id at the end of a sequence the last one before them counts, as in `transformers`.
    private let padding: Int32?

    package init(width: Int, labelCount: Int, padding: Int32?, initializer: Initializer) {
        self.padding = padding
        super.init()
        score = Linear(width, labelCount, bias: false, initializer: initializer)
    }

    package override var labelCount: Int { score.outputs }

    package override func callAsFunction(
        _ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext
    ) throws -> Tensor {
        let last = try hidden.indexed(0, Tensor(batch.lastRows(before: padding), device: hidden.device))  // [S, D]
        return try score(last.dtype == .float64 ? last : last.to(.float32), context)  // [S, L]
    }
}

/// The scores of every token behind a mask, from hidden states [N, D].
open class MaskedHead: Module {
    /// The layer whose outputs are the scores.
    open var vocabularyLayer: Linear? { nil }

    open func callAsFunction(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }
}
