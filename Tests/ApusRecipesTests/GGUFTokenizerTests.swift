import ApusJSON
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes
@testable import ApusText

/// Unigram and WordPiece tokenizers of GGUF files, and of the files that are written of them, against what `transformers`
/// and `tokenizers` make of the same texts with the tokenizers' own files (Scripts/fixtures/make_gguf_encoders.py).
struct GGUFTokenizerTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    private static func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Data(contentsOf: root.appendingPathComponent(path)))
    }

    private static func vocabulary(_ name: String) throws -> GGUFVocabulary {
        let path = root.appendingPathComponent("gguf/tokenizers/\(name).gguf").path
        return GGUFVocabulary(try GGUFTokenizerMetadata(GGUFFile(path: path)))
    }

    /// The tokenizer of a file, and that of the files in a folder that are written of it.
    private static func tokenizers(_ vocabulary: GGUFVocabulary) throws -> [Tokenizer] {
        let folder = try TemporaryFolder()
        for (name, text) in try vocabulary.tokenizerFiles() {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)"))
        }
        return [try Tokenizer(gguf: vocabulary), try Tokenizer.load(folder: URL(fileURLWithPath: folder.path))]
    }

    private static func numbers(_ value: JSONValue?) -> [Int32] {
        (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
    }

    private static func check(
        _ tokenizer: Tokenizer, _ text: String, pair: String?, adds: Bool = true, limit: Int? = nil, ids: [Int32],
        segments: [Int32], decoded: String?, plain: String?
    ) {
        let encoded = tokenizer.encode(text, pair: pair, addSpecialTokens: adds, maximumLength: limit)
        #expect(encoded.ids == ids, "\(text.debugDescription), \(pair.debugDescription)")
        #expect(encoded.segments == segments, "\(text.debugDescription), \(pair.debugDescription)")
        #expect(tokenizer.decode(ids).utf8.elementsEqual((decoded ?? "").utf8), "\(text.debugDescription)")
        #expect(
            tokenizer.decode(ids, skipSpecialTokens: true).utf8.elementsEqual((plain ?? "").utf8),
            "\(text.debugDescription)")
    }

    /// T5 with rows that stand for nothing, XLM-R in the order of its ids, and files that describe themselves: with bytes,
    /// pieces of the user's and spaces that stay, and without a space before texts.
    @Test(arguments: [
        ("t5", "T5, none extra"), ("xlm-r", "XLM-R"), ("own", "described own"), ("bare", "described bare"),
    ])
    func unigramGivesTheIdsOfTheSentencePieceFile(name: String, of case: String) throws {
        let given = try #require(
            Self.json("tokenizers/unigram/folders.json")["cases"]?.arrayValue?.first { $0["name"] == .string(`case`) })
        for tokenizer in try Self.tokenizers(Self.vocabulary(name)) {
            for row in given["rows"]?.arrayValue ?? [] {
                Self.check(
                    tokenizer, try #require(row[0]?.stringValue), pair: row[1]?.stringValue, ids: Self.numbers(row[2]),
                    segments: Self.numbers(row[3]), decoded: row[4]?.stringValue, plain: row[5]?.stringValue)
            }
            for (role, token) in given["named"]?.objectValue ?? [:] where name != "own" && name != "bare" {
                #expect(tokenizer.namedTokens[role] == token.stringValue, "\(role)")
            }
        }
    }

    @Test func rowsThatStandForNothingAreNoTokens() throws {
        let vocabulary = try Self.vocabulary("t5")
        #expect(vocabulary.tokens.count == 128 && vocabulary.tokens[127] == "[PAD127]")
        let tokenizer = try Tokenizer(gguf: vocabulary)
        #expect(tokenizer.vocabularySize == 80 && tokenizer.decode([100]) == "")
        // Tokens that were added later come without a score of their own, as those of the model do not change for it.
        var added = vocabulary
        (added.tokens[80], added.tokenTypes[80], added.scores[80]) = ("<x>", 4, -1000)
        for larger in try Self.tokenizers(added) {
            #expect(larger.encode("the<x>") == tokenizer.encode("the", addSpecialTokens: false) + [80, 1])
            #expect(larger.encode("☃☃ zq") == tokenizer.encode("☃☃ zq"))
        }
    }

    @Test func wordPieceGivesTheIdsOfBERT() throws {
        let given = try #require(
            Self.json("encoders/encoders.json")["cases"]?.arrayValue?.first {
                $0["name"] == "lowercase True, accents None"
            })
        for tokenizer in try Self.tokenizers(Self.vocabulary("bert")) {
            for row in given["rows"]?.arrayValue ?? [] {
                Self.check(
                    tokenizer, try #require(row[0]?.stringValue), pair: row[1]?.stringValue,
                    adds: row[3]?.boolValue ?? true, limit: row[2]?.intValue, ids: Self.numbers(row[4]),
                    segments: Self.numbers(row[5]), decoded: row[6]?.stringValue, plain: row[7]?.stringValue)
            }
            #expect(tokenizer.clsToken == "[CLS]" && tokenizer.sepToken == "[SEP]" && tokenizer.maskToken == "[MASK]")
            #expect(tokenizer.unkToken == "[UNK]" && tokenizer.padToken == "[PAD]" && tokenizer.bosToken == nil)
        }
    }

    @Test func aVocabularyWithAllCapitalsKeepsThem() throws {
        let rows = try Self.json("gguf/tokenizers/cased.json").arrayValue ?? []
        #expect(rows.count > 20)
        for tokenizer in try Self.tokenizers(Self.vocabulary("bert-cased")) {
            for row in rows {
                let text = try #require(row[0]?.stringValue)
                #expect(tokenizer.encode(text) == Self.numbers(row[1]), "\(text.debugDescription)")
            }
        }
    }

    /// The first converters wrote no kinds for the tokens in brackets, nor ids for those around texts.
    @Test func olderFilesOfBERTAreReadByTheNamesOfTokens() throws {
        var older = try Self.vocabulary("bert")
        older.tokenTypes = older.tokenTypes.map { _ in 1 }
        (older.beginningOfSequenceID, older.endOfSequenceID, older.unknownID) = (nil, nil, nil)
        (older.separatorID, older.paddingID, older.maskID) = (nil, nil, nil)
        (older.addsBeginningOfSequence, older.addsEndOfSequence) = (nil, nil)
        let (ours, theirs) = (try Tokenizer(gguf: older), try Tokenizer(gguf: Self.vocabulary("bert")))
        for text in ["The [MASK] of", "unthe\u{301} 中国", "[CLS]"] {
            #expect(ours.encode(text, pair: "a").ids == theirs.encode(text, pair: "a").ids)
        }
        #expect(ours.namedTokens == theirs.namedTokens)
    }

    @Test func whatIsMissingIsNamed() throws {
        func message(_ name: String, _ change: (inout GGUFVocabulary) -> Void) throws -> String {
            var vocabulary = try Self.vocabulary(name)
            change(&vocabulary)
            do {
                _ = try Tokenizer(gguf: vocabulary)
                return ""
            } catch { return "\(error)" }
        }
        #expect(
            try message("bert") {
                ($0.tokens[1], $0.unknownID) = ("▁x1", nil)
            }.contains("no [UNK]"))
        #expect(try message("bert") { $0.tokens[7] = $0.tokens[8] }.contains("appears twice"))
        #expect(try message("t5") { $0.scores = [] }.contains("0 scores in tokenizer.ggml.scores"))
        #expect(try message("t5") { $0.scores[9] = .nan }.contains("score"))
        #expect(try message("t5") { $0.characterMap = Data([1, 2]) }.contains("precompiled_charsmap"))
        #expect(try message("t5") { $0.unknownID = 900 }.contains("unknown token"))
        #expect(try message("t5") { $0.model = "rwkv" }.contains("Unigram (\"t5\") and WordPiece (\"bert\")"))
    }

    /// Files of RoBERTa say that two ends stand between two texts.
    @Test func twoEndsStandBetweenTextsOfRoBERTa() throws {
        var vocabulary = GGUFVocabulary(
            model: "gpt2", preTokenizer: "gpt-2", tokens: ["<s>", "</s>", "a", "b"], tokenTypes: [3, 3, 1, 1],
            merges: [], beginningOfSequenceID: 0, endOfSequenceID: 1, addsBeginningOfSequence: true,
            addsEndOfSequence: true)
        vocabulary.addsSeparator = true
        for tokenizer in try Self.tokenizers(vocabulary) {
            let pair = tokenizer.encode("a", pair: "b")
            #expect(tokenizer.encode("a") == [0, 2, 1])
            #expect(pair.ids == [0, 2, 1, 1, 3, 1] && pair.segments == [0, 0, 0, 0, 0, 0])
            // What stands around a text is what classifies and separates, which files do not say.
            #expect(tokenizer.clsToken == "<s>" && tokenizer.sepToken == "</s>")
            let found = try GGUFVocabulary(tokenizer, size: 4)
            #expect(found.preTokenizer == "roberta-bpe" && found.addsSeparator == true && found.separatorID == 1)
        }
        vocabulary.addsSeparator = false
        for tokenizer in try Self.tokenizers(vocabulary) {
            #expect(tokenizer.encode("a", pair: "b").ids == [0, 2, 1, 0, 3, 1] && tokenizer.sepToken == nil)
            let found = try GGUFVocabulary(tokenizer, size: 4)
            #expect(found.preTokenizer == "gpt-2" && found.addsSeparator == nil)
        }
    }

    /// What is written of a tokenizer is what the converter wrote of its files.
    @Test(arguments: ["t5", "xlm-r", "bare", "bert", "bert-cased"]) func isFoundAgainInItsTokenizers(name: String)
        throws
    {
        let given = try Self.vocabulary(name)
        for tokenizer in try Self.tokenizers(given) {
            let found = try GGUFVocabulary(tokenizer, size: given.tokens.count)
            #expect(found.model == given.model && found.preTokenizer == given.preTokenizer)
            #expect(found.tokens == given.tokens && found.tokenTypes == given.tokenTypes)
            #expect(found.characterMap == given.characterMap)
            #expect(found.unknownID == given.unknownID ?? 0 && found.endOfSequenceID == given.endOfSequenceID)
            #expect(found.addsBeginningOfSequence == given.addsBeginningOfSequence ?? false)
            #expect(found.addsEndOfSequence == given.addsEndOfSequence ?? true)
            #expect(found.addsSeparator == given.addsSeparator ?? false)
            guard given.model == "t5" else { continue }
            #expect(found.scores == given.scores && found.addsPrefixSpace == given.addsPrefixSpace)
            // For XLM-R the key of the file says something else.
            if name != "xlm-r" { #expect(found.removesExtraSpaces == given.removesExtraSpaces) }
        }
    }

    @Test func whatAFileCannotSayIsNotWritten() throws {
        func message(_ name: String, _ from: String, _ to: String, only count: Int = .max) throws -> String {
            let folder = try TemporaryFolder()
            for (file, text) in try Self.vocabulary(name).tokenizerFiles() {
                let changed = text.replacing(from, with: to, maxReplacements: count)
                #expect(file != "tokenizer.json" || changed != text || from == to)
                try Data(changed.utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(file)"))
            }
            let tokenizer = try Tokenizer.load(folder: URL(fileURLWithPath: folder.path))
            do {
                _ = try GGUFVocabulary(tokenizer, size: 400)
                return ""
            } catch { return "\(error)" }
        }
        // Readers bring texts to lower case where the vocabulary lacks a capital letter.
        let cased = try message("bert", "\"lowercase\": true", "\"lowercase\": false")
        #expect(cased.contains("would cut \"Hello world"))
        #expect(try message("bert", "\"BertPreTokenizer\"", "\"WhitespaceSplit\"").contains("steps are not those"))
        #expect(try message("bare", "\"Replace\"", "\"NFKC\"", only: 1).contains("its normalizer does"))
        // The user's pieces are found before the others.
        #expect(try message("own", "\"1.0\"", "\"1.0\"").contains("splits text as such a file cannot say"))
        #expect(try message("t5", "\"type_id\": 0", "\"type_id\": 1").contains("other tokens around two texts"))
    }

    @Test func theMetadataIsWrittenAsItWasRead() throws {
        for name in ["t5", "xlm-r", "own", "bare", "bert", "bert-cased"] {
            let path = Self.root.appendingPathComponent("gguf/tokenizers/\(name).gguf").path
            let metadata = try GGUFTokenizerMetadata(GGUFFile(path: path))
            let folder = try TemporaryFolder()
            try GGUFWriter.write(metadata: metadata.fields, tensors: [], to: "\(folder.path)/a.gguf")
            #expect(try GGUFTokenizerMetadata(GGUFFile(path: "\(folder.path)/a.gguf")) == metadata)
        }
    }
}
