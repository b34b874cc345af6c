package import ApusLanguageModel
package import ApusNN
import ApusTorch

// S sequences, G groups, N documents of all groups, P width of a vector.

/// What is asked of the vectors of texts that belong together.
package enum SentenceLoss: Sendable, Equatable {
    /// `(cos(a, b) - label)²`, the CosineSimilarityLoss of sentence-transformers.
    case cosineSimilarity
    /// `½ (y d² + (1 - y) max(0, margin - d)²)` with `d = 1 - cos(a, b)` and y 1 for near, 0 for far.
    ///
    /// Hadsell et al. 2006, <http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf>; margin and distance
    /// are those of sentence-transformers.
    case contrastive(margin: Double)
    /// Cross entropy of each anchor's positive among the positives and negatives of the whole micro-batch, with
    /// `cos / temperature` as logits.
    ///
    /// Van den Oord et al. 2018, <https://arxiv.org/abs/1807.03748>.
    case infoNCE(temperature: Double)
}

/// Vectors that lie near or far as their groups say; the sum of a group's losses is divided by the count of groups.
package struct SentencePairs: Objective {
    private let embedder: SentenceEmbedder
    private let kind: SentenceLoss

    package init(_ embedder: SentenceEmbedder, _ kind: SentenceLoss) {
        self.embedder = embedder
        self.kind = kind
    }

    package func evaluation() -> any Evaluation { SentenceEvaluation() }

    /// Texts of other groups are negatives where they share a micro-batch.
    package var isAdditive: Bool {
        if case .infoNCE = kind { false } else { true }
    }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        guard case .groups(let groups) = batch.labels else {
            throw ModelError("texts without groups cannot be compared with each other")
        }
        let vectors = try embedder(batch, context)  // [S, P]
        let directions = try vectors.rowsNormalized()  // [S, P]
        let starts = SequenceGroup.starts(groups)
        func rows(_ indices: [Int32]) throws -> Tensor {
            try directions.indexed(0, Tensor(indices, device: directions.device))
        }
        let anchors = try rows(starts)  // [G, P]

        if case .infoNCE(let temperature) = kind {
            let documents = Set(starts)
            let others = (0..<Int32(batch.sequenceCount)).filter { !documents.contains($0) }
            let logits = try matmul(anchors, rows(others).transposed(0, 1)) / temperature  // [G, N]
            // Before a group's positive lie the documents of the groups before it.
            let positives = zip(starts, Int32(0)...).map { $0 - $1 }
            let labels = try Tensor(positives, device: logits.device)
            return MicroLoss(
                sum: try crossEntropySum(logits, labels), targets: groups.count,
                tallies: [Tally("acc", try hits(logits, labels), count: groups.count)], outputs: vectors)
        }
        let labels = try Tensor(groups.map { $0.label ?? .nan }, device: directions.device)  // [G]
        let cosines = try (anchors * rows(starts.map { $0 + 1 })).sum(1)  // [G]
        let sum: Tensor
        if case .contrastive(let margin) = kind {
            let distances = try 1 - cosines
            let near = try labels * distances.power(2)
            let far = try (1 - labels) * relu(margin - distances).power(2)
            sum = try (near + far).sum() * 0.5
        } else {
            sum = try (cosines - labels).power(2).sum()
        }
        return MicroLoss(sum: sum, targets: groups.count, outputs: vectors)
    }
}

private func - (a: Double, b: Tensor) throws -> Tensor { try -b + a }

/// Scores of documents for questions, learned document by document or question by question.
///
/// Pointwise: binary cross entropy of each document's score, divided by the count of documents. Listwise: cross entropy
/// of each positive among itself and the negatives of its question, divided by the count of positives that have
/// negatives (ListNet's top-one form; Cao et al. 2007, <https://doi.org/10.1145/1273496.1273513>).
package struct DocumentScores: Objective {
    private let model: SequenceClassifier
    private let isListwise: Bool

    package init(_ model: SequenceClassifier, isListwise: Bool) {
        self.model = model
        self.isListwise = isListwise
    }

    package func evaluation() -> any Evaluation { RerankerEvaluation() }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        guard case .groups(let groups) = batch.labels else {
            throw ModelError("documents without questions cannot be ranked")
        }
        let scores = try model.scores(batch, context)  // [S, 1]
        guard isListwise else {
            let wanted = groups.flatMap(\.relevances)
            let labels = try Tensor(wanted, shape: [wanted.count, 1], device: scores.device)
            return MicroLoss(sum: try binaryCrossEntropySum(scores, labels), targets: wanted.count, outputs: scores)
        }
        // A question with one document alone teaches nothing.
        var sum = try scores.sum() * 0
        var targets = 0
        let flat = try scores.reshaped([-1])  // [S]
        for (group, start) in zip(groups, SequenceGroup.starts(groups)) where group.negatives > 0 {
            let negatives = (0..<Int32(group.negatives)).map { start + Int32(group.positives) + $0 }
            for positive in 0..<Int32(group.positives) {
                let rows = try Tensor([start + positive] + negatives, device: scores.device)
                let logits = try flat.indexed(0, rows).unsqueezed(0)  // [1, 1 + negatives]
                sum = try sum + crossEntropySum(logits, Tensor([Int32(0)], device: scores.device))
                targets += 1
            }
        }
        return MicroLoss(sum: sum, targets: targets, outputs: scores)
    }
}

extension SequenceGroup {
    /// The first sequence of each group.
    static func starts(_ groups: [SequenceGroup]) -> [Int32] {
        var next: Int32 = 0
        return groups.map { group in
            defer { next += Int32(group.count) }
            return next
        }
    }

    /// 1 for each positive, then 0 for each negative.
    var relevances: [Float] {
        Array(repeating: 1, count: positives) + Array(repeating: 0, count: negatives)
    }
}
