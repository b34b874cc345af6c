import ApusText
import Foundation
import Testing

@testable import ApusDatasets

@Suite("Data that comes with Apus")
struct ExampleDataTests {
    private let folder = packageRoot.appending(path: "Examples/Data")

    @Test func selfCognitionIsWhatItSays() throws {
        var loader = DatasetLoader()
        loader.isStrict = true
        let loaded = try loader.load([folder.appending(path: "self-cognition.jsonl").path])
        #expect(loaded.train.count >= 120)
        #expect(loaded.report.files[0].notes.isEmpty)
        let conversations = try (0..<loaded.train.count).map(loaded.train.conversation)
        #expect(conversations.allSatisfy { $0.messages.map(\.role) == ["user", "assistant"] })
        #expect(Set(conversations.map { $0.messages[0].textOrEmpty }).count == conversations.count)
        let chinese = conversations.filter { conversation in
            conversation.messages[1].textOrEmpty.unicodeScalars.contains { (0x4E00...0x9FFF).contains($0.value) }
        }
        #expect(chinese.count >= 50)
        #expect(conversations.count - chinese.count >= 70)
        // The rest are plain facts, so that a model keeps what it knew.
        #expect(conversations.count { $0.messages[1].textOrEmpty.contains("Apus") } > conversations.count * 3 / 4)
    }

    @Test func theCorpusIsPlainEnglish() throws {
        let text = try String(contentsOf: folder.appending(path: "tiny-corpus.txt"), encoding: .utf8)
        #expect((6_000...10_000).contains(text.utf8.count))
        #expect(text.utf8.allSatisfy { $0 < 0x80 })
    }
}
