import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// Classes or numbers for texts: for every row of a file, with the metrics, or for what a person types.
struct Scoring {
    private let settings: InferSettings
    private let model: SequenceClassifier
    private let labels: LabelScheme
    private let encoder: SequenceEncoder
    private let console: Console
    private let surroundings: Surroundings

    init(_ request: AnswerRequest, model: SequenceClassifier, labels: LabelScheme) throws {
        settings = request.settings
        self.model = model
        self.labels = labels
        let text = try TextParts(request.source, of: model, request.settings.encoding)
        encoder = SequenceEncoder(settings.encoding, text: text, model: model)
        console = Console(style: ConsoleStyle(environment: request.surroundings.environment))
        surroundings = request.surroundings
    }

    func callAsFunction() throws {
        console.print(labels.text)
        if settings.hasData { try scoreRows() } else { try scoreLines() }
    }

    // MARK: - A file

    private func scoreRows() throws {
        var options = LabelledRecognizer.Options()
        options.columns = settings.data.columns
        options.requiresLabel = false
        let rows = try AnsweredRows(
            settings, as: LabelledRecognizer(options), columns: \.otherColumns, console: console,
            surroundings: surroundings)
        var evaluation = ScoreEvaluation(labels.problemType, classNames: labels.map?.names ?? [])
        try rows(
            prepare: sample,
            answer: { group in
                let scores = try self.scores(group.map(\.prepared.sample))
                return zip(group, scores).map { part, scores in
                    let (sample, cut) = part.prepared
                    return Result {
                        let scores = try scores.checked()
                        if let target = sample.target {
                            evaluation.add(scores: [scores], SequenceLabels([target]))
                        }
                        var row = resultRow(part.row, scores, target: sample.target)
                        row.note(tokensCut: cut)
                        return [row]
                    }
                }
            })
        try rows.finish(evaluation, limit: encoder.limit)
    }

    private func sample(_ row: LabelledRow) throws -> (sample: ScoredDataset.Sample, cut: Int) {
        let encoded = try encoder.fitted(encoder.encode(row))
        let sample = ScoredDataset.Sample(
            ids: encoded.ids, segments: encoded.segments, target: try row.label.map { try labels.target(of: $0) })
        return (sample, encoded.cut)
    }

    private func scores(_ samples: [ScoredDataset.Sample]) throws -> [[Double]] {
        try withoutGradients {
            let batch = TokenBatch(samples.map(\.ids), segments: samples.map(\.segments))
            return try model.scores(batch, model.context(for: batch)).rows()
        }
    }

    // MARK: - What a row says

    /// The row of the result file: ms-swift's keys, and the probability of each class.
    private func resultRow(_ row: LabelledRow, _ scores: [Double], target: LabelTarget?) -> JSONObject {
        let prediction = Prediction(scores, labels)
        var result: JSONObject = ["response": prediction.answer]
        result["labels"] = target.map { Prediction.answer(of: $0, labels) } ?? .null
        result["logprobs"] = .null
        if let probabilities = prediction.probabilities { result["probabilities"] = probabilities }
        switch row.content {
        case .messages(let messages): result["messages"] = .array(messages.map(\.json))
        case .text(let text): result["text"] = .string(text)
        case .pair(let first, let second):
            result["text1"] = .string(first)
            result["text2"] = .string(second)
        }
        return result
    }

    // MARK: - A person

    /// Scores typed texts; a tab separates two.
    private func scoreLines() throws {
        let hint = "Give a text a line; a tab separates two texts of a pair."
        let lines = TypedLines(settings, hint: hint, console: console)
        try lines { line in
            let parts = line.split(separator: "\t", maxSplits: 1).map(String.init)
            let row = LabelledRow(parts.count == 2 ? .pair(parts[0], parts[1]) : .text(line))
            let (sample, cut) = try self.sample(row)
            if cut > 0 { console.print(CutPrompts.note(tokens: cut, to: encoder.limit, settings.encoding)) }
            let prediction = Prediction(try scores([sample])[0].checked(), labels)
            let probabilities = prediction.probabilities.map { "  " + $0.serialized() } ?? ""
            return prediction.answer.serialized() + probabilities
        }
    }
}

/// What the scores of one sequence mean.
struct Prediction {
    /// A number or a list of them, a class, or a list of classes.
    let answer: JSONValue
    /// Of each class by its name; nil in a regression.
    let probabilities: JSONValue?

    /// - Parameter scores: Numbers, at least one.
    init(_ scores: [Double], _ labels: LabelScheme) {
        func name(_ id: Int) -> String { labels.map?.names[id] ?? String(id) }
        func named(_ values: [Double]) -> JSONValue {
            .object(values.enumerated().reduce(into: JSONObject()) { $0[name($1.offset)] = .double($1.element) })
        }
        switch labels.problemType {
        case .regression:
            answer = scores.count == 1 ? .double(scores[0]) : .array(scores.map(JSONValue.double))
            probabilities = nil
        case .singleLabel:
            let largest = scores.max() ?? 0
            let powers = scores.map { exp($0 - largest) }
            let best = scores.firstIndex(of: largest) ?? 0
            answer = Self.answer(of: .classID(Int32(best)), labels)
            probabilities = named(powers.map { $0 / powers.reduce(0, +) })
        case .multiLabel:
            let shares = scores.map { 1 / (1 + exp(-$0)) }
            answer = Self.answer(of: .values(shares.map { $0 >= 0.5 ? 1 : 0 }), labels)
            probabilities = named(shares)
        }
    }

    /// A target in the words of the data: a number, a class by name or number, or a list.
    static func answer(of target: LabelTarget, _ labels: LabelScheme) -> JSONValue {
        func value(_ id: Int) -> JSONValue { labels.map.map { .string($0.names[id]) } ?? .int(id) }
        switch target {
        case .classID(let id): return value(Int(id))
        case .values(let values):
            if labels.problemType == .multiLabel {
                return .array(values.indices.filter { values[$0] > 0.5 }.map(value))
            }
            return values.count == 1 ? .shortest(values[0]) : .array(values.map(JSONValue.shortest))
        }
    }
}

extension JSONValue {
    /// A number of 32 bits with as few digits as tell it from its neighbours: 0.95, not 0.949999988079071.
    static func shortest(_ value: Float) -> JSONValue { .double(Double("\(value)") ?? Double(value)) }
}
