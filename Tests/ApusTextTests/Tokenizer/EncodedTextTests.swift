import Foundation
import Testing

@testable import ApusText

/// Pairs, segments and lengths.
@Suite struct EncodedTextTests {
    private let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n"

    @Test func truncatesTheLongerTextFirst() throws {
        let tokenizer = try makeTokenizer(files: ["vocab.txt": vocabulary])
        func counts(_ first: Int, _ second: Int, _ limit: Int) -> [Int] {
            let text = tokenizer.encode(
                Array(repeating: "a", count: first).joined(separator: " "),
                pair: Array(repeating: "b", count: second).joined(separator: " "), maximumLength: limit + 3)
            return [text.ids.count { $0 == 5 }, text.ids.count { $0 == 6 }]
        }
        #expect(counts(3, 4, 7) == [3, 4] && counts(3, 4, 6) == [3, 3])
        #expect(counts(9, 2, 6) == [4, 2] && counts(2, 9, 6) == [2, 4])
        // The odd one goes to the longer text, of equal ones to the second.
        #expect(counts(9, 8, 5) == [3, 2] && counts(8, 9, 5) == [2, 3] && counts(9, 9, 5) == [2, 3])
        #expect(counts(0, 9, 5) == [0, 5] && counts(9, 0, 5) == [5, 0])
        #expect(counts(3, 4, 0) == [0, 0])
    }

    /// `enable_truncation(direction="left")` of `tokenizers`.
    @Test func whatIsTooMuchCanGoFromTheStart() throws {
        let tokenizer = try makeTokenizer(files: ["vocab.txt": vocabulary])
        #expect(tokenizer.encode("a b a a", pair: nil, maximumLength: 4, keepsEnds: true).ids == [2, 5, 5, 3])
        #expect(
            tokenizer.encode("a a b", pair: "b b a a", maximumLength: 6, keepsEnds: true)
                == EncodedText(ids: [2, 6, 3, 5, 5, 3], segments: [0, 0, 0, 1, 1, 1]))
        #expect(tokenizer.encode("a b", pair: nil, maximumLength: 4, keepsEnds: true).ids == [2, 5, 6, 3])
    }

    @Test func specialTokensStayWhateverTheLength() throws {
        let tokenizer = try makeTokenizer(files: ["vocab.txt": vocabulary])
        for limit in [-1, 0, 2] {
            #expect(tokenizer.encode("a", pair: nil, maximumLength: limit).ids == [2, 3])
            #expect(
                tokenizer.encode("a", pair: "b", maximumLength: limit)
                    == EncodedText(ids: [2, 3, 3], segments: [0, 0, 1]))
        }
        #expect(tokenizer.encode("a a a", pair: nil, addSpecialTokens: false, maximumLength: 2).ids == [5, 5])
        #expect(tokenizer.encode("a a a", pair: nil, maximumLength: .max).ids == [2, 5, 5, 5, 3])
    }

    @Test func anEmptyTextIsAPair() throws {
        let tokenizer = try makeTokenizer(files: ["vocab.txt": vocabulary])
        #expect(tokenizer.encode("", pair: nil) == EncodedText(ids: [2, 3], segments: [0, 0]))
        #expect(tokenizer.encode("", pair: "") == EncodedText(ids: [2, 3, 3], segments: [0, 0, 1]))
        #expect(tokenizer.encode("").count == 2)
    }

    @Test func textsWithoutATemplateFollowEachOther() throws {
        let tokenizer = try makeTokenizer(
            #"{"model": {"type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "", "#
                + #""max_input_chars_per_word": 9, "vocab": {"u": 0, "a": 1, "b": 2}}}"#)
        #expect(tokenizer.encode("ab", pair: "ba") == EncodedText(ids: [1, 2, 2, 1], segments: [0, 0, 1, 1]))
        #expect(tokenizer.encode("ab", pair: "bbb", maximumLength: 3).ids == [1, 2, 2])
    }
}

/// Broken files of encoders are refused by name, and odd ones do not trap.
@Suite struct EncoderLoadingTests {
    private func message(_ json: String? = nil, _ files: [String: String] = [:]) -> String {
        do {
            _ = try makeTokenizer(json, files: files)
            return "loaded"
        } catch {
            return "\(error)"
        }
    }

    private func wordPiece(_ model: String, _ rest: String = "") -> String {
        #"{"model": {"type": "WordPiece", \#(model)}\#(rest)}"#
    }

    @Test(arguments: [
        (#""vocab": {"a": 0}"#, "lacks the unknown token \"[UNK]\""),
        (#""vocab": {}"#, "lacks the unknown token"),
        (#""unk_token": "x", "vocab": {"[UNK]": 0}"#, "lacks the unknown token \"x\""),
        (#""unk_token": null, "vocab": {"[UNK]": 0}"#, "\"unk_token\""),
        (#""unk_token": "a""#, "needs \"vocab\""),
        (#""vocab": {"[UNK]": 0}, "max_input_chars_per_word": -1"#, "max_input_chars_per_word"),
        (#""vocab": {"[UNK]": 0}, "max_input_chars_per_word": "a""#, "max_input_chars_per_word"),
        (#""vocab": {"[UNK]": 0}, "continuing_subword_prefix": 3"#, "continuing_subword_prefix"),
        (#""vocab": {"[UNK]": 0, "\udc00": 1}"#, "lone surrogate"),
        (#""vocab": {"[UNK]": 0, "b": 0}"#, "as another token has already"),
        (#""vocab": ["[UNK]"]"#, "cannot read the vocabulary"),
    ])
    func refusesModels(_ model: String, _ expected: String) {
        let message = message(wordPiece(model))
        #expect(message.contains(expected) && message.contains("tokenizer.json"), "\(message)")
    }

    @Test(arguments: [
        (#""normalizer": {"type": "BertNormalizer"}"#, "\"BertNormalizer\" needs \"clean_text\""),
        (
            #""normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "#
                + #""strip_accents": 3, "lowercase": true}"#, "needs \"strip_accents\""
        ),
        (#""decoder": {"type": "WordPiece"}"#, "\"WordPiece\" needs the string \"prefix\""),
        (#""post_processor": {"type": "BertProcessing", "sep": ["x", -1], "cls": ["x", 0]}"#, "token ids"),
        (
            #""post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "#
                + #""pair": [{"Sequence": {"id": "C", "type_id": 0}}], "special_tokens": {}}"#, "other than A and B"
        ),
    ])
    func refusesComponents(_ component: String, _ expected: String) {
        let message = message(wordPiece(#""vocab": {"[UNK]": 0}"#, ", \(component)"))
        #expect(message.contains(expected), "\(message)")
    }

    @Test func refusesFolders() {
        #expect(message(nil, ["vocab.txt": ""]).contains("lacks the unknown token"))
        #expect(message(nil, ["vocab.txt": "a\nb\n"]).contains("vocab.txt: the vocabulary lacks the unknown token"))
        let other = ["vocab.txt": "[UNK]\n", "tokenizer_config.json": #"{"tokenizer_class": "BertJapaneseTokenizer"}"#]
        #expect(message(nil, other).contains("vocab.txt of BertJapaneseTokenizer are not supported"))
        let model = ["vocab.txt": "[UNK]\n", "config.json": #"{"model_type": "llama"}"#]
        #expect(message(nil, model).contains("vocab.txt of model type llama are not supported"))
    }

    @Test func refusesInvalidUTF8() throws {
        #expect(throws: TokenizerError.self) {
            try VocabularyText(source: "vocab.txt").read(Data([0x61, 0x0A, 0xFF, 0x0A]))
        }
    }

    @Test func missingTokensAreAdded() throws {
        let tokenizer = try makeTokenizer(files: ["vocab.txt": "[UNK]\na\n"])
        #expect(tokenizer.sepTokenID == 2 && tokenizer.padTokenID == 3 && tokenizer.clsTokenID == 4)
        #expect(tokenizer.encode("a\u{0}a[MASK]", pair: nil).ids == [4, 0, 5, 2])
        #expect(tokenizer.clsToken == "[CLS]" && tokenizer.sepToken == "[SEP]" && tokenizer.maskToken == "[MASK]")
    }

    @Test func longWordsOfOneTokenTakeNoTime() throws {
        let tokenizer = try makeTokenizer(
            wordPiece(###""max_input_chars_per_word": 1000000, "vocab": {"[UNK]": 0, "a": 1, "##a": 2, "##aa": 3}"###))
        let ids = tokenizer.encode(String(repeating: "a", count: 200_001))
        #expect(ids.count == 100_001 && ids.last == 3)
        #expect(tokenizer.encode(String(repeating: "a", count: 200_001) + "b") == [0])
    }

    @Test func damagedFilesNeverTrap() throws {
        let json = wordPiece(
            #""unk_token": "u", "continuing_subword_prefix": "+", "max_input_chars_per_word": 3, "#
                + #""vocab": {"u": 0, "a": 1, "+b": 2, "é": 3, "+": 4, "": 5}"#,
            #", "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "#
                + #""strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "#
                + #""decoder": {"type": "WordPiece", "prefix": "+", "cleanup": true}, "#
                + #""post_processor": {"type": "BertProcessing", "sep": ["a", 1], "cls": ["u", 0]}"#)
        var generator = SeededGenerator(seed: 4)
        func damaged(_ file: [UInt8]) -> Data {
            var damaged = file
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let index = Int.random(in: 0..<damaged.count, using: &generator)
                damaged[index] =
                    Bool.random(using: &generator) ? .random(in: 0...255, using: &generator) : file[index / 2]
            }
            return damaged.withUnsafeBytes { Data($0) }
        }
        let url = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: url) }
        for _ in 0..<400 {
            try damaged(Array(json.utf8)).write(to: url)
            if let parts = try? TokenizerJSONFile(url).parts() {
                let tokenizer = Tokenizer(parts, TokenizerConfiguration())
                _ = tokenizer.decode(tokenizer.encode("ab É中\u{0}aaaa", pair: "", maximumLength: 4).ids)
            }
            _ = try? VocabularyText(source: "vocab.txt").read(damaged(Array("[UNK]\né \u{3000}\na\n\na\n".utf8)))
        }
    }
}
