import ApusJSON
import ApusRewards
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

// Files that are there where a run wants to write.

extension ResponseSamplingTests {
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
