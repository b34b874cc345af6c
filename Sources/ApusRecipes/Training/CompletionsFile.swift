import ApusFiles
import ApusJSON
import ApusRewards
import ApusTraining
import Foundation

/// `completions.jsonl` of a run: a line for each round of answers, with a list under each name, as ms-swift writes it.
struct CompletionsFile {
    private let path: String
    private let text: ([Int32]) -> String

    /// - Parameters:
    ///   - text: Of ids.
    ///   - steps: The steps whose lines stay; what later ones wrote goes, as a run that goes on writes it again.
    init(in folder: String, after steps: Int, text: @escaping ([Int32]) -> String) throws {
        self.text = text
        path = FilePath.join(folder, "completions.jsonl")
        var kept = Data()
        if steps > 0, let data = FileManager.default.contents(atPath: path) {
            for line in data.split(separator: UInt8(ascii: "\n")) {
                guard let row = try? JSONValue(parsing: Data(line)),
                    let step = row["step"]?.arrayValue?.first?.stringValue.flatMap(Int.init), step <= steps
                else { continue }
                kept += line + [UInt8(ascii: "\n")]
            }
        }
        try LocalFileSystem().writeAtomically(kept, to: path)
    }

    func append(_ report: RolloutMaker.Report, step: Int) throws {
        var row: JSONObject = [
            "step": .array(report.completions.map { _ in .string("\(step)") }),
            "prompt": .array(report.questions.map { .string(text($0)) }),
            "completion": .array(report.completions.map { .string($0.text) }),
        ]
        for (name, values) in report.rewards { row[name] = .array(values.map { $0.isNaN ? .null : .double($0) }) }
        row["advantages"] = .array(report.advantages.map(JSONValue.double))
        if report.completions.allSatisfy({ $0.columns["solution"] != nil }) {
            row["solution"] = .array(report.completions.map { $0.columns["solution"] ?? .null })
        }
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data((JSONValue.object(row).serialized() + "\n").utf8))
    }
}
