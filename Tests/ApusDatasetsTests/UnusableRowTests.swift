import ApusText
import Testing

@testable import ApusDatasets

/// Rows that cannot be used and keep their places, for who answers every row.
struct UnusableRowTests {
    static let lines = [
        #"{"query": "a"}"#, "", #"{"other": 1}"#, #"{"query": "#, "[1]", #"{"query": "b"}"#,
    ]

    func loaded(_ folder: TemporaryFolder, keeps: Bool) throws -> ConversationDataset {
        let path = try folder.write(Self.lines.joined(separator: "\n"), to: "rows.jsonl")
        var loader = DatasetLoader()
        loader.keepsUnusable = keeps
        var options = ConversationRecognizer.Options()
        options.requiresAnswer = false
        return try loader.load([], validation: [path], as: ConversationRecognizer(options)).validation
    }

    @Test func theyKeepTheirPlaces() throws {
        let folder = try TemporaryFolder()
        let rows = try loaded(folder, keeps: true)
        #expect(rows.count == 5)
        for (index, line, words) in [(1, 3, "no messages"), (2, 4, "not valid JSON"), (3, 5, "not a JSON object")] {
            #expect {
                try rows.recognized(at: index)
            } throws: { error in
                let text = "\(error)"
                return text.contains("rows.jsonl:\(line): \(words)")
                    || text.contains("rows.jsonl:\(line): a row is \(words)")
            }
        }
        #expect(try rows.recognized(at: 0).messages.first?.text == "a")
        #expect(try rows.recognized(at: 4).messages.first?.text == "b")
    }

    @Test func aRowThatIsNoJSONEndsOtherLoads() throws {
        let folder = try TemporaryFolder()
        #expect(throws: DatasetError.self) { try loaded(folder, keeps: false) }
    }

    /// Lines are counted from the row that was asked for last, in any order.
    @Test func placesInAnyOrder() throws {
        let folder = try TemporaryFolder()
        let rows = try loaded(folder, keeps: true)
        let lines = [1, 3, 4, 5, 6]
        for index in [0, 4, 2, 2, 3, 0, 1, 4] {
            #expect(rows.place(of: index).hasSuffix("rows.jsonl:\(lines[index])"))
        }
    }
}
