import ApusDatasets
import ApusJSON
import ApusRewards
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

// Files that are there where a run wants to write.

extension ResponseSamplingTests {
    /// A question that cannot be asked, and one that cannot be judged, are left out and change nothing about the others.
    @Test func rowsThatAreSkipped() throws {
        // Each question has its draws by its place.
        let good = try sampled { $0.answering.data.datasetShuffle = false }
        let lines = try String(contentsOfFile: "\(folder.path)/rows.jsonl", encoding: .utf8).split(separator: "\n")
        let long = String(repeating: "x", count: 300)
        let bad = #"{"messages": [{"role": "user", "content": "\#(long)"}], "level": 0}"#
        let all = lines.map(String.init) + [bad]
        try folder.write(all.joined(separator: "\n") + "\n", to: "rows.jsonl")
        func run(_ change: (inout SampleSettings) -> Void = { _ in }) throws -> String {
            var message = ""
            do {
                _ = try sampled {
                    $0.answering.data.datasetShuffle = false
                    change(&$0)
                }
            } catch {
                message = "\(error)"
                #expect((error as? any ExitCodeProviding)?.exitCode == ExitCode.data)
            }
            return message
        }
        #expect(try run().hasPrefix("1 of 6 questions could not be asked or judged"))
        #expect(try TinyModelFolder.rows("\(folder.path)/out.jsonl") == good)
        #expect(try run { $0.numSamplingBatchSize = 4 }.hasPrefix("1 of 6 questions"))
        #expect(try TinyModelFolder.rows("\(folder.path)/out.jsonl") == good)

        // With --strict it ends there, and goes on behind that without.
        try FileManager.default.removeItem(atPath: "\(folder.path)/out.jsonl")
        let reversed = Array(all.reversed())
        try folder.write(reversed.joined(separator: "\n") + "\n", to: "rows.jsonl")
        let stopped = try run {
            $0.overrideExistFile = false
            $0.answering.data.strict = true
        }
        #expect(stopped.contains("rows.jsonl:1: ") && stopped.contains("tokens"))
        let resumed = try run {
            $0.overrideExistFile = false
            $0.resume = true
        }
        #expect(resumed.hasPrefix("1 of 6 questions"))
        #expect(try TinyModelFolder.rows("\(folder.path)/out.jsonl").count == good.count)

        // No right answer to compare with.
        let asked = #"{"messages": [{"role": "user", "content": "n"}]}"#
        try folder.write("\(asked)\n\(lines[0])\n", to: "rows.jsonl")
        #expect(try run { $0.rewards.rewardFuncs = ["accuracy"] }.hasPrefix("1 of 2 questions"))
    }

    /// A run that goes on counts what was left out before it was cut off.
    @Test func rowsThatWereSkippedBefore() throws {
        let lines = try String(contentsOfFile: "\(folder.path)/rows.jsonl", encoding: .utf8)
        let long = String(repeating: "x", count: 300)
        let bad = #"{"messages": [{"role": "user", "content": "\#(long)"}], "level": 0}"#
        try folder.write("\(bad)\n\(lines)", to: "rows.jsonl")
        let score = try program(
            Self.lengths.replacing("    row = json", with: "    if '\"n 3\"' in line: sys.exit(7)\n    row = json"))
        func run(resume: Bool) throws {
            let settings = try settings {
                $0.answering.data.datasetShuffle = false
                $0.numSamplingBatchSize = 1
                $0.rewards.rewardFuncs = [score]
                $0.resume = resume
            }
            try ResponseSampling(settings, surroundings: Surroundings(environment: environment))()
        }
        #expect(throws: DatasetError.self) { try run(resume: false) }
        _ = try program(Self.lengths)
        let error = #expect(throws: SkippedRows.self) { try run(resume: true) }
        #expect(error?.failed == 1 && error?.count == 6)
    }

    /// A run that begins anew over one that was cut off knows nothing of what that had done.
    @Test func beginningAnew() throws {
        try folder.write("{}\n", to: "out.jsonl.apus-partial")
        try folder.write(#"{"rows": 3, "bytes": 3}"#, to: "out.jsonl.apus-state.json")
        let file = try SampleFile("\(folder.path)/out.jsonl", settings { $0.overrideExistFile = true }, sources: [:]) {
            _ in ""
        }
        #expect(file.done == 0)
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out.jsonl.apus-state.json"))
        #expect(try String(contentsOfFile: "\(folder.path)/out.jsonl.apus-partial", encoding: .utf8).isEmpty)
    }

    /// Devices keep their name, and what is read is not moved away from where it lies.
    @Test func whatNoOutputReplaces() throws {
        func refusal(_ change: (inout SampleSettings) -> Void) throws -> String {
            let settings = try settings {
                $0.overrideExistFile = true
                change(&$0)
            }
            do {
                _ = try ResponseSampling(settings, surroundings: Surroundings(environment: environment))
                return ""
            } catch { return "\(error)" }
        }
        let link = "\(folder.path)/nothing.jsonl"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "/dev/null")
        #expect(try refusal { $0.outputFile = "nothing.jsonl" }.contains("is a device or a pipe"))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "/dev/null")
        #expect(try refusal { $0.outputFile = "rows.jsonl" }.contains("rows.jsonl of --dataset. Give another name"))
        let cache = try folder.write("{}\n", to: "cache.jsonl")
        #expect(
            try refusal {
                $0.outputFile = "cache.jsonl"
                $0.cacheFiles = [cache]
            }.contains("of --cache_files. Give another name"))
    }

    /// An output that is there stays, and one that is made anew leaves the old one beside it.
    @Test func outputsThatAreThere() throws {
        try folder.write("old\n", to: "out.jsonl")
        try ResponseSampling(settings())()
        #expect(try String(contentsOfFile: "\(folder.path)/out.jsonl", encoding: .utf8) == "old\n")
        #expect(try sampled().count == 20)
        let old = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("out.jsonl.") }
        #expect(old.count == 1)
    }

    /// A file with the name of the completions that is somebody else's stays; with leave it gets another name.
    @Test func completionsThatAreThere() throws {
        try folder.write("old\n", to: "out-completions.jsonl")
        let path = "\(folder.path)/out-completions.jsonl"
        let score = try program(Self.lengths)
        let change = { (settings: inout SampleSettings) in
            settings.rewards.rewardFuncs = [score]
            settings.logCompletions = true
        }
        let error = #expect(throws: SettingsError.self) {
            try ResponseSampling(settings(change), surroundings: Surroundings(environment: environment))()
        }
        #expect(error.map { "\($0)" }?.contains("out-completions.jsonl is there already") == true)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "old\n")
        _ = try sampled(change)
        #expect(try TinyModelFolder.rows(path).count == 20)
        let old = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
            $0.hasPrefix("out-completions.jsonl.")
        }
        #expect(old.count == 1)
    }

    /// Two runs do not write one output.
    @Test func outputsInUse() throws {
        let settings = try settings()
        let path = "\(folder.path)/out.jsonl"
        let file: SampleFile? = try SampleFile(path, settings, sources: [:]) { _ in "" }
        let error = #expect(throws: SettingsError.self) { try SampleFile(path, settings, sources: [:]) { _ in "" } }
        #expect(error.map { "\($0)" }?.contains("another run is writing it") == true)
        #expect(file?.done == 0)
    }
}
