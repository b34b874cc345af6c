import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Small tokenizers of encoders against what PyPI `tokenizers` and `transformers` made of the same texts and pairs
/// (`Scripts/fixtures/make_encoder_tokenizers.py`).
@Suite struct EncoderTokenizerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let content: JSONValue
        var rows: [JSONValue] { content["rows"]?.arrayValue ?? [] }
        var testDescription: String { name }
    }

    static let root: JSONValue? = {
        guard let data = try? Data(contentsOf: fixture("encoders/encoders.json")) else { return nil }
        return try? JSONValue(parsing: data)
    }()

    private static func read(_ key: String) -> [Case] {
        (root?[key]?.arrayValue ?? []).map { Case(name: $0["name"]?.stringValue ?? "", content: $0) }
    }

    static let cases = read("cases")
    static let folders = read("folders")

    @Test func fixtureIsThere() {
        #expect(Self.cases.count > 20 && Self.folders.count > 6)
    }

    @Test(arguments: cases)
    func agreesWithTokenizers(_ testCase: Case) throws {
        var file = try #require(testCase.content["tokenizer"]?.objectValue)
        var model = try #require(file["model"]?.objectValue)
        if model["vocab"]?.isNull == true { model["vocab"] = Self.root?["vocabulary"] }
        file["model"] = .object(model)
        let tokenizer = try makeTokenizer(JSONValue.object(file).serialized())
        for row in testCase.rows { try check(tokenizer, row) }
        // Older files leave out the type of the model.
        model["type"] = nil
        file["model"] = .object(model)
        let untyped = try makeTokenizer(JSONValue.object(file).serialized())
        for row in testCase.rows { try check(untyped, row) }
    }

    @Test(arguments: folders)
    func readsFoldersAsTransformersDoes(_ testCase: Case) throws {
        let files = (testCase.content["files"]?.objectValue ?? [:]).map { ($0.0, $0.1.stringValue ?? "") }
        let tokenizer = try makeTokenizer(files: Dictionary(uniqueKeysWithValues: files))
        for row in testCase.rows { try check(tokenizer, row) }
        let named = testCase.content["named"]
        let ours = [
            "bos": tokenizer.bosTokenID, "eos": tokenizer.eosTokenID, "unk": tokenizer.unkTokenID,
            "sep": tokenizer.sepTokenID, "pad": tokenizer.padTokenID, "cls": tokenizer.clsTokenID,
            "mask": tokenizer.maskTokenID,
        ]
        for (role, id) in ours {
            #expect(id == named?[role]?.intValue.map { Int32($0) }, "\(role)")
        }
        #expect(tokenizer.vocabularySize == testCase.content["size"]?.intValue)
    }

    private func check(_ tokenizer: Tokenizer, _ row: JSONValue) throws {
        let text = try #require(row[0]?.stringValue)
        let pair = row[1]?.stringValue
        let limit = row[2]?.intValue
        let addSpecialTokens = row[3]?.boolValue ?? true
        func numbers(_ index: Int) -> [Int32] {
            (row[index]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        let encoded = tokenizer.encode(text, pair: pair, addSpecialTokens: addSpecialTokens, maximumLength: limit)
        #expect(encoded.ids == numbers(4), "\(text.debugDescription), \(pair.debugDescription)")
        #expect(encoded.segments == numbers(5), "\(text.debugDescription), \(pair.debugDescription)")
        if pair == nil { #expect(tokenizer.encode(text, addSpecialTokens: addSpecialTokens) == encoded.ids) }
        for (index, skips) in [(6, false), (7, true)] {
            let expected = try #require(row[index]?.stringValue)
            let decoded = tokenizer.decode(numbers(4), skipSpecialTokens: skips)
            #expect(decoded.utf8.elementsEqual(expected.utf8), "\(decoded.debugDescription)")
            var streaming = tokenizer.streamingDecoder(skipSpecialTokens: skips)
            var streamed = numbers(4).map { streaming.append($0) }.joined()
            streamed += streaming.finish()
            #expect(streamed.utf8.elementsEqual(expected.utf8))
        }
    }
}
