import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusText
import ApusTraining
import Foundation

/// The rows that `infer` answers, and the file that the answers go to.
struct AnsweredRows<Recognizer: RowRecognizer> {
    private let count: Int
    private let rows: RowDataset<Recognizer>
    private let groupSize: Int
    private let file: ResultFile
    private let console: Console

    init(_ settings: InferSettings, as recognizer: Recognizer, console: Console) throws {
        let rows = try DatasetLoader(settings).load(
            settings.answered, validation: settings.answeredWhole, as: recognizer)
        try self.init(rows.validation, settings, console: console)
    }

    init(_ rows: RowDataset<Recognizer>, _ settings: InferSettings, console: Console) throws {
        self.rows = rows
        count = min(rows.count, settings.valDatasetSample ?? rows.count)
        groupSize = settings.groupSize
        file = try ResultFile(settings)
        self.console = console
    }

    /// Goes through the rows, some at a time.
    ///
    /// - Parameters:
    ///   - prepare: Makes of one row what the model sees.
    ///   - answer: The results of some rows, any number of each, in order.
    /// - Throws: An error about what a row holds with the place of the row, or one of the model.
    func callAsFunction<Prepared>(
        prepare: (Recognizer.Row) throws -> Prepared,
        answer: (_ group: Range<Int>, _ rows: [(row: Recognizer.Row, prepared: Prepared)]) throws -> [JSONObject]
    ) throws {
        let bar = console.startProgress("Infer", total: count)
        for start in stride(from: 0, to: count, by: groupSize) {
            let group = start..<min(start + groupSize, count)
            let prepared = try group.map { index in
                let row = try rows.recognized(at: index)
                do {
                    return (row, try prepare(row))
                } catch let error where error is RowFault || error is ModelError || error is TokenizerError {
                    throw DatasetError("\(rows.place(of: index)): \(error)")
                }
            }
            for result in try answer(group, prepared) { try file.append(result) }
            bar.update(to: group.upperBound)
        }
        bar.finish()
    }

    /// Says where the answers are, after what they are worth.
    ///
    /// - Parameters:
    ///   - evaluation: Metrics and a picture; nil where answers are not measured.
    ///   - whole: Of what its count is a part; by default the rows.
    func finish(_ evaluation: (any Evaluation)? = nil, of whole: String? = nil) throws {
        if let evaluation, evaluation.count > 0 {
            let values = try evaluation.metrics().map { "\($0.name): \(String(format: "%.6f", $0.value))" }
            let measured = "\(evaluation.count) of \(whole ?? "\(count) rows")"
            console.print("metrics of \(measured): \(values.joined(separator: ", "))")
            if let table = try evaluation.table() { console.print(table) }
            let folder = URL(fileURLWithPath: file.path).deletingPathExtension().path + "-images"
            try evaluation.draw(to: folder)
            if FileManager.default.fileExists(atPath: folder) { console.print("images_dir: \(folder)") }
        }
        console.print("result_path: \(file.path)")
    }
}
