import ApusFiles
import ApusJSON
import ApusRewards
import ApusRunLog
import ApusTraining
import Foundation

/// `completions.jsonl` of a run: a line for each round of answers, with a list under each name, as ms-swift writes it.
///
/// That it cannot be written, on a full disk, is said once and ends no run: lines that the disk did not take follow with the
/// next that it does.
final class CompletionsFile {
    private let file: GrowingFile
    private let console: Console
    private let text: ([Int32]) -> String
    private var unwritten: [[UInt8]] = []
    private var hasFailed = false

    /// The columns beside those of rewards.
    private static let columns = ["step", "prompt", "completion", "advantages", "solution"]
    /// The most lines that wait for a disk.
    private static let longestQueue = 64

    /// - Parameters:
    ///   - steps: The steps whose lines stay; what later ones wrote goes, as a run that goes on writes it again.
    ///   - text: Of ids.
    init(
        in folder: String, after steps: Int, _ console: Console, fileSystem: any FileSystem = LocalFileSystem(),
        text: @escaping ([Int32]) -> String
    ) throws {
        self.text = text
        self.console = console
        let path = FilePath.join(folder, "completions.jsonl")
        let old = try fileSystem.status(path) == nil ? [] : try Array(fileSystem.contents(of: path))
        file = try GrowingFile(path, size: Int64(old.count), fileSystem: fileSystem)
        let (size, damaged) = Self.whole(old, upTo: steps)
        if size < old.count { try file.truncate(to: Int64(size)) }
        for line in damaged { console.print("\(path):\(line): not JSON; left as it is") }
    }

    /// Where the lines end that stay, and the numbers of those among them that cannot be read.
    private static func whole(_ bytes: [UInt8], upTo steps: Int) -> (size: Int, damaged: [Int]) {
        guard steps > 0 else { return (0, []) }
        var (size, start, number): (Int, Int, Int) = (0, 0, 0)
        var (kept, damaged): (Int, [Int]) = (0, [])
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            number += 1
            let row = try? JSONValue(parsing: Array(bytes[start..<end]))
            if let step = row?["step"]?.arrayValue?.first?.stringValue.flatMap(Int.init) {
                if step <= steps { (size, kept) = (end + 1, number) }
            } else {
                damaged.append(number)
            }
            start = end + 1
        }
        return (size, damaged.filter { $0 < kept })
    }

    func append(_ report: RolloutMaker.Report, step: Int) {
        unwritten.append(Array((JSONValue.object(row(report, step: step)).serialized() + "\n").utf8))
        if unwritten.count > Self.longestQueue { unwritten.removeFirst() }
        do {
            while let line = unwritten.first {
                try file.append(line)
                unwritten.removeFirst()
            }
        } catch {
            if !hasFailed { console.print("completions.jsonl cannot be written: \(error). The run goes on.") }
            hasFailed = true
        }
    }

    private func row(_ report: RolloutMaker.Report, step: Int) -> JSONObject {
        var row: JSONObject = [
            "step": .array(report.completions.map { _ in .string("\(step)") }),
            "prompt": .array(report.questions.map { .string(text($0)) }),
            "completion": .array(report.completions.map { .string($0.text) }),
        ]
        for (name, values) in zip(Self.names(report.rewards.map(\.name)), report.rewards.map(\.values)) {
            row[name] = .array(values.map { $0.isNaN ? .null : .double($0) })
        }
        row["advantages"] = .array(report.advantages.map(JSONValue.double))
        if report.completions.allSatisfy({ $0.columns["solution"] != nil }) {
            row["solution"] = .array(report.completions.map { $0.columns["solution"] ?? .null })
        }
        return row
    }

    /// The columns of rewards: their names, where these are not those of other columns; a reward `step` is `step-2`.
    static func names(_ rewards: [String]) -> [String] {
        var taken = Set(columns).union(rewards)
        return rewards.map { reward in
            guard columns.contains(reward) else { return reward }
            let free = (2...).lazy.map { "\(reward)-\($0)" }.first { !taken.contains($0) } ?? reward
            taken.insert(free)
            return free
        }
    }
}
