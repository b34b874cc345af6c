package import ApusNN
package import ApusTorch

// N rows that have a target, D width of the model, D' of its teacher, V vocabulary.

/// How far a model is from its teacher on a token, and what is beside it.
package struct DivergenceForm: Sendable, Equatable {
    /// 0 is `KL(teacher‖student)`, 1 is `KL(student‖teacher)`, and between it is a mix.
    package var beta: Double
    /// What the scores of both are divided by.
    package var temperature: Double
    /// How many of the teacher's best tokens are looked at, both distributions being those among them; nil is all.
    package var topK: Int?
    /// The weight of `-log p` of the target.
    package var likelihoodWeight: Double

    package init(beta: Double = 0.5, temperature: Double = 1, topK: Int? = nil, likelihoodWeight: Double = 0) {
        self.beta = beta
        self.temperature = temperature
        self.topK = topK
        self.likelihoodWeight = likelihoodWeight
    }
}

/// What a teacher makes scores of: its head, and its hidden states of the rows that have a target.
package struct TeacherRows {
    let head: VocabularyHead
    let rows: Tensor  // [N, D']
    let context: ForwardContext

    package init(_ head: VocabularyHead, rows: Tensor, _ context: ForwardContext) {
        (self.head, self.rows, self.context) = (head, rows, context)
    }
}

/// Sums over N rows.
package struct DivergenceSums {
    /// The divergence and its likelihood by their weights; its gradient is taken.
    package let loss: Tensor
    /// The divergence alone, without a gradient.
    package let divergence: Tensor
    /// `-log p` of the targets alone; nil where its weight is 0.
    package let likelihood: Tensor?
}

extension VocabularyHead {
    /// `Σᵢ JSD_β(pᵢ, qᵢ) + weight · CE(zᵢ, labelᵢ)` of rows [N, D], p being softmax(z/τ) and q the teacher's.
    ///
    /// The scores of some rows exist at a time, those of the teacher too. Where nothing of the head trains, the gradient with
    /// respect to the rows is made together with the loss; else scores are made again in the backward pass.
    ///
    /// Tokens that only one of the two tables has take no part.
    ///
    /// - Parameter labels: The targets, [N].
    package func divergence(
        _ rows: Tensor, from teacher: TeacherRows, labels: Tensor, _ form: DivergenceForm, _ context: ForwardContext
    ) throws -> DivergenceSums {
        let count = rows.shape[0]
        let part = max(16, min(256, Self.scoresAtATime / max(1, outputs)))
        let trains = try isRecordingGradients && requiresGradient(rows, context)
        let makesGradient = isRecordingGradients && !trains && rows.requiresGradient
        var (losses, divergences, likelihoods, gradients): ([Tensor], [Tensor], [Tensor], [Tensor]) = ([], [], [], [])
        for start in stride(from: 0, to: count, by: part) {
            func own(_ x: Tensor) throws -> Tensor {
                try x.narrowed(0, start: start, length: min(part, count - start))
            }
            let (theirs, wanted) = (try own(teacher.rows), try own(labels).to(.int64))
            let number = divergences.count
            func loss(_ x: Tensor) throws -> Tensor {
                let scores = try logits(x, context)  // [n, V]
                let found = try self.divergence(
                    scores, from: withoutGradients { try teacher.head.logits(theirs, teacher.context) }, form)
                let likelihood =
                    try form.likelihoodWeight > 0
                    ? ApusTorch.crossEntropy(scores, labels: wanted, form: .crossEntropy).sum : nil
                // Not when it is made again in the backward pass.
                if divergences.count == number {
                    divergences.append(try found.detached())
                    if let likelihood { likelihoods.append(try likelihood.detached()) }
                }
                return try likelihood.map { try found + $0 * form.likelihoodWeight } ?? found
            }
            if trains {
                losses.append(try checkpointed(own(rows), loss))
            } else if makesGradient {
                let x = try own(rows).detached()
                try x.setRequiresGradient(true)
                let sum = try loss(x)
                try sum.backward()
                if let gradient = x.gradient { gradients.append(gradient) }
                losses.append(try sum.detached())
            } else {
                losses.append(try loss(own(rows)))
            }
        }
        var sum = try stacked(losses).sum()
        if makesGradient { sum = try carrying(sum, gradient: concatenated(gradients), of: rows) }
        return DivergenceSums(
            loss: sum, divergence: try stacked(divergences).sum(),
            likelihood: try likelihoods.isEmpty ? nil : stacked(likelihoods).sum())
    }

    /// Scores of a chunk, 64 MiB in float32; there are three such tensors, those of the teacher and the gradient among them.
    private static let scoresAtATime = 1 << 24

    /// `Σᵢ JSD_β` of scores [n, V].
    private func divergence(_ scores: Tensor, from teacher: Tensor, _ form: DivergenceForm) throws -> Tensor {
        var (scores, teacher) = (scores, teacher)
        let shared = min(scores.shape[1], teacher.shape[1])
        if scores.shape[1] > shared { scores = try scores.narrowed(1, start: 0, length: shared) }
        if teacher.shape[1] > shared { teacher = try teacher.narrowed(1, start: 0, length: shared) }
        if let topK = form.topK, topK < shared {
            let (values, indices) = try teacher.top(topK)  // [n, k]
            (scores, teacher) = (try scores.gathered(1, indices), values)
        }
        return try ApusTorch.divergence(scores, from: teacher, beta: form.beta, temperature: form.temperature).sum()
    }

    /// Whether scores have a gradient of their own, whatever they are made of.
    private func requiresGradient(_ rows: Tensor, _ context: ForwardContext) throws -> Bool {
        try logits(rows.narrowed(0, start: 0, length: 1).detached(), context).requiresGradient
    }
}
