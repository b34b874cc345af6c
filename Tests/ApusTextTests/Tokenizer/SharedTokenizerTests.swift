import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Real tokenizers from the fixtures beside the checkout; skipped where there are none.
@Suite(.enabled(if: sharedFixtures("tokenizers") != nil, "needs shared/fixtures beside the checkout"))
struct SharedTokenizerTests {
    private func load(_ name: String) throws -> Tokenizer {
        try Tokenizer.load(folder: try #require(sharedFixtures("tokenizers/\(name)")))
    }

    @Test func gpt2AgreesWithThePublishedEncoding() throws {
        let tokenizer = try load("gpt2")
        let url = try #require(sharedFixtures("tokenizers/vectors-swift-transformers/gpt2_encoded_tokens.json"))
        let vector = try JSONValue(parsing: Data(contentsOf: url))
        let text = try #require(vector["text"]?.stringValue)
        let tokens = (vector["bpe_tokens"]?.arrayValue ?? []).compactMap(\.stringValue)
        let ids = (vector["token_ids"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        #expect(!ids.isEmpty)
        #expect(tokenizer.encode(text) == ids)
        #expect(tokenizer.encode(text).compactMap(tokenizer.token(of:)) == tokens)
        #expect(tokenizer.decode(ids) == text)
        #expect(tokenizer.eosTokenID == 50256)
    }

    @Test func qwenEncodesAConversation() throws {
        let tokenizer = try load("qwen2.5")
        let ids = tokenizer.encode("<|im_start|>user\nHello, world! 你好 123\u{301}<|im_end|>\n")
        #expect(ids == [151644, 872, 198, 9707, 11, 1879, 0, 220, 108386, 220, 16, 17, 18, 53839, 151645, 198])
        #expect(tokenizer.eosToken == "<|im_end|>" && tokenizer.eosTokenID == 151645)
        #expect(tokenizer.padTokenID == 151643 && tokenizer.bosToken == nil)
        #expect(tokenizer.vocabularySize == 151665)
        #expect(tokenizer.modelMaximumLength == 131072)
        #expect(tokenizer.chatTemplate?.hasPrefix("{%- if tools %}") == true)
    }

    @Test func vocabularyAndMergesMakeTheSameTokenizer() throws {
        let whole = try load("qwen2.5")
        let parts = try load("qwen2-0.5b")
        var texts = RandomTexts(seed: 11)
        for _ in 0..<300 {
            let text = texts.next()
            #expect(whole.encode(text) == parts.encode(text))
        }
    }

    @Test func threadsShareATokenizer() async throws {
        let tokenizer = try load("gpt2")
        var generator = RandomTexts(seed: 5)
        let texts = (0..<200).map { _ in generator.next() }
        let expected = texts.map { tokenizer.encode($0) }
        try await withThrowingTaskGroup(of: [[Int32]].self) { group in
            for _ in 0..<4 { group.addTask { texts.map { tokenizer.encode($0) } } }
            for try await ids in group { #expect(ids == expected) }
        }
    }

    @Test(arguments: ["roberta-base", "opt", "qwen3"])
    func decodesWhatItEncodes(_ name: String) throws {
        let tokenizer = try load(name)
        for text in ["Hello world", " The quick brown fox's 12 jumps!\n\n\tover", "naïve 你好 😀 \u{0} end"] {
            #expect(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: true) == text)
        }
    }

    /// Published encodings; only the T5 vectors have their tokenizer beside them.
    @Test(arguments: ["t5", "t5-small"])
    func t5AgreesWithThePublishedEncoding(_ name: String) throws {
        let tokenizer = try load(name)
        let url = try #require(sharedFixtures("tokenizers/vectors-swift-transformers/t5_base_encoded.json"))
        let vector = try JSONValue(parsing: Data(contentsOf: url))
        let text = try #require(vector["text"]?.stringValue)
        let ids = (vector["token_ids"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        #expect(!ids.isEmpty && tokenizer.encode(text) == ids)
    }

    @Test func filesOfSentencePieceAndTokenizersMakeTheSameT5() throws {
        let ours = try #require(sharedFixtures("tokenizers/t5/spiece.model"))
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-t5-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.copyItem(at: ours, to: folder.appending(path: "spiece.model"))
        try Data(#"{"tokenizer_class": "T5Tokenizer"}"#.utf8).write(to: folder.appending(path: "tokenizer_config.json"))
        let (whole, pieces) = (try load("t5"), try Tokenizer.load(folder: folder))
        var texts = RandomTexts(seed: 12)
        for _ in 0..<100 {
            let text = texts.next()
            #expect(whole.encode(text) == pieces.encode(text))
        }
    }

    @Test func yuanReadsItsModelFile() throws {
        let tokenizer = try load("yuan2")
        #expect(tokenizer.encode("Hello  world") == [1, 15043, 259, 11526, 2])
        #expect(tokenizer.vocabularySize == 134_953)
        #expect(tokenizer.decode([1, 15043, 259, 11526, 2], skipSpecialTokens: true) == "Hello  world")
    }

    @Test func bertAgreesOnTheQuestionsOfSQuAD() throws {
        let tokenizer = try load("bert-uncased")
        func vectors(_ name: String) throws -> [JSONValue] {
            let url = try #require(sharedFixtures("tokenizers/vectors-swift-transformers/\(name).json"))
            return try #require(try JSONValue(parsing: Data(contentsOf: url)).arrayValue)
        }
        let questions = try vectors("question_tokens")
        let expected = try vectors("tokenized_questions")
        #expect(questions.count == 10570 && expected.count == questions.count)
        var differing = 0
        for (question, ids) in zip(questions, expected) {
            let text = try #require(question["original"]?.stringValue)
            let ours = tokenizer.encode(text, addSpecialTokens: false)
            let tokens = (question["wordpiece"]?.arrayValue ?? []).compactMap(\.stringValue)
            if ours != (ids.arrayValue ?? []).compactMap({ $0.intValue.map(Int32.init) })
                || ours.compactMap(tokenizer.token(of:)) != tokens
            {
                differing += 1
            }
        }
        #expect(differing == 0)
    }

    @Test func encodersKnowPairs() throws {
        let bert = try load("bert-uncased").encode("Who was Jim Henson?", pair: "A puppeteer")
        #expect(bert.ids == [101, 2040, 2001, 3958, 27227, 1029, 102, 1037, 13997, 11510, 102])
        #expect(bert.segments == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
        let roberta = try load("roberta-base").encode("Hello", pair: " world")
        #expect(roberta == EncodedText(ids: [0, 31414, 2, 2, 232, 2], segments: [0, 0, 0, 0, 0, 0]))
    }

    @Test(arguments: ["bert-uncased", "bert-cased", "bert-chinese"])
    func encodersTakeAnyText(_ name: String) throws {
        let tokenizer = try load(name)
        var texts = RandomTexts(seed: 17)
        for _ in 0..<300 {
            let ids = tokenizer.encode(texts.next(), pair: texts.next()).ids
            #expect(ids.first == tokenizer.clsTokenID && ids.last == tokenizer.sepTokenID)
        }
    }
}
