import ApusFiles
import ApusFilesTesting
import ApusJSON
import ApusRewards
import ApusRunLog
import Foundation
import Testing

@testable import ApusRecipes
@testable import ApusTraining

/// `completions.jsonl` beside full disks, damaged lines and rewards with the names of columns.
struct CompletionsFileTests {
    private let folder: TemporaryFolder
    private let said = Said()

    init() throws { folder = try TemporaryFolder() }

    private var path: String { "\(folder.path)/completions.jsonl" }

    private func file(after steps: Int, on fileSystem: any FileSystem = LocalFileSystem()) throws -> CompletionsFile {
        try CompletionsFile(in: folder.path, after: steps, said.console, fileSystem: fileSystem) { "\($0)" }
    }

    private func report(_ rewards: [String] = ["format"]) -> RolloutMaker.Report {
        RolloutMaker.Report(
            questions: [[1], [2]],
            completions: ["a", "b"].map { ApusRewards.Completion(messages: [], text: $0, tokens: [], columns: [:]) },
            rewards: rewards.map { ($0, [1, .nan]) }, advantages: [0.5, -0.5])
    }

    private func rows() throws -> [JSONValue] { try TinyModelFolder.rows(path) }

    private func steps() throws -> [String?] {
        try rows().map { $0["step"]?.arrayValue?.first?.stringValue }
    }

    /// A reward with the name of a column has another.
    @Test func namesOfColumns() throws {
        try file(after: 0).append(report(["step", "format", "solution", "step-2"]), step: 3)
        let row = try #require(try rows().first?.objectValue)
        #expect(
            Array(row.keys) == [
                "step", "prompt", "completion", "step-3", "format", "solution-2", "step-2", "advantages",
            ])
        #expect(row["step"] == ["3", "3"] && row["prompt"] == ["[1]", "[2]"])
        #expect(row["step-3"]?.arrayValue?.map(\.doubleValue) == [1, nil])
    }

    /// Of a run that goes on the lines of its steps stay, and those among them that cannot be read.
    @Test func linesThatStay() throws {
        let first = try file(after: 0)
        for step in 1...2 { first.append(report(), step: step) }
        let whole = try String(contentsOfFile: path, encoding: .utf8)
        let lines = whole.split(separator: "\n")
        try folder.write("\(lines[0])\n{damaged\n\(lines[1])\n", to: "completions.jsonl")
        try file(after: 0).append(report(), step: 1)
        #expect(try steps() == ["1"])
        try folder.write("\(lines[0])\n{damaged\n\(lines[1])\n{\"half", to: "completions.jsonl")
        let second = try file(after: 2)
        #expect(said.text.contains("completions.jsonl:2: not JSON; left as it is"), "\(said.text)")
        second.append(report(), step: 3)
        let now = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(now.count == 4 && now[1] == "{damaged" && Array(now[...2]) == [lines[0], "{damaged", lines[1]])
        _ = try file(after: 1)
        #expect(try steps() == ["1"])
    }

    /// A full disk ends no run and is said once; what it did not take follows.
    @Test func fullDisks() throws {
        let full = FaultyFileSystem(LocalFileSystem(), failing: .persistent(ENOSPC), atCall: 3)
        let lines = try file(after: 0, on: full)
        for step in 1...3 { lines.append(report(), step: step) }
        #expect(try rows().isEmpty)
        #expect(said.text.components(separatedBy: "cannot be written").count == 2, "\(said.text)")

        try FileManager.default.removeItem(atPath: path)
        let once = try file(after: 0, on: FaultyFileSystem(LocalFileSystem(), failing: .once(ENOSPC), atCall: 3))
        once.append(report(), step: 1)
        #expect(try rows().isEmpty)
        once.append(report(), step: 2)
        #expect(try steps() == ["1", "2"])
    }
}

/// What is printed.
private final class Said: TerminalOutput, @unchecked Sendable {
    private(set) var text = ""
    var columns: Int? { nil }
    var console: Console { Console(output: self, style: ConsoleStyle()) }
    func write(_ text: String) { self.text += text }
}
