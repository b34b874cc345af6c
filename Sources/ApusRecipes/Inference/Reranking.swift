import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// Scores of documents for questions: for every row of a file, with the metrics, or for what a person types.
struct Reranking {
    private let settings: InferSettings
    private let model: SequenceClassifier
    private let encoder: SequenceEncoder
    private let console: Console
    private let surroundings: Surroundings

    init(_ request: AnswerRequest, model: SequenceClassifier) throws {
        settings = request.settings
        self.model = model
        let text = try TextParts(request.source, of: model, request.settings.encoding)
        encoder = SequenceEncoder(settings.encoding, text: text, model: model)
        console = Console(style: ConsoleStyle(environment: request.surroundings.environment))
        surroundings = request.surroundings
    }

    func callAsFunction() throws {
        if settings.hasData { try scoreRows() } else { try scoreLines() }
    }

    /// Writes a row for each document, those of a question best first where the row brought several.
    private func scoreRows() throws {
        var options = RerankerRecognizer.Options()
        options.columns = settings.data.columns
        options.requiresLabel = false
        let rows = try AnsweredRows(
            settings, as: RerankerRecognizer(options), columns: \.otherColumns, console: console,
            surroundings: surroundings)
        var evaluation = RerankerEvaluation()
        var questions: [String: Int32] = [:]
        try rows(
            prepare: { row in try (row.positives + row.negatives).map { try pair(row.query, $0) } },
            answer: { group in
                var scores = try self.scores(group.flatMap(\.prepared))[...]
                return group.map { _, row, pairs in
                    let own = scores.prefix(pairs.count)
                    scores = scores.dropFirst(pairs.count)
                    return Result {
                        _ = try Array(own).checked()
                        let question = questions[row.query.text] ?? Int32(questions.count)
                        questions[row.query.text] = question
                        let documents = row.positives.map { ($0, 1) } + row.negatives.map { ($0, 0) }
                        let judged = zip(zip(own, pairs), documents).sorted { $0.0.0 > $1.0.0 }
                        return judged.map { scored, document -> JSONObject in
                            let (score, sequence) = scored
                            if row.isJudged { evaluation.add(score, relevance: Double(document.1), question: question) }
                            var result: JSONObject = ["response": .double(shown(score))]
                            result["labels"] = row.isJudged ? .int(document.1) : .null
                            result["logprobs"] = .null
                            result["query"] = .string(row.query.text)
                            result["document"] = .string(document.0.text)
                            result.note(tokensCut: sequence.cut)
                            return result
                        }
                    }
                }
            })
        try rows.finish(
            evaluation, of: "\(questions.count) questions, those with relevant and other documents",
            limit: encoder.limit)
    }

    private func pair(_ query: RowText, _ document: RowText) throws -> EncodedSequence {
        try encoder.fitted(encoder.encode(query, document))
    }

    /// The raw scores, some documents at a time.
    private func scores(_ texts: [EncodedSequence]) throws -> [Double] {
        try stride(from: 0, to: texts.count, by: settings.groupSize).flatMap { start in
            let part = texts[start..<min(start + settings.groupSize, texts.count)]
            return try withoutGradients {
                let batch = TokenBatch(part.map(\.ids), segments: part.map(\.segments))
                return try model.scores(batch, model.context(for: batch)).rows().map { $0[0] }
            }
        }
    }

    /// A score as it is written: between 0 and 1 by a sigmoid, unless that was declined.
    private func shown(_ score: Double) -> Double {
        settings.rerankerUseActivation ? 1 / (1 + exp(-score)) : score
    }

    /// Scores typed questions with a document each.
    private func scoreLines() throws {
        let hint = "Give a question and a document a line, with a tab between them."
        let lines = TypedLines(settings, hint: hint, console: console)
        try lines { line in
            let parts = line.split(separator: "\t", maxSplits: 1).map { RowText.text(String($0)) }
            guard parts.count == 2 else {
                throw ModelError("a tab between question and document is missing; give both on one line")
            }
            let sequence = try pair(parts[0], parts[1])
            if sequence.isCut {
                console.print(CutPrompts.note(tokens: sequence.cut, to: encoder.limit, settings.encoding))
            }
            return "\(shown(try scores([sequence]).checked()[0]))"
        }
    }
}
