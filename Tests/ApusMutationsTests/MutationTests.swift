import ApusMutations
import Foundation
import Testing

/// A few thousand damaged files of every kind, the same on each run; `Scripts/faults/mutations` gives a million.
@Suite(.serialized) struct MutationTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    private static let names = [
        "safetensors", "config.json", "index", "gguf", "pickle", "adapter_config.json", "tokenizer.json",
        "tokenizer_config.json", "tokenizer.model", "rows.jsonl", "rows.json", "rows.csv", "rows.tsv",
    ]

    @Test func theNamesAreAll() throws {
        #expect(try MutationSubject.all(fixtures: Self.fixtures).map(\.name) == Self.names)
    }

    @Test(arguments: names) func damagedFilesAreReadOrRefused(name: String) throws {
        let subject = try #require(try MutationSubject.all(fixtures: Self.fixtures).first { $0.name == name })
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-mutations-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let count = 250
        let tally = try MutationRun(subject, seed: 20_261_129, folder: folder)(0..<count)
        #expect(tally.excesses.isEmpty)
        #expect(tally.accepted + tally.refused == count && tally.refused > 0)
    }
}
