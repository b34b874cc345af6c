import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Small tokenizers with every component, and folders with the model files of SentencePiece, tiktoken and Mistral, against
/// what PyPI `tokenizers` and `AutoTokenizer` of `transformers` made of the same texts
/// (`Scripts/fixtures/make_unigram_tokenizers.py`).
@Suite struct TokenizerComponentTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let content: JSONValue
        var rows: [JSONValue] { content["rows"]?.arrayValue ?? [] }
        var testDescription: String { name }
    }

    private static func read(_ file: String) -> JSONValue? {
        guard let data = try? Data(contentsOf: fixture("tokenizers/unigram/\(file).json")) else { return nil }
        return try? JSONValue(parsing: data)
    }

    private static func cases(_ root: JSONValue?) -> [Case] {
        (root?["cases"]?.arrayValue ?? []).map { Case(name: $0["name"]?.stringValue ?? "", content: $0) }
    }

    static let components = read("components")
    static let componentCases = cases(components)
    static let folders = read("folders")
    static let folderCases = cases(folders)

    @Test func fixturesAreThere() {
        #expect(Self.componentCases.count > 90 && Self.folderCases.count > 45)
    }

    @Test(arguments: componentCases)
    func agreesWithTokenizers(_ testCase: Case) throws {
        var file = try #require(testCase.content["tokenizer"]?.objectValue)
        if file["model"]?.isNull == true { file["model"] = Self.components?["cases"]?[0]?["tokenizer"]?["model"] }
        let tokenizer = try makeTokenizer(JSONValue.object(file).serialized())
        for row in testCase.rows {
            let text = try #require(row[0]?.stringValue)
            #expect(tokenizer.encode(text) == numbers(row[1]), "\(text.debugDescription)")
            try expectDecode(tokenizer, numbers(row[1]), row[2])
        }
        for row in testCase.content["decodes"]?.arrayValue ?? [] {
            try expectDecode(tokenizer, numbers(row[0]), row[1])
        }
    }

    private func expectDecode(_ tokenizer: Tokenizer, _ ids: [Int32], _ expected: JSONValue?) throws {
        let expected = try #require(expected?.stringValue)
        let decoded = tokenizer.decode(ids)
        #expect(decoded.utf8.elementsEqual(expected.utf8), "\(decoded.debugDescription), \(expected.debugDescription)")
        var streaming = tokenizer.streamingDecoder()
        var streamed = ids.map { streaming.append($0) }.joined()
        streamed += streaming.finish()
        #expect(streamed.utf8.elementsEqual(expected.utf8), "\(streamed.debugDescription)")
    }

    private func numbers(_ value: JSONValue?) -> [Int32] {
        (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
    }

    // MARK: - Folders

    /// Writes the files of a case, with changes, to a folder and loads it.
    private func load(
        _ testCase: Case, _ changes: [String: ([UInt8]) -> [UInt8]] = [:]
    ) throws -> Tokenizer {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-pieces-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, content) in testCase.content["files"]?.objectValue ?? [:] {
            let text = try #require(content.stringValue)
            var bytes = Array(text.utf8)
            if text.hasPrefix("@") {
                let model = try #require(Self.folders?["models"]?[String(text.dropFirst())]?.stringValue)
                bytes = Array(try #require(Data(base64Encoded: model)))
            }
            try Data(changes[name]?(bytes) ?? bytes).write(to: folder.appending(path: name))
        }
        return try Tokenizer.load(folder: folder)
    }

    @Test(arguments: folderCases)
    func readsFoldersAsTransformersDoes(_ testCase: Case) throws {
        let tokenizer = try load(testCase)
        for row in testCase.rows {
            let text = try #require(row[0]?.stringValue)
            let encoded = tokenizer.encode(text, pair: row[1]?.stringValue)
            #expect(encoded.ids == numbers(row[2]), "\(text.debugDescription), \(row[1] ?? .null)")
            #expect(encoded.segments == numbers(row[3]), "\(text.debugDescription), \(row[1] ?? .null)")
            for (index, skips) in [(4, false), (5, true)] {
                let expected = try #require(row[index]?.stringValue)
                let decoded = tokenizer.decode(numbers(row[2]), skipSpecialTokens: skips)
                #expect(decoded.utf8.elementsEqual(expected.utf8), "\(decoded.debugDescription)")
            }
        }
        let named = (testCase.content["named"]?.objectValue ?? [:]).map { ($0.0, $0.1.stringValue ?? "") }
        #expect(tokenizer.namedTokens == Dictionary(named) { $1 })
        #expect(tokenizer.vocabularySize == testCase.content["size"]?.intValue)
    }

    // MARK: - GGUF

    @Test func readsSentencePieceModelsOfGGUFFiles() throws {
        let keys = try #require(Self.folders?["gguf"])
        var vocabulary = GGUFVocabulary(
            model: "llama", preTokenizer: nil, tokens: (keys["tokens"]?.arrayValue ?? []).compactMap(\.stringValue),
            tokenTypes: numbers(keys["token_type"]), merges: [],
            scores: (keys["scores"]?.arrayValue ?? []).compactMap(\.doubleValue), beginningOfSequenceID: 1,
            endOfSequenceID: 2)
        let tokenizer = try Tokenizer(gguf: vocabulary)
        let files = Dictionary(uniqueKeysWithValues: try vocabulary.tokenizerFiles().map { ($0.name, $0.text) })
        let written = try makeTokenizer(files: files)
        for row in keys["rows"]?.arrayValue ?? [] {
            let text = try #require(row[0]?.stringValue)
            #expect(tokenizer.encode(text, addSpecialTokens: false) == numbers(row[1]), "\(text.debugDescription)")
            #expect(written.encode(text, addSpecialTokens: false) == numbers(row[1]), "\(text.debugDescription)")
            try expectDecode(tokenizer, numbers(row[1]), row[2])
        }
        #expect(tokenizer.encode("the").first == 1 && written.encode("the") == tokenizer.encode("the"))
        vocabulary.addsPrefixSpace = false
        let bare = try Tokenizer(gguf: vocabulary)
        #expect(bare.decode(bare.encode("the", addSpecialTokens: false)) == "the")
        #expect(bare.encode("the") != tokenizer.encode("the"))
        vocabulary.scores = []
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: vocabulary) }
    }

    /// A vocabulary of pieces goes into a file and comes back: with the scores of its model, and with those that merges say.
    @Test(arguments: ["Llama", "Llama, no prefix", "Gemma"])
    func writesSentencePieceModelsToGGUF(_ name: String) throws {
        let testCase = try #require(Self.folderCases.first { $0.name == name })
        let tokenizer = try load(testCase)
        let place = try #require(testCase.content["files"]?["tokenizer.model"]?.stringValue)
        let file = try #require(Self.folders?["models"]?[String(place.dropFirst())]?.stringValue)
        let pieces = try #require(Data(base64Encoded: file))
        let model = try SentencePieceModel(pieces, source: "tokenizer.model")
        let size = tokenizer.vocabularySize + 3
        let written = try GGUFVocabulary(tokenizer, size: size, pieces: pieces)
        #expect(written.model == "llama" && written.preTokenizer == "default" && written.merges == [])
        #expect(written.tokens.count == size && written.scores.count == size && written.tokenTypes.count == size)
        #expect(written.tokens.last == "[PAD\(size - 1)]" && written.tokenTypes.last == 5)
        for (id, piece) in model.pieces.enumerated() where tokenizer.parts.added.tokens[Int32(id)] == nil {
            #expect(written.tokens[id] == piece.text && written.scores[id] == piece.score)
            #expect(written.tokenTypes[id] == piece.kind.rawValue)
        }
        // Without the file, kinds are the same and scores fall as tokens are made.
        let other = try GGUFVocabulary(tokenizer, size: size)
        #expect(other.tokens == written.tokens && other.addsPrefixSpace == written.addsPrefixSpace)
        #expect(zip(other.tokenTypes, written.tokenTypes).allSatisfy { $0 == $1 || $1 == 5 })
        for vocabulary in [written, other] {
            let read = try Tokenizer(gguf: vocabulary)
            for row in testCase.rows {
                let text = try #require(row[0]?.stringValue)
                guard !tokenizer.specialTokens.contains(where: text.contains) else { continue }
                let ids = tokenizer.encode(text, addSpecialTokens: false)
                #expect(read.encode(text, addSpecialTokens: false) == ids, "\(text.debugDescription)")
            }
            #expect(read.encode("the") == tokenizer.encode("the"))
        }
    }

    /// A published vocabulary of pieces, on thousands of texts.
    @Test func aPublishedVocabularyOfPiecesComesBack() throws {
        guard let folder = sharedFixtures("tokenizers/yuan2") else { return }
        let tokenizer = try Tokenizer.load(folder: folder)
        let pieces = try Data(contentsOf: folder.appending(path: "tokenizer.model"))
        let written = try GGUFVocabulary(tokenizer, size: 135_040, pieces: pieces)
        let read = try Tokenizer(gguf: written)
        var generator = SeededGenerator(seed: 9)
        let ids = 300..<Int32(tokenizer.vocabularySize)
        for _ in 0..<4000 {
            let drawn = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                Int32.random(in: ids, using: &generator)
            }
            let text = tokenizer.decode(drawn, skipSpecialTokens: true)
            let wanted = tokenizer.encode(text, addSpecialTokens: false)
            #expect(read.encode(text, addSpecialTokens: false) == wanted, "\(text.debugDescription)")
        }
    }

    // MARK: - Damage

    private static let modelFiles = ["spiece.model", "tokenizer.model", "tekken.json", "tokenizer.json"]

    @Test(arguments: ["T5", "ALBERT", "described own", "described symbols", "tiktoken", "Tekken"])
    func damagedFilesAreRefusedWithoutATrap(_ name: String) throws {
        let testCase = try #require(Self.folderCases.first { $0.name == name })
        let file = try #require(Self.modelFiles.first { testCase.content["files"]?[$0] != nil })
        var generator = SeededGenerator(seed: 3)
        for round in 0..<60 {
            let tokenizer = try? load(
                testCase,
                [
                    file: { bytes in
                        var bytes = bytes
                        for _ in 0...round % 4 {
                            let index = Int.random(in: 0..<bytes.count, using: &generator)
                            switch round % 3 {
                            case 0: bytes[index] = .random(in: 0...255, using: &generator)
                            case 1: bytes.removeSubrange(index..<min(bytes.count, index + 3))
                            default: bytes = Array(bytes[..<max(1, index)])
                            }
                        }
                        return bytes
                    }
                ])
            if let tokenizer { _ = tokenizer.decode(tokenizer.encode("the ﬁ\u{0600}a é☃ <x>\r\n\u{1100}\u{1161}")) }
        }
    }

    @Test func damagedMapsAreReadWithoutATrap() throws {
        let map = try #require(
            Self.componentCases.first { $0.name == "Precompiled" }?.content["tokenizer"]?["normalizer"]?[
                "precompiled_charsmap"]?.stringValue)
        let bytes = Array(try #require(Data(base64Encoded: map)))
        var generator = SeededGenerator(seed: 4)
        let text = Array("ﬁ① e\u{301}\u{A0}©\u{200D}中\r\n½\u{0}a".utf8)
        for _ in 0..<500 {
            var damaged = bytes
            for _ in 0..<4 {
                let index = Int.random(in: 4..<bytes.count, using: &generator)
                damaged[index] = .random(in: 0...255, using: &generator)
            }
            if let map = try? CharacterMap(Data(damaged)) { _ = [TextNormalizer.mapped(map)].normalized(text) }
        }
        for count in 0..<8 { #expect(throws: CharacterMap.Fault.self) { try CharacterMap(Data(bytes[..<count])) } }
    }

    @Test(arguments: [
        (["spiece.model": ""], "pieces"), (["tokenizer.model": "\u{1}\u{2}\u{3}"], "SentencePiece"),
        (["odd.tiktoken": "YQ== 0\n"], "nothing says how"), (["qwen.tiktoken": "YQ== 0\nx 1\n"], "line 2"),
        (["tekken.json": "{}"], "needs \"config\""),
        (["tekken.json": #"{"config": {"pattern": "a"}, "vocab": []}"#], "special_tokens"),
        (
            ["tokenizer.json": #"{"model": {"type": "Unigram", "unk_id": 3, "vocab": [["a", -1.5]]}}"#],
            "the id of its unknown token"
        ),
        (["tokenizer.json": #"{"model": {"type": "Unigram", "vocab": [["a"]]}}"#], "a string and a score"),
        (["tokenizer.json": #"{"model": {"type": "Unigram", "vocab": [["a", "b"]]}}"#], "expected a number"),
        (
            ["tokenizer.json": #"{"model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"a": 0}}}"#],
            "lacks the unknown token"
        ),
    ])
    func namesWhatIsWrong(_ files: [String: String], _ expected: String) {
        do {
            _ = try makeTokenizer(files: files)
            Issue.record("loaded")
        } catch {
            #expect("\(error)".contains(expected), "\(error)")
        }
    }

    @Test func codeThatIsNotRunIsNamed() throws {
        let model = try #require(Self.folderCases.first { $0.name == "described llama" })
        let config = #"{"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.OwnTokenizer", null]}}"#
        let tokenizer = try load(model, ["tokenizer_config.json": { _ in Array(config.utf8) }])
        #expect(tokenizer.notices.count == 1 && tokenizer.notices.first?.contains("not run") == true)
        #expect(try load(model).notices.isEmpty)
    }

    @Test func classesThatAreNotKnownAreNamed() throws {
        let model = try #require(Self.folderCases.first { $0.name == "XLM-R" })
        let message = #expect(throws: TokenizerError.self) {
            try load(model, ["tokenizer_config.json": { _ in Array(#"{"tokenizer_class": "MBartTokenizer"}"#.utf8) }])
        }
        #expect(message?.message.contains("MBartTokenizer is not supported") == true)
    }
}
