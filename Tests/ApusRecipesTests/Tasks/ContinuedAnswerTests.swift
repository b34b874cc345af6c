import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusRecipes

/// Answers into which a scheduler puts texts, token for token.
struct ContinuedAnswerTests {
    private static let letters = "abcdefghijklmnopqrstuvwxyz.,!</>".map(String.init)

    /// A tokenizer as Llama 2 has it: a space before every text, spaces as `▁`, bytes for what has no token.
    private static func llamaLike() throws -> Tokenizer {
        let bytes = (0..<256).map { String(format: "<0x%02X>", $0) }
        let pieces = ["<unk>", "<s>", "</s>"] + bytes + ["▁"] + letters + ["▁a", "bc"]
        let vocabulary = pieces.enumerated().reduce(into: JSONObject()) { $0[$1.element] = .int($1.offset) }
        let added = (0..<3).map { id -> JSONValue in
            [
                "id": .int(id), "content": .string(pieces[id]), "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            ]
        }
        let (space, mark): (JSONValue, JSONValue) = (["String": " "], ["String": "▁"])
        return try tokenizer([
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added),
            "normalizer": [
                "type": "Sequence",
                "normalizers": [
                    ["type": "Prepend", "prepend": "▁"], ["type": "Replace", "pattern": space, "content": "▁"],
                ],
            ],
            "pre_tokenizer": nil, "post_processor": nil,
            "decoder": [
                "type": "Sequence",
                "decoders": [
                    ["type": "Replace", "pattern": mark, "content": " "], ["type": "ByteFallback"], ["type": "Fuse"],
                    ["type": "Strip", "content": " ", "start": 1, "stop": 0],
                ],
            ],
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": "<unk>", "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": true, "byte_fallback": true, "vocab": .object(vocabulary),
                "merges": ["▁ a", "b c"],
            ],
        ])
    }

    /// Bytes, with one token for `.</` as Qwen2.5 has it.
    private static func byteLevel() throws -> Tokenizer {
        guard var file = TinyModelFolder.byteTokenizer().objectValue, var model = file["model"]?.objectValue,
            var vocabulary = model["vocab"]?.objectValue
        else { throw CocoaError(.fileReadCorruptFile) }
        vocabulary[".<"] = 256
        vocabulary[".</"] = 257
        model["vocab"] = .object(vocabulary)
        model["merges"] = [". <", ".< /"]
        file["model"] = .object(model)
        return try tokenizer(.object(file))
    }

    private static func tokenizer(_ file: JSONValue) throws -> Tokenizer {
        let folder = try TemporaryFolder()
        try folder.write(file.serialized(), to: "tokenizer.json")
        try folder.write(#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#, to: "tokenizer_config.json")
        return try Tokenizer.load(folder: URL(fileURLWithPath: folder.path))
    }

    /// What an answer says behind others, as the sampler reads it.
    private func said(_ tokens: [Int32], behind earlier: [Int32], _ tokenizer: Tokenizer) -> String {
        var text = AnswerText(tokenizer, ends: AnswerEnds(tokens: [], tokenizer: tokenizer), behind: earlier)
        for token in tokens { text.append(token) }
        _ = text.finish()
        return text.text
    }

    /// Two texts are put into an answer of a model with SentencePiece: no space gets lost, none is added, and nothing that the
    /// model said.
    @Test func twoTextsBehindSentencePieces() throws {
        let tokenizer = try Self.llamaLike()
        let answer = ContinuedAnswer(tokenizer: tokenizer)
        var tokens = tokenizer.encode("ab bc", addSpecialTokens: false)
        #expect(tokens.map { tokenizer.token(of: $0) } == ["▁a", "b", "▁", "bc"])
        #expect(said(tokens, behind: [], tokenizer) == "ab bc")
        for (text, more, whole) in [("but", "abc", "ab bcbut abc"), (" so!", "bc.", "ab bcbut abc so! bc.")] {
            let bytes = answer.text(of: tokens).utf8.count
            let kept = answer.beginning(of: tokens, bytes: bytes)
            #expect(kept.count == tokens.count && kept.rest.isEmpty)
            tokens += answer.ids(of: text, behind: tokens)
            let own = tokenizer.encode(more, addSpecialTokens: false)
            #expect(said(own, behind: tokens, tokenizer) == whole)
            tokens += own
            #expect(answer.text(of: tokens) == whole)
        }
    }

    /// Bytes that stand for a character stay together, and end an answer that was not finished.
    @Test func bytesOfCharacters() throws {
        let tokenizer = try Self.llamaLike()
        let answer = ContinuedAnswer(tokenizer: tokenizer)
        let tokens = tokenizer.encode("aéb", addSpecialTokens: false)
        #expect(tokens.count == 4)
        for (bytes, count) in [(0, 0), (1, 1), (3, 3), (4, 4), (9, 4)] {
            let kept = answer.beginning(of: tokens, bytes: bytes)
            #expect(kept.count == count && kept.rest.isEmpty, "\(bytes)")
        }
    }

    /// A token that says the end of what is kept and the beginning of what is not goes, and what it said of the former is
    /// written anew.
    @Test func tokensThatStraddle() throws {
        let tokenizer = try Self.byteLevel()
        let answer = ContinuedAnswer(tokenizer: tokenizer)
        let tokens = tokenizer.encode("so.</answer>", addSpecialTokens: false)
        #expect(tokens[2] == 257)
        let kept = answer.beginning(of: tokens, bytes: 3)
        #expect(kept.count == 2 && kept.rest == ".")
        let continued = tokens.prefix(2) + answer.ids(of: kept.rest + "But", behind: Array(tokens.prefix(2)))
        #expect(answer.text(of: continued) == "so.But")
        #expect(answer.beginning(of: tokens, bytes: 5).count == 3)
        #expect(answer.beginning(of: tokens, bytes: 2).rest.isEmpty)
    }

    /// Stops are looked for in what the model said last alone.
    @Test func stopsInEarlierAnswers() throws {
        let tokenizer = try Self.byteLevel()
        let ends = AnswerEnds(tokens: [], words: ["so"], tokenizer: tokenizer)
        func said(_ text: String, behind earlier: String) -> String {
            var answer = AnswerText(tokenizer, ends: ends, behind: tokenizer.encode(earlier, addSpecialTokens: false))
            for token in tokenizer.encode(text, addSpecialTokens: false) { answer.append(token) }
            _ = answer.finish()
            return answer.text
        }
        #expect(said("on and so on", behind: "so ") == "so on and so")
        #expect(said("o on", behind: "s") == "so on")
    }
}
