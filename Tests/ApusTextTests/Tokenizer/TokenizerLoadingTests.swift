import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// What is refused, and what the small files beside a tokenizer change.
@Suite struct TokenizerLoadingTests {
    /// A tokenizer.json of three letters; `components` go before the model.
    private func json(_ components: String = "", model: String = "") -> String {
        #"{"version": "1.0", \#(components.isEmpty ? "" : components + ",") "#
            + #""model": {"type": "BPE", \#(model.isEmpty ? "" : model + ",") "#
            + #""vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "\u00e9": 4, "\ud83d\ude00": 5}, "merges": ["a b"]}}"#
    }

    private func message(_ body: () throws -> Tokenizer) -> String {
        do {
            _ = try body()
            return "loaded"
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: [
        (#""normalizer": {"type": "Precompiled"}"#, "needs the string \"precompiled_charsmap\""),
        (#""normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAA="}"#, "not even the size of its trie"),
        (#""normalizer": {"type": "Romanize"}"#, "normalizer \"Romanize\" is not supported"),
        (#""pre_tokenizer": {"type": "Syllables"}"#, "pre_tokenizer \"Syllables\" is not supported"),
        (#""pre_tokenizer": {"type": "FixedLength", "length": 0}"#, "needs a \"length\" above 0"),
        (#""pre_tokenizer": {"type": "Metaspace"}"#, "needs \"replacement\""),
        (
            #""pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}"#,
            "not first, always or never"
        ),
        (#""pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Bert"}]}"#, "\"Bert\" is not supported"),
        (
            #""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false}"#,
            "Oniguruma refuses"
        ),
        (#""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}, "invert": false}"#, "needs a \"behavior\""),
        (#""pre_tokenizer": {"type": "ByteLevel"}"#, "needs \"add_prefix_space\""),
        (#""decoder": {"type": "CTC"}"#, "needs the string \"pad_token\""),
        (#""decoder": {"type": "Voice"}"#, "decoder \"Voice\" is not supported"),
        (#""post_processor": {"type": "Unknown"}"#, "post_processor \"Unknown\" is not supported"),
        (#""post_processor": {"type": "TemplateProcessing", "single": [], "special_tokens": {}}"#, "0 times"),
        (#""added_tokens": [{"id": 0}]"#, "no \"content\""),
        (#""added_tokens": 3"#, "must be a list"),
    ])
    func refusesComponents(_ components: String, _ expected: String) {
        let message = message { try makeTokenizer(json(components)) }
        #expect(message.contains(expected) && message.contains("tokenizer.json"), "\(message)")
    }

    @Test(arguments: [
        (#"{"model": {"type": "Unigram", "vocab": []}}"#, "Unigram needs the id of its unknown token"),
        (#"{"model": {"type": "Syllables", "vocab": []}}"#, "model \"Syllables\" is not supported"),
        (#"{"model": {"type": "BPE", "vocab": {}}}"#, "needs \"vocab\" and \"merges\""),
        (#"{"model": {"vocab": {"a": 0}}}"#, "without a \"type\""),
        (#"{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}"#, "expected a token id"),
        (#"{"model": {"type": "BPE", "vocab": {"a": 99999999}, "merges": []}}"#, "ids must be below"),
        (#"{"model": {"type": "BPE", "vocab": {"a": 99999999999999999999}, "merges": []}}"#, "a token id above"),
        (#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}}"#, "as another token has already"),
        (#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}"#, "merge 1, \"a\""),
        (#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a"]]}}"#, "needs the token \"aa\""),
        (#"{"model": {"type": "BPE", "vocab": {"\ud800": 0}, "merges": []}}"#, "lone surrogate"),
        (#"{"model": {"type": "BPE", "dropout": 0.1, "vocab": {"a": 0}, "merges": []}}"#, "dropout"),
        (#"{"model": {"type": "BPE", "unk_token": "<unk>", "vocab": {"a": 0}, "merges": []}}"#, "<unk>"),
        (#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"#, "ends"),
        ("", "expected '{'"), ("[]", "expected '{'"), ("{", "expected"), (#"{"model": "#, "ends"),
    ])
    func refusesBrokenFiles(_ file: String, _ expected: String) {
        let message = message { try makeTokenizer(file) }
        #expect(message.contains(expected), "\(message)")
    }

    @Test func everyPrefixOfAFileIsRefusedWithoutATrap() {
        let file = Array(json(#""normalizer": {"type": "NFC"}, "added_tokens": [{"id": 6, "content": "<x>"}]"#).utf8)
        for count in 0..<file.count {
            let text = String(decoding: file[..<count], as: UTF8.self)
            #expect(message { try makeTokenizer(text) } != "loaded")
        }
    }

    @Test func damagedFilesNeverTrap() throws {
        let file = Array(
            json(
                #""normalizer": {"type": "Strip", "strip_left": true, "strip_right": false}, "#
                    + #""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a|b"}, "behavior": "Isolated", "#
                    + #""invert": false}, "decoder": {"type": "Strip", "content": "a", "start": 1, "stop": 2}, "#
                    + #""added_tokens": [{"id": 6, "content": "<x>", "lstrip": true}]"#
            ).utf8)
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<400 {
            var damaged = file
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let index = Int.random(in: 0..<damaged.count, using: &generator)
                damaged[index] =
                    Bool.random(using: &generator)
                    ? .random(in: 0...255, using: &generator) : file[index / 2]
            }
            let url = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString).json")
            try Data(damaged).write(to: url)
            defer { try? FileManager.default.removeItem(at: url) }
            guard let parts = try? TokenizerJSONFile(url).parts() else { continue }
            let tokenizer = Tokenizer(parts, TokenizerConfiguration())
            _ = tokenizer.decode(tokenizer.encode("ab <x> é😀"))
        }
    }

    /// Of a large file merges are looked for on another thread; wherever its guess lies, they are those of the model.
    @Test(arguments: [
        (#""note": {"merges": ["b a"]}, "#, #""vocab": V, "merges": ["a b"]"#, [2]),
        (#""note": {"merges": [1]}, "#, #""vocab": V, "merges": ["a b"]"#, [2]),
        ("", #""merges": ["a b"], "vocab": V"#, [2]),
        ("", #""vocab": V, "merges": ["a b"], "merges": []"#, [0, 1]),
        ("", #""vocab": V, "merges": ["a b"], "merges": null"#, nil),
    ])
    func findsTheMergesOfTheModel(head: String, model: String, ids: [Int32]?) throws {
        for width in [1, 1 << 20] {
            let room = String(repeating: " ", count: width)
            let model = model.replacing("V", with: #"{"a": 0, "b": 1, "ab": 2, "ba": 3}"#)
            let text = "{\(head)\(room)\"model\": {\"type\": \"BPE\", \(model)}}"
            if let ids {
                #expect(try makeTokenizer(text).encode("ab") == ids)
            } else {
                #expect(message { try makeTokenizer(text) }.contains("needs \"vocab\" and \"merges\""))
            }
        }
    }

    @Test func refusesAFolderWithoutATokenizer() {
        #expect(
            message { try makeTokenizer(files: ["vocab.json": "{}"]) }.contains(
                "put the merges.txt of the same tokenizer beside it"))
        #expect(message { try makeTokenizer() }.contains("holds no tokenizer.json"))
    }

    @Test func readsUnescapedAndEscapedTokens() throws {
        let tokenizer = try makeTokenizer(json())
        #expect(tokenizer.encode("abcé😀") == [3, 2, 4, 5])
        #expect(tokenizer.id(of: "é") == 4)
        #expect(tokenizer.token(of: 5) == "😀")
        #expect(tokenizer.token(of: -1) == nil)
        #expect(tokenizer.token(of: 6) == nil)
        // Without a decoder there are spaces between tokens, and unknown ids are left out.
        #expect(tokenizer.decode([0, 99, 1]) == "a b")
    }

    /// One of the ids that `tokenizers` finds, which takes another of them in each run.
    @Test func ofTokensThatNormaliseAlikeTheLowestIDIsFound() throws {
        for contents in [["CAB", "cab", "Cab"], ["cab", "Cab", "CAB"]] {
            let added = contents.enumerated().map { index, content in
                #"{"id": \#(6 + index), "content": "\#(content)", "normalized": true, "special": false}"#
            }
            let tokenizer = try makeTokenizer(
                json(
                    #""normalizer": {"type": "Lowercase"}, "added_tokens": [\#(added.joined(separator: ", "))]"#))
            #expect(tokenizer.encode("aCABb cab Cab") == [0, 6, 1, 6, 6])
            #expect(contents.map { tokenizer.id(of: $0) } == [6, 7, 8])
        }
    }

    /// By `tokenizers`: `\ta\t\tb` and the others of a token that takes white space along on both sides.
    @Test func whiteSpaceThatATokenTookAlongIsNoTokenOnceMore() throws {
        let tokenizer = try makeTokenizer(
            json(
                #""added_tokens": [{"id": 6, "content": "\t", "lstrip": true, "rstrip": true, "normalized": false}]"#))
        #expect(tokenizer.encode("\ta\t\tb") == [6, 0, 6, 1])
        #expect(tokenizer.encode("\t\t\t") == [6])
        #expect(tokenizer.encode("a\t \t\tb\t") == [0, 6, 1, 6])
        // A token that takes nothing along stays one, behind another that did.
        let both = try makeTokenizer(
            json(
                #""added_tokens": [{"id": 2, "content": "c", "rstrip": true, "normalized": false}, "#
                    + #"{"id": 6, "content": "\t", "normalized": false}]"#))
        #expect(both.encode("c\tb") == [2, 6, 1])
    }

    @Test func readsTheSmallFiles() throws {
        let tokenizer = try makeTokenizer(
            json(),
            files: [
                "tokenizer_config.json": """
                {"bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null,
                 "unk_token": "c", "model_max_length": 1e30, "add_bos_token": true, "image_token": "<i>",
                 "additional_special_tokens": ["<x>"],
                 "chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}
                """
            ])
        #expect(tokenizer.bosToken == "<s>" && tokenizer.eosToken == "</s>" && tokenizer.padToken == nil)
        #expect(tokenizer.bosTokenID == 6 && tokenizer.eosTokenID == 7 && tokenizer.unkTokenID == 2)
        #expect(tokenizer.modelMaximumLength == nil)
        #expect(tokenizer.chatTemplate == "d")
        #expect(tokenizer.chatTemplates == ["default": "d", "tool_use": "t"])
        #expect(tokenizer.specialTokens == ["c", "<s>", "</s>", "<i>", "<x>"])
        #expect(
            tokenizer.namedTokens == ["bos_token": "<s>", "eos_token": "</s>", "unk_token": "c", "image_token": "<i>"])
        #expect(tokenizer.vocabularySize == 10)
        // Beside a tokenizer.json, add_bos_token is silent.
        #expect(tokenizer.encode("ab<x>") == [3, 9])
        #expect(tokenizer.encode("ab", addSpecialTokens: false) == [3])
        #expect(tokenizer.decode([6, 3, 9], skipSpecialTokens: true) == "ab")
    }

    @Test func chatTemplateFileComesFirst() throws {
        let files = ["tokenizer_config.json": #"{"chat_template": "old"}"#, "chat_template.jinja": "new\n"]
        #expect(try makeTokenizer(json(), files: files).chatTemplate == "new\n")
    }

    @Test func filesOfTemplatesTakeThePlaceOfTheConfiguration() throws {
        let config = ["tokenizer_config.json": #"{"chat_template": [{"name": "rag", "template": "r"}]}"#]
        let additional = config.merging(["additional_chat_templates/tool_use.jinja": "t"]) { $1 }
        #expect(try makeTokenizer(json(), files: config).chatTemplates == ["rag": "r"])
        #expect(try makeTokenizer(json(), files: additional).chatTemplates == ["tool_use": "t"])
        let both = additional.merging(["chat_template.jinja": "d"]) { $1 }
        #expect(try makeTokenizer(json(), files: both).chatTemplates == ["default": "d", "tool_use": "t"])
        let older = ["chat_template.json": #"{"chat_template": "o"}"#]
        #expect(try makeTokenizer(json(), files: older).chatTemplates == ["default": "o"])
        let broken = ["tokenizer_config.json": #"{"chat_template": [{"name": "x"}]}"#]
        #expect(message { try makeTokenizer(json(), files: broken) }.contains("no \"template\""))
    }

    @Test func readsTheFilesOfOlderTokenizers() throws {
        let tokenizer = try makeTokenizer(
            json(),
            files: [
                "tokenizer_config.json": #"{"eos_token": "a", "model_max_length": 512}"#,
                "special_tokens_map.json": #"{"eos_token": "<e>"}"#,
                "added_tokens.json": #"{"<f>": 7, "<e>": 6}"#,
            ])
        #expect(tokenizer.eosToken == "<e>" && tokenizer.eosTokenID == 6)
        #expect(tokenizer.id(of: "<f>") == 7)
        #expect(tokenizer.specialTokens == ["<e>"])
        #expect(tokenizer.modelMaximumLength == 512)
    }

    @Test func canonicallyEqualTokensAreDifferentTokens() throws {
        let file =
            #"{"model": {"type": "BPE", "vocab": {"e": 0, "\u0301": 1, "e\u0301": 2, "\u00e9": 3}, "#
            + #""merges": ["e \u0301"]}, "added_tokens": []}"#
        let tokenizer = try makeTokenizer(file)
        #expect(tokenizer.encode("e\u{301}") == [2])
        #expect(tokenizer.encode("é") == [3])
    }

    @Test func readsVocabularyAndMerges() throws {
        let files = [
            "vocab.json": #"{"a": 0, "Ġ": 1, "Ġa": 2, "<|endoftext|>": 3}"#, "merges.txt": "#version: 0.2\nĠ a\n",
        ]
        let tokenizer = try makeTokenizer(files: files)
        #expect(tokenizer.encode("a a<|endoftext|>") == [0, 2, 3])
        #expect(tokenizer.eosTokenID == 3)
        var unknown = files
        unknown["tokenizer_config.json"] = #"{"tokenizer_class": "CLIPTokenizer"}"#
        #expect(message { try makeTokenizer(files: unknown) }.contains("CLIPTokenizer are not supported"))
    }
}

@Suite struct GGUFVocabularyTests {
    private func vocabulary(model: String = "gpt2", pre: String? = "smollm") -> GGUFVocabulary {
        let bytes = (0...255).map { byte in
            var spelling: [UInt8] = []
            ByteAlphabet.spell(UInt8(byte), into: &spelling)
            return String(decoding: spelling, as: UTF8.self)
        }
        return GGUFVocabulary(
            model: model, preTokenizer: pre, tokens: ["<|im_start|>", "<think>"] + bytes + ["12", "ab"],
            tokenTypes: [3, 4] + bytes.map { _ in 1 } + [1, 1], merges: ["1 2", "a b"], beginningOfSequenceID: 0,
            endOfSequenceID: 0, addsBeginningOfSequence: true, chatTemplate: "x")
    }

    @Test func makesATokenizer() throws {
        let tokenizer = try Tokenizer(gguf: vocabulary())
        let (one, two, ab) = (Int32(2 + 0x31), Int32(2 + 0x32), Int32(259))
        // "smollm" takes digits one by one.
        #expect(tokenizer.encode("ab12<think>") == [0, ab, one, two, 1])
        #expect(try Tokenizer(gguf: vocabulary(pre: "gpt-2")).encode("12") == [0, 258])
        #expect(tokenizer.decode([0, ab, 1], skipSpecialTokens: true) == "ab<think>")
        #expect(tokenizer.bosTokenID == 0 && tokenizer.chatTemplate == "x")
        #expect(tokenizer.specialTokens == ["<|im_start|>"])
    }

    @Test func theFilesItWritesAddTheSameTokens() throws {
        for (beginning, end) in [(true, true), (true, false), (false, true), (false, false)] {
            var given = vocabulary(pre: "gpt-2")
            (given.addsBeginningOfSequence, given.addsEndOfSequence) = (beginning, end)
            let files = Dictionary(uniqueKeysWithValues: try given.tokenizerFiles().map { ($0.name, $0.text) })
            let (ours, written) = (try Tokenizer(gguf: given), try makeTokenizer(files: files))
            #expect(written.encode("ab 12<think>") == ours.encode("ab 12<think>"))
            #expect(written.encode("ab", pair: "12") == ours.encode("ab", pair: "12"))
            #expect(written.encode("a").count == 1 + (beginning ? 1 : 0) + (end ? 1 : 0))
        }
    }

    /// Every name of a splitting is found again in the tokenizer that it makes, and in the files that hold that.
    @Test(arguments: GGUFSplitting.known.map { $0.names[0] }, [true, false])
    func isFoundAgainInItsTokenizer(_ pre: String, addsBoth: Bool) throws {
        var given = vocabulary(pre: pre)
        (given.addsBeginningOfSequence, given.addsEndOfSequence) = (addsBoth, addsBoth)
        let files = Dictionary(uniqueKeysWithValues: try given.tokenizerFiles().map { ($0.name, $0.text) })
        for tokenizer in [try Tokenizer(gguf: given), try makeTokenizer(files: files)] {
            let found = try GGUFVocabulary(tokenizer, size: 262)
            #expect(found.model == "gpt2" && found.preTokenizer == pre)
            #expect(found.tokens == given.tokens + ["[PAD260]", "[PAD261]"])
            // What looks like a token of control is one.
            #expect(found.tokenTypes == given.tokenTypes + [5, 5])
            #expect(found.merges == given.merges)
            #expect(found.beginningOfSequenceID == 0 && found.endOfSequenceID == 0 && found.unknownID == nil)
            #expect(found.addsBeginningOfSequence == addsBoth && found.addsEndOfSequence == addsBoth)
            #expect(found.chatTemplate == "x")
        }
    }

    @Test func tokensThatLookSpecialAreOfControl() throws {
        var given = vocabulary()
        given.tokens[1] = "<|fim_prefix|>"
        #expect(try GGUFVocabulary(Tokenizer(gguf: given), size: 260).tokenTypes[1] == 3)
        given.tokens[1] = "<tool_call>"
        let found = try GGUFVocabulary(Tokenizer(gguf: given), size: 260, beginning: 7, padding: 8)
        #expect(found.tokenTypes[1] == 4)
        #expect(found.beginningOfSequenceID == 0 && found.paddingID == 8)
    }

    @Test func refusesToWriteOtherTokenizers() throws {
        func refusal(_ files: [String: String]) -> String {
            do {
                _ = try GGUFVocabulary(makeTokenizer(files: files), size: 300)
                return ""
            } catch {
                return "\(error)"
            }
        }
        var files = Dictionary(
            uniqueKeysWithValues: try vocabulary(pre: "gpt-2").tokenizerFiles().map { ($0.name, $0.text) })
        let whole = try #require(files["tokenizer.json"])
        files["tokenizer.json"] = whole.replacing("\"byte_fallback\": false", with: "\"byte_fallback\": true")
        #expect(refusal(files).contains("no byte-level byte-pair encoding"))
        files["tokenizer.json"] = whole.replacing("\"add_prefix_space\": false", with: "\"add_prefix_space\": true")
        #expect(refusal(files).contains("way of splitting"))
        files["tokenizer.json"] = whole.replacing("\"ignore_merges\": false", with: "\"ignore_merges\": true")
        #expect(refusal(files).contains("way of splitting"))
        files["tokenizer.json"] = whole.replacing(
            "\"normalizer\": null", with: "\"normalizer\": {\"type\": \"Lowercase\"}")
        #expect(refusal(files).contains("way of splitting"))
        var other = vocabulary(pre: "gpt-2")
        other.beginningOfSequenceID = 5
        let around = Dictionary(uniqueKeysWithValues: try other.tokenizerFiles().map { ($0.name, $0.text) })
        files["tokenizer.json"] = around["tokenizer.json"]
        #expect(refusal(files).contains("around every text"))
        let words = #"{"added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}"#
        #expect(refusal(["tokenizer.json": words]).contains("no byte-level byte-pair encoding"))
    }

    @Test func refusesWhatItCannotDo() throws {
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: vocabulary(model: "rwkv")) }
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: vocabulary(pre: "no-such-thing")) }
        var broken = vocabulary()
        broken.tokenTypes = [1]
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: broken) }
        broken = vocabulary()
        broken.endOfSequenceID = 100_000
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: broken) }
        broken = vocabulary()
        broken.merges = ["1 2 3"]
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: broken) }
    }
}
