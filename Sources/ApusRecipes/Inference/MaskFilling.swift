import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// The likeliest tokens behind masks: of texts on the command line, of every row of a file, or of typed lines.
struct MaskFilling {
    /// A token that may stand behind a mask.
    struct Candidate {
        let token: String
        let id: Int32
        let probability: Double

        var json: JSONValue {
            ["token": .string(token), "id": .int(Int(id)), "probability": .double(probability)]
        }
    }

    private let settings: InferSettings
    private let model: MaskedLanguageModel
    private let tokenizer: Tokenizer
    private let mask: (id: Int32, text: String)
    private let console: Console

    init(_ request: AnswerRequest, model: MaskedLanguageModel) throws {
        settings = request.settings
        self.model = model
        let text = try TextParts(request.source, of: model)
        tokenizer = text.tokenizer
        guard let id = tokenizer.maskTokenID, let name = tokenizer.maskToken else {
            throw ModelError(
                "--task fill-mask: the tokenizer of \(request.source.name) has no mask token. Give a BERT or RoBERTa.")
        }
        mask = (id, name)
        console = Console(style: ConsoleStyle(environment: request.surroundings.environment))
    }

    func callAsFunction() throws {
        let texts = settings.task.dropFirst()
        if !texts.isEmpty {
            for text in texts { StandardOutput.write(try shown(text) + "\n") }
        } else if settings.hasData {
            try fillRows()
        } else {
            try TypedLines(settings, hint: "Give a text with \(mask.text) a line.", console: console)(shown)
        }
    }

    private func shown(_ text: String) throws -> String {
        let filled = try candidates(masked(text))
        var lines: [String] = []
        for (number, candidates) in filled.enumerated() {
            lines.append(filled.count == 1 ? text : "\(text)  (mask \(number + 1))")
            lines += candidates.map { candidate in
                "  \(String(format: "%.4f", candidate.probability))  \(candidate.token)"
            }
        }
        return lines.joined(separator: "\n")
    }

    private func fillRows() throws {
        var options = LabelledRecognizer.Options()
        options.columns = settings.data.columns
        options.requiresLabel = false
        let rows = try AnsweredRows(
            settings, as: LabelledRecognizer(options), columns: \.otherColumns, console: console)
        func text(_ row: LabelledRow) -> String { row.texts.joined(separator: "\n") }
        try rows(
            prepare: { try masked(text($0)) },
            answer: { group in
                try group.map { _, row, masked in
                    let lists = try candidates(masked).map { candidates in JSONValue.array(candidates.map(\.json)) }
                    var result: JSONObject = ["text": .string(text(row)), "response": .array(lists)]
                    if let label = row.label { result["labels"] = label.json }
                    return [result]
                }
            })
        try rows.finish()
    }

    /// A text as the model sees it, with the places of its masks.
    private func masked(_ text: String) throws -> (encoded: EncodedText, places: [Int]) {
        let encoded = tokenizer.encode(text, pair: nil)
        let places = encoded.ids.indices.filter { encoded.ids[$0] == mask.id }
        guard !places.isEmpty else {
            throw ModelError(
                "--task fill-mask: there is no \(mask.text) in \"\(text.prefix(80))\". Put one where a word is wanted.")
        }
        let limit = model.limit(settings.encoding.maxLength)
        guard encoded.ids.count <= limit else {
            throw ModelError("a text has \(encoded.ids.count) tokens, the limit is \(limit). Shorten it.")
        }
        return (encoded, places)
    }

    /// For each mask of a text the likeliest tokens, the best first.
    private func candidates(_ text: (encoded: EncodedText, places: [Int])) throws -> [[Candidate]] {
        let (encoded, places) = text
        return try withoutGradients {
            let batch = TokenBatch([encoded.ids], segments: [encoded.segments])
            let context = try model.context(for: batch)
            let hidden = try model.hiddenStates(batch, context).indexed(
                0, Tensor(places.map(Int32.init), device: model.device))  // [N, D]
            let logits = try model.logits(hidden, context)
            let (values, ids) = try softmax(logits.to(.float32)).top(
                min(settings.generation.topK ?? 5, model.vocabularySize))
            let probabilities = try values.rows()
            let tokens: [Int] = try ids.values()
            return probabilities.enumerated().map { row, probabilities in
                probabilities.enumerated().map { column, probability in
                    let id = Int32(tokens[row * probabilities.count + column])
                    return Candidate(
                        token: tokenizer.decode([id]).trimmingCharacters(in: .whitespaces), id: id,
                        probability: probability)
                }
            }
        }
    }
}

extension RowLabel {
    /// As rows have it.
    fileprivate var json: JSONValue {
        switch self {
        case .integer(let value): .int(value)
        case .number(let value): .double(value)
        case .name(let name): .string(name)
        case .integers(let values): .array(values.map(JSONValue.int))
        case .numbers(let values): .array(values.map(JSONValue.double))
        case .names(let names): .array(names.map(JSONValue.string))
        }
    }
}
