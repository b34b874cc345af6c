import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// Scores of documents for questions: for every row of a file, with the metrics, or for what a person types.
struct Reranking {
    private let settings: InferSettings
    private let model: any SequenceClassifier
    private let encoder: SequenceEncoder
    private let console: Console
    /// The most tokens of a question with a document.
    private let limit: Int

    init(
        _ settings: InferSettings, model: any SequenceClassifier, source: ModelSource, surroundings: Surroundings
    ) throws {
        self.settings = settings
        self.model = model
        let text = try TextParts(source)
        try text.checkFits(model, of: source)
        limit = min(settings.maxLength ?? model.maximumLength, model.maximumLength)
        encoder = SequenceEncoder(
            text: text, isEncoder: model.isEncoder, usesTemplate: settings.useChatTemplate, system: settings.system,
            pairFormat: settings.pairFormat, maximumLength: settings.truncationStrategy == .delete ? nil : limit)
        console = Console(style: ConsoleStyle(environment: surroundings.environment))
    }

    func callAsFunction() throws {
        if settings.hasData { try scoreRows() } else { try scoreLines() }
    }

    /// Writes a row for each document, those of a question best first where the row brought several.
    private func scoreRows() throws {
        var options = RerankerRecognizer.Options()
        options.columns = settings.columns
        options.requiresLabel = false
        let rows = try DatasetLoader(settings).load(
            settings.answered, validation: settings.answeredWhole, as: RerankerRecognizer(options)
        ).validation
        let count = min(rows.count, settings.valDatasetSample ?? rows.count)
        let output = try ResultFile(settings)
        let bar = console.startProgress("Infer", total: count)
        var evaluation = RerankerEvaluation()
        var questions: [String: Int32] = [:]
        for index in 0..<count {
            let row = try rows.recognized(at: index)
            let documents = row.positives.map { ($0, 1) } + row.negatives.map { ($0, 0) }
            let scores = try scores(documents.map { try pair(row.query, $0.0, place: rows.place(of: index)) })
            let question = questions[row.query.text] ?? Int32(questions.count)
            questions[row.query.text] = question
            for (score, (document, relevance)) in zip(scores, documents).sorted(by: { $0.0 > $1.0 }) {
                var result: JSONObject = ["response": .double(shown(score))]
                result["labels"] = row.isJudged ? .int(relevance) : .null
                result["logprobs"] = .null
                result["query"] = .string(row.query.text)
                result["document"] = .string(document.text)
                try output.append(result)
                guard row.isJudged else { continue }
                evaluation.add(score, relevance: Double(relevance), question: question)
            }
            bar.update(to: index + 1)
        }
        bar.finish()
        if evaluation.count > 0 {
            let values = try evaluation.metrics().map { "\($0.name): \(String(format: "%.6f", $0.value))" }
            console.print(
                "metrics, \(evaluation.count) of \(questions.count) questions have relevant and other documents: "
                    + values.joined(separator: ", "))
        }
        console.print("result_path: \(output.path)")
    }

    private func pair(_ query: RowText, _ document: RowText, place: String) throws -> GroupedDataset.Text {
        let encoded = try encoder.encode(query, document)
        guard encoded.ids.count <= limit else {
            throw ModelError(
                "\(place): a question with a document has \(encoded.ids.count) tokens, the limit is \(limit). "
                    + "Raise --max_length where the model allows more, or cut with --truncation_strategy right.")
        }
        return GroupedDataset.Text(ids: encoded.ids, segments: encoded.segments)
    }

    /// The raw scores, some documents at a time.
    private func scores(_ texts: [GroupedDataset.Text]) throws -> [Double] {
        let size = settings.maxBatchSize > 0 ? settings.maxBatchSize : 32
        return try stride(from: 0, to: texts.count, by: size).flatMap { start in
            let part = texts[start..<min(start + size, texts.count)]
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

    /// Scores lines of standard input.
    private func scoreLines() throws {
        console.print("Give a question and a document a line, with a tab between them. An empty line ends.")
        while let line = readLine(), !line.isEmpty {
            let parts = line.split(separator: "\t", maxSplits: 1).map { RowText.text(String($0)) }
            guard parts.count == 2 else {
                console.print("a tab between question and document is missing; give both on one line")
                continue
            }
            let score = try scores([pair(parts[0], parts[1], place: "standard input")])[0]
            FileHandle.standardOutput.write(Data("\(shown(score))\n".utf8))
        }
    }
}
