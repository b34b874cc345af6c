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
    private let settings: InferSettings
    private let reader: MaskReader
    private let console: Console
    private let surroundings: Surroundings

    init(_ request: AnswerRequest, model: MaskedLanguageModel) throws {
        settings = request.settings
        reader = try MaskReader(model, of: request.source)
        console = Console(style: ConsoleStyle(environment: request.surroundings.environment))
        surroundings = request.surroundings
    }

    func callAsFunction() throws {
        let texts = settings.task.dropFirst()
        if !texts.isEmpty {
            for text in texts { try StandardOutput.writeLine(shown(text)) }
        } else if settings.hasData {
            try fillRows()
        } else {
            try TypedLines(settings, hint: "Give a text with \(reader.mask.text) a line.", console: console)(shown)
        }
    }

    private func shown(_ text: String) throws -> String {
        let filled = try candidates(read(text))
        var lines: [String] = []
        for (number, candidates) in filled.enumerated() {
            lines.append(filled.count == 1 ? text : "\(text)  (mask \(number + 1))")
            lines += candidates.map { candidate in
                "  \(String(format: "%.4f", candidate.probability))  \(candidate.token)"
            }
        }
        return lines.joined(separator: "\n")
    }

    private func read(_ text: String) throws -> MaskReader.MaskedText {
        try reader.read(text, limit: settings.encoding.maxLength)
    }

    private func candidates(_ text: MaskReader.MaskedText) throws -> [[MaskReader.Candidate]] {
        // As where answers are drawn, 0 and less are all.
        let count = settings.generation.topK.map { $0 > 0 ? $0 : .max }
        return try reader.candidates(text, count: count ?? 5)
    }

    private func fillRows() throws {
        var options = LabelledRecognizer.Options()
        options.columns = settings.data.columns
        options.requiresLabel = false
        let rows = try AnsweredRows(
            settings, as: LabelledRecognizer(options), columns: \.otherColumns, console: console,
            surroundings: surroundings)
        func text(_ row: LabelledRow) -> String { row.texts.joined(separator: "\n") }
        try rows(
            prepare: { try read(text($0)) },
            answer: { group in
                group.map { _, row, read in
                    Result {
                        let lists = try candidates(read).map { candidates in JSONValue.array(candidates.map(\.json)) }
                        var result: JSONObject = ["text": .string(text(row)), "response": .array(lists)]
                        if let label = row.label { result["labels"] = label.json }
                        return [result]
                    }
                }
            })
        try rows.finish()
    }
}

extension MaskReader.Candidate {
    fileprivate var json: JSONValue {
        ["token": .string(token), "id": .int(Int(id)), "probability": .double(probability)]
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
