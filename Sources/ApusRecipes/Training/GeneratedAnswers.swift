import ApusGeneration
import ApusLanguageModel
import ApusMetrics
import ApusNN
import ApusText
import ApusTraining
import Foundation

/// The next token of answers, and in an evaluation also the answers that the model makes itself.
struct AnsweredTargets: Objective {
    let model: CausalLanguageModel
    let tokenizer: Tokenizer
    /// The most tokens of an answer.
    let limit: Int
    let ends: AnswerEnds
    let options: TokenLossOptions

    func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        try NextToken(model, options).loss(batch, context)
    }

    func evaluation() -> any Evaluation {
        var greedy = Sampling()
        greedy.temperature = 0
        return AnswerEvaluation(
            generator: TokenGenerator(model, sampling: greedy, endTokens: ends.tokens), tokenizer: tokenizer,
            limit: limit, ends: ends, skipsSpecialTokens: model.trunk.startToken != nil)
    }
}

/// Collects greedy answers beside the wanted ones and compares their texts.
///
/// Of a conversation the last answer is asked for, behind all that comes before it.
struct AnswerEvaluation: Evaluation {
    let generator: TokenGenerator
    let tokenizer: Tokenizer
    let limit: Int
    let ends: AnswerEnds
    /// As in `AnswerDecoder`.
    let skipsSpecialTokens: Bool
    private var rows: [(answer: String, wanted: String)] = []

    init(generator: TokenGenerator, tokenizer: Tokenizer, limit: Int, ends: AnswerEnds, skipsSpecialTokens: Bool) {
        self.generator = generator
        self.tokenizer = tokenizer
        self.limit = limit
        self.ends = ends
        self.skipsSpecialTokens = skipsSpecialTokens
    }

    var count: Int { rows.count }

    mutating func add(_ part: MicroLoss, _ batch: TokenBatch) throws {
        let questions = batch.questions
        let answers = try generator.answers(to: questions.map(\.asked), limit: limit)
        for (answer, question) in zip(answers, questions) { rows.append((text(answer), text(question.wanted))) }
    }

    /// The text of an answer up to where it ends; of a wanted one the end is learned too.
    func text(_ ids: [Int32]) -> String {
        let own = ids[..<(ids.lastIndex(where: ends.tokens.contains) ?? ids.endIndex)]
        let text = tokenizer.decode(
            own.filter { $0 != tokenizer.padTokenID }, skipSpecialTokens: skipsSpecialTokens)
        let end = ends.stops.compactMap { text.range(of: $0.text)?.lowerBound }.min()
        return end.map { String(text[..<$0]) } ?? text
    }

    func metrics() throws -> [(name: String, value: Double)] { try AnswerMetrics(rows).values }

    func draw(to folder: String) {}
}

extension TokenBatch {
    /// What is asked in each sequence and the answer that is learned last; sequences without one are left out.
    fileprivate var questions: [(asked: [Int32], wanted: [Int32])] {
        func parts(_ ids: [Int32], _ boundaries: [Int32]) -> [[Int32]] {
            zip(boundaries, boundaries.dropFirst()).map { Array(ids[Int($0)..<Int($1)]) }
        }
        if let source {
            return Array(zip(parts(source.tokens, source.boundaries), parts(targets.labels, boundaries)))
        }
        return zip(boundaries, targetRanges).compactMap { start, range in
            guard !range.isEmpty else { return nil }
            var answer = range.upperBound - 1
            while answer > range.lowerBound, targets.rows[answer - 1] == targets.rows[answer] - 1 { answer -= 1 }
            return (
                asked: Array(tokens[Int(start)...Int(targets.rows[answer])]),
                wanted: Array(targets.labels[answer..<range.upperBound])
            )
        }
    }
}
