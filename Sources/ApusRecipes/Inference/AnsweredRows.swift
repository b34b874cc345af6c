import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusRunLog
import ApusText
import ApusTraining
import Foundation

/// The rows that `infer` answers, and the file that the answers go to.
///
/// Every row of the input has its place in the file, with its own columns; one that cannot be answered says why.
final class AnsweredRows<Recognizer: RowRecognizer> {
    /// A row that can be answered.
    typealias Ready<Prepared> = (index: Int, row: Recognizer.Row, prepared: Prepared)

    let count: Int
    private let rows: RowDataset<Recognizer>
    private let columns: (Recognizer.Row) -> JSONObject
    private let groupSize: Int
    private let isStrict: Bool
    private let file: ResultFile
    private let encoding: EncodingSettings
    /// The rows of which the model saw a part.
    private var cut = 0
    private let console: Console
    private var failures = RowFailures()

    /// - Parameter columns: What a row has beside what is answered.
    convenience init(
        _ settings: InferSettings, as recognizer: Recognizer, columns: @escaping (Recognizer.Row) -> JSONObject,
        console: Console, surroundings: Surroundings
    ) throws {
        // With the data settings of a training run, the rows that it had split off are meant.
        let data = settings.data
        var loader = try DatasetLoader(data, surroundings: surroundings)
        // Training left such rows out before it split; whole data keeps them, to say of each why it has no answer.
        loader.keepsUnusable = !data.strict && !data.isSplit
        let loaded = try loader.load(
            data.isSplit ? data.dataset : [], validation: data.isSplit ? [] : data.valDataset, as: recognizer)
        // What training left out was no part of what it split off.
        for file in loaded.report.files where data.isSplit && !file.dropped.isEmpty {
            console.print("\(file.path): \(file.dropped.total) rows cannot be used and were not split off")
        }
        try self.init(loaded.validation, settings, columns: columns, console: console)
    }

    init(
        _ rows: RowDataset<Recognizer>, _ settings: InferSettings, columns: @escaping (Recognizer.Row) -> JSONObject,
        console: Console
    ) throws {
        self.rows = rows
        self.columns = columns
        count = min(rows.count, settings.valDatasetSample ?? rows.count)
        groupSize = settings.groupSize
        isStrict = settings.data.strict
        file = try ResultFile(settings)
        encoding = settings.encoding
        self.console = console
    }

    /// Goes through the rows, some at a time.
    ///
    /// - Parameters:
    ///   - prepare: Makes of one row what the model sees.
    ///   - answer: For each of some rows its results, any number, or why there are none, in order.
    /// - Throws: An error of the model; with `--strict` also the first error about a row.
    func callAsFunction<Prepared>(
        prepare: (Recognizer.Row) throws -> Prepared,
        answer: ([Ready<Prepared>]) throws -> [Result<[JSONObject], any Error>]
    ) throws {
        let bar = console.startProgress("Infer", total: count)
        for start in stride(from: 0, to: count, by: groupSize) {
            let group = start..<min(start + groupSize, count)
            var ready: [Ready<Prepared>] = []
            var errors: [Int: String] = [:]
            for index in group {
                do {
                    let row = try rows.recognized(at: index)
                    ready.append((index, row, try prepare(row)))
                } catch {
                    errors[index] = try noted(error, of: index)
                }
            }
            var answers = try Array(zip(ready, ready.isEmpty ? [] : answer(ready)))[...]
            for index in group {
                if errors[index] == nil, let (part, results) = answers.popFirst() {
                    do {
                        let results = try results.get()
                        if results.contains(where: { $0[CutPrompts.column] != nil }) { cut += 1 }
                        for result in results { try file.append(Self.completed(result, with: columns(part.row))) }
                    } catch let error as ModelError {
                        errors[index] = try noted(error, of: index)
                    }
                }
                if let error = errors[index] { try file.append(Self.failed(error, try? rows.row(at: index))) }
            }
            bar.update(to: group.upperBound)
        }
        bar.finish()
    }

    /// What is said of a row that cannot be answered.
    ///
    /// - Throws: That, with `--strict`.
    private func noted(_ error: any Error, of index: Int) throws -> String {
        try failures.note(error, at: rows.place(of: index), isStrict: isStrict)
    }

    /// A result with the columns of its row, those among them that are called like one of its own under another name.
    static func completed(_ result: JSONObject, with columns: JSONObject) -> JSONObject {
        InputColumns.added(columns, to: result)
    }

    /// What stands for a row without an answer; what it should have been is its label, as beside answers.
    static func failed(_ error: String, _ columns: JSONValue?) -> JSONObject {
        var result: JSONObject = ["response": .null]
        if let columns, columns.objectValue == nil { result["row"] = columns }
        var rest = columns?.objectValue ?? [:]
        // Beside messages it is no answer of theirs.
        let expected = rest["messages"] == nil && rest["labels"]?.isNull ?? true ? rest["response"] ?? .null : .null
        if !expected.isNull { (rest["response"], rest["labels"]) = (nil, nil) }
        // Messages are those of the row, without an answer.
        result = InputColumns.added(rest, to: result, own: InputColumns.ofAnswers.subtracting(["messages"]))
        if !expected.isNull { result["labels"] = expected }
        result["error"] = .string(error)
        return result
    }

    /// Says where the answers are, after what they are worth.
    ///
    /// - Parameters:
    ///   - evaluation: Metrics and a picture; nil where answers are not measured.
    ///   - whole: Of what its count is a part; by default the rows.
    ///   - limit: The most tokens that the model sees of a row.
    /// - Throws: `UnansweredRows` where there are any.
    func finish(_ evaluation: (any Evaluation)? = nil, of whole: String? = nil, limit: Int = .max) throws {
        if cut > 0 { console.print(CutPrompts.note((cut, count), to: limit, encoding)) }
        if let evaluation, evaluation.count > 0 {
            let values = try evaluation.metrics().map { "\($0.name): \(String(format: "%.6f", $0.value))" }
            let measured = "\(evaluation.count) of \(whole ?? "\(count) rows")"
            console.print("metrics of \(measured): \(values.joined(separator: ", "))")
            if let table = try evaluation.table() { console.print(table) }
            if let folder = file.imagesFolder {
                try evaluation.draw(to: folder)
                if FileManager.default.fileExists(atPath: folder) { console.print("images_dir: \(folder)") }
            }
        }
        console.print("result_path: \(file.path)")
        guard failures.count > 0 else { return }
        for line in failures.lines { console.print(line) }
        throw UnansweredRows(failed: failures.count, count: count, path: file.path)
    }
}

/// Some rows could not be answered; the others were.
struct UnansweredRows: ExitCodeProviding, CustomStringConvertible {
    let failed: Int
    let count: Int
    let path: String

    var exitCode: Int32 { ExitCode.data }
    var description: String {
        "\(failed) of \(count) rows could not be answered; each has its \"error\" in \(path), the others their answer"
    }
}

extension [Double] {
    /// Refuses scores that are not numbers, which would pass as the least of all.
    ///
    /// - Throws: `ModelError`.
    func checked() throws -> [Double] {
        guard allSatisfy(\.isFinite) else { throw ModelError.notNumbers }
        return self
    }
}
