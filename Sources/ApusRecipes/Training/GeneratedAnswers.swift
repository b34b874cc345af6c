import ApusGeneration
import ApusLanguageModel
import ApusMetrics
import ApusNN
import ApusText
import ApusTraining

/// The next token of answers, and in an evaluation also the answers that the model makes itself.
struct AnsweredTargets: Objective {
    let model: CausalLanguageModel
    let tokenizer: Tokenizer
    /// The most tokens of an answer.
    let limit: Int
    let endTokens: Set<Int32>

    func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        try NextToken(model).loss(batch, context)
    }

    func evaluation() -> any Evaluation {
        var greedy = Sampling()
        greedy.temperature = 0
        return AnswerEvaluation(
            generator: TokenGenerator(model, sampling: greedy, endTokens: endTokens), tokenizer: tokenizer,
            limit: limit)
    }
}

/// Collects greedy answers beside the wanted ones and compares their texts.
struct AnswerEvaluation: Evaluation {
    let generator: TokenGenerator
    let tokenizer: Tokenizer
    let limit: Int
    private var rows: [(answer: String, wanted: String)] = []

    init(generator: TokenGenerator, tokenizer: Tokenizer, limit: Int) {
        self.generator = generator
        self.tokenizer = tokenizer
        self.limit = limit
    }

    var count: Int { rows.count }

    mutating func add(_ part: MicroLoss, _ batch: TokenBatch) throws {
        guard let source = batch.source else { return }
        func parts(_ ids: [Int32], _ boundaries: [Int32]) -> [[Int32]] {
            zip(boundaries, boundaries.dropFirst()).map { Array(ids[Int($0)..<Int($1)]) }
        }
        let answers = try generator.answers(to: parts(source.tokens, source.boundaries), limit: limit)
        func text(_ ids: [Int32]) -> String { tokenizer.decode(ids, skipSpecialTokens: true) }
        for (answer, wanted) in zip(answers, parts(batch.targets.labels, batch.boundaries)) {
            rows.append((text(answer), text(wanted)))
        }
    }

    func metrics() throws -> [(name: String, value: Double)] { try AnswerMetrics(rows).values }

    func draw(to folder: String) {}
}
