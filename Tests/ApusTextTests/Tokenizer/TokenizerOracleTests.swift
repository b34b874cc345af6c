import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Small tokenizers of every supported kind against what PyPI `tokenizers` made of the same texts
/// (`Scripts/fixtures/make_tokenizer_fixture.py`).
@Suite struct TokenizerOracleTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let tokenizer: JSONValue
        let rows: [JSONValue]
        let decodes: [JSONValue]
        var testDescription: String { name }
    }

    static let cases: [Case] = {
        let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/tokenizers.json")
        guard let data = try? Data(contentsOf: url), let root = try? JSONValue(parsing: data) else { return [] }
        let shared = root["cases"]?[0]?["tokenizer"]?["model"]
        return (root["cases"]?.arrayValue ?? []).map { value in
            var tokenizer = value["tokenizer"]?.objectValue ?? [:]
            if var model = tokenizer["model"]?.objectValue, model["vocab"]?.isNull == true {
                model["vocab"] = shared?["vocab"]
                model["merges"] = shared?["merges"]
                tokenizer["model"] = .object(model)
            }
            return Case(
                name: value["name"]?.stringValue ?? "", tokenizer: .object(tokenizer),
                rows: value["rows"]?.arrayValue ?? [], decodes: value["decodes"]?.arrayValue ?? [])
        }
    }()

    @Test func fixtureIsThere() {
        #expect(Self.cases.count > 30)
    }

    @Test(arguments: cases)
    func agreesWithTokenizers(_ testCase: Case) throws {
        let tokenizer = try makeTokenizer(testCase.tokenizer.serialized())
        for row in testCase.rows {
            let text = try #require(row[0]?.stringValue)
            let ids = (row[1]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
            #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
            expectDecode(tokenizer, ids, row[2]?.stringValue ?? text)
            let plain = row[3]?.stringValue ?? text
            #expect(tokenizer.decode(ids, skipSpecialTokens: true).utf8.elementsEqual(plain.utf8))
        }
        for row in testCase.decodes {
            let ids = (row[0]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
            expectDecode(tokenizer, ids, try #require(row[1]?.stringValue))
        }
    }

    private func expectDecode(_ tokenizer: Tokenizer, _ ids: [Int32], _ expected: String) {
        let decoded = tokenizer.decode(ids)
        #expect(decoded.utf8.elementsEqual(expected.utf8), "\(decoded.debugDescription), \(expected.debugDescription)")
        var streaming = tokenizer.streamingDecoder()
        var streamed = ""
        for id in ids { streamed += streaming.append(id) }
        streamed += streaming.finish()
        #expect(streamed.utf8.elementsEqual(expected.utf8))
    }
}

/// Loads a tokenizer from the text of a `tokenizer.json` and of other files.
func makeTokenizer(_ json: String? = nil, files: [String: String] = [:]) throws -> Tokenizer {
    let folder = FileManager.default.temporaryDirectory.appending(path: "apus-tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, content) in files {
        let file = folder.appending(path: name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(content.utf8).write(to: file)
    }
    if let json { try Data(json.utf8).write(to: folder.appending(path: "tokenizer.json")) }
    return try Tokenizer.load(folder: folder)
}
