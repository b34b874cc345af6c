import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// Vectors of texts: for every row of a file, with the likeness of pairs and the metrics, or for what a person types.
struct Embedding {
    private let settings: InferSettings
    private let embedder: SentenceEmbedder
    private let files: SentenceFiles
    private let encoder: SequenceEncoder
    private let console: Console
    private let surroundings: Surroundings

    init(_ request: AnswerRequest, embedder: SentenceEmbedder, files: SentenceFiles) throws {
        settings = request.settings
        self.files = files
        let text = try TextParts(request.source, of: embedder.model, request.settings.encoding)
        self.embedder = files.embedder(embedder.model, promptOf: text.tokenizer)
        encoder = SequenceEncoder(
            settings.encoding, text: text, model: embedder.model, files: files, usesPrompt: true)
        console = Console(style: ConsoleStyle(environment: request.surroundings.environment))
        surroundings = request.surroundings
    }

    func callAsFunction() throws {
        console.print(files.text)
        if settings.hasData { try embedRows() } else { try embedLines() }
    }

    private func embedRows() throws {
        var options = EmbeddingRecognizer.Options()
        options.columns = settings.data.columns
        options.requiresPositive = false
        options.label = .scoreIfGiven
        let rows = try AnsweredRows(
            settings, as: EmbeddingRecognizer(options), columns: \.otherColumns, console: console,
            surroundings: surroundings)
        var evaluation = SentenceEvaluation()
        try rows(
            prepare: { row in
                try [sequence(row.anchor, of: row.otherColumns)] + others(row).map { try sequence($0) }
            },
            answer: { group in
                var vectors = try self.vectors(group.flatMap { $0.prepared.map(\.ids) })[...]
                return group.map { _, row, sequences in
                    let own = Array(vectors.prefix(sequences.count))
                    vectors = vectors.dropFirst(sequences.count)
                    return Result {
                        for vector in own { _ = try vector.checked() }
                        if row.positive != nil, let label = row.label {
                            evaluation.add(own[0], own[1], label: Double(label))
                        }
                        var result = result(row, own)
                        result.note(tokensCut: sequences.reduce(0) { $0 + $1.cut })
                        return [result]
                    }
                }
            })
        try rows.finish(evaluation, limit: encoder.limit)
    }

    private func others(_ row: EmbeddingRow) -> [RowText] { (row.positive.map { [$0] } ?? []) + row.negatives }

    private func sequence(_ text: RowText, of columns: JSONObject = [:]) throws -> EncodedSequence {
        try encoder.fitted(encoder.encode(text, of: columns))
    }

    private func vectors(_ sequences: [[Int32]]) throws -> [[Double]] {
        try withoutGradients {
            let batch = TokenBatch(sequences)
            return try embedder(batch, embedder.model.context(for: batch)).rows()
        }
    }

    /// The row of the result file: ms-swift's keys, and for texts with others the vector and likeness of those.
    private func result(_ row: EmbeddingRow, _ vectors: [[Double]]) -> JSONObject {
        func json(_ vector: [Double]) -> JSONValue {
            .array(vector.map { .shortest(Float($0)) })
        }
        func likeness(_ other: [Double]) -> JSONValue {
            .double(EmbeddingMetrics.Likeness.cosine(vectors[0], other))
        }
        var result: JSONObject = ["response": json(vectors[0])]
        result["labels"] = row.label.map(JSONValue.shortest) ?? .null
        result["logprobs"] = .null
        result["messages"] = row.anchor.json
        if let positive = row.positive {
            result["similarity"] = likeness(vectors[1])
            result["positive_messages"] = .array([positive.json])
            result["positive_response"] = json(vectors[1])
        }
        if !row.negatives.isEmpty {
            let negatives = vectors.suffix(row.negatives.count)
            result["negative_similarities"] = .array(negatives.map(likeness))
            result["negative_messages"] = .array(row.negatives.map(\.json))
        }
        return result
    }

    /// Vectors of typed texts; of two with a tab between them the cosine.
    private func embedLines() throws {
        let hint = "Give a text a line for its vector, two with a tab between them for their cosine."
        let lines = TypedLines(settings, hint: hint, console: console)
        try lines { line in
            let parts = line.split(separator: "\t", maxSplits: 1).map { RowText.text(String($0)) }
            guard !parts.isEmpty else { throw ModelError("there is no text in the line") }
            let sequences = try parts.map { try sequence($0) }
            for cut in sequences.map(\.cut) where cut > 0 {
                console.print(CutPrompts.note(tokens: cut, to: encoder.limit, settings.encoding))
            }
            let vectors = try vectors(sequences.map(\.ids)).map { try $0.checked() }
            let row = EmbeddingRow(anchor: parts[0], positive: parts.count == 2 ? parts[1] : nil)
            return (result(row, vectors)[parts.count == 2 ? "similarity" : "response"] ?? .null).serialized()
        }
    }
}

extension RowText {
    /// As rows have it: a list of messages.
    var json: JSONValue {
        switch self {
        case .text(let text): .array([Message(role: "user", content: text).json])
        case .messages(let messages): .array(messages.map(\.json))
        }
    }
}
