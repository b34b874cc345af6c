import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Small folders under many classes, model types and keys, against what `AutoTokenizer` of `transformers` makes of each
/// (`Scripts/parity/tokenizer_folders.py`).
@Suite struct TokenizerFolderTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let number: Int
        let content: JSONValue
        var testDescription: String { "folder \(number), \(content["class"]?.stringValue ?? "")" }
    }

    static let root = read("tokenizers/folders.json")
    /// Unigram tokenizers and models of SentencePiece.
    static let pieces = read("tokenizers/pieces/folders.json")
    static let cases = [root, pieces].flatMap { $0?["cases"]?.arrayValue ?? [] }.enumerated()
        .map { Case(number: $0, content: $1) }

    private static func read(_ path: String) -> JSONValue? {
        guard let data = try? Data(contentsOf: fixture(path)) else { return nil }
        return try? JSONValue(parsing: data)
    }

    @Test func fixturesAreThere() { #expect(Self.cases.count == 122) }

    @Test(arguments: cases)
    func agreesWithTransformers(_ testCase: Case) throws {
        let content = testCase.content
        let files = try #require(content["files"]?.objectValue).map { ($0.0, $0.1.stringValue ?? "") }
        let tokenizer = try load(Dictionary(uniqueKeysWithValues: files))
        for (index, text) in (Self.root?["texts"]?.arrayValue ?? []).enumerated() {
            let ids = numbers(content["ids"]?[index])
            #expect(tokenizer.encode(try #require(text.stringValue)) == ids, "\(text)")
            let decoded = try #require(content["decoded"]?[index]?.stringValue)
            #expect(tokenizer.decode(ids).utf8.elementsEqual(decoded.utf8), "\(text)")
            let plain = try #require(content["plain"]?[index]?.stringValue)
            #expect(tokenizer.decode(ids, skipSpecialTokens: true).utf8.elementsEqual(plain.utf8), "\(text)")
        }
        for (index, pair) in (Self.root?["pairs"]?.arrayValue ?? []).enumerated() {
            let encoded = tokenizer.encode(try #require(pair[0]?.stringValue), pair: pair[1]?.stringValue)
            #expect(encoded.ids == numbers(content["pairs"]?[index]?[0]), "\(pair)")
            #expect(encoded.segments == numbers(content["pairs"]?[index]?[1]), "\(pair)")
        }
        let named = try #require(content["named"]?.objectValue).map { ($0.0, $0.1.stringValue ?? "") }
        #expect(tokenizer.namedTokens == Dictionary(uniqueKeysWithValues: named))
        #expect(tokenizer.vocabularySize == content["size"]?.intValue)
    }

    /// Loads a folder of files, of which models are in Base64.
    private func load(_ files: [String: String]) throws -> Tokenizer {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-folder-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            let data = name.hasSuffix(".model") ? try #require(Data(base64Encoded: text)) : Data(text.utf8)
            try data.write(to: folder.appending(path: name))
        }
        return try Tokenizer.load(folder: folder)
    }

    private func numbers(_ value: JSONValue?) -> [Int32] {
        (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
    }

    // MARK: - Which class reads a folder

    @Test(arguments: [
        // The type of the model knows better than the file.
        ("LlamaTokenizerFast", "qwen2", true, "Qwen2Tokenizer"),
        ("PreTrainedTokenizerFast", "qwen2", true, "Qwen2Tokenizer"),
        // Bytes are not what Llama 2's class reads, and Mistral's types take what the file says.
        ("LlamaTokenizerFast", "llama", true, ""), ("LlamaTokenizer", "mistral", false, ""),
        ("LlamaTokenizerFast", "llama", false, "LlamaTokenizer"),
        // Elsewhere the file decides, and the type only where the file is silent.
        ("PreTrainedTokenizerFast", "qwen3", true, ""), ("BertTokenizer", "roberta", true, "BertTokenizer"),
        ("BertTokenizer", "modernbert", true, ""), (nil, "bert", false, "BertTokenizer"), (nil, "llama", false, ""),
    ])
    func choosesTheClassAsAutoTokenizer(
        _ name: String?, _ modelType: String, _ spellsBytes: Bool, _ expected: String
    ) throws {
        let clues = TokenizerClass.Clues(tokenizerClass: name, modelType: modelType, spellsBytes: { spellsBytes })
        let found = try #require(try TokenizerClass.resolved(clues))
        #expect((found.buildsSteps ? found.name : "") == expected)
    }

    // MARK: - Vocabularies with nothing beside them

    private let cased = "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\nHello\nhello\n"

    @Test func aCasedVocabularyAloneKeepsTheCase() throws {
        #expect(try makeTokenizer(files: ["vocab.txt": cased]).encode("Hello hello") == [1, 5, 6, 2])
        let uncased = cased.replacing("Hello\n", with: "")
        #expect(try makeTokenizer(files: ["vocab.txt": uncased]).encode("Hello hello") == [1, 5, 5, 2])
    }

    @Test func aCasedVocabularyThatItsClassLowersIsNamed() throws {
        let files = ["vocab.txt": cased, "config.json": #"{"model_type": "bert"}"#]
        let tokenizer = try makeTokenizer(files: files)
        #expect(tokenizer.encode("Hello hello") == [1, 6, 6, 2])
        #expect(tokenizer.notices.count == 1 && tokenizer.notices.first?.contains("do_lower_case") == true)
        let told = ["tokenizer_config.json": #"{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}"#]
        let cased = try makeTokenizer(files: files.merging(told) { $1 })
        #expect(cased.encode("Hello hello") == [1, 5, 6, 2] && cased.notices.isEmpty)
    }

    // MARK: - Files that are not there yet

    @Test(arguments: [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json",
        "chat_template.jinja", "chat_template.json", "vocab.json", "merges.txt", "vocab.txt",
    ])
    func pointersOfGitLFSAreNamed(_ name: String) {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 11421896\n"
        var files = [name: pointer]
        if name == "vocab.json" { files["merges.txt"] = "" }
        if name == "merges.txt" { files["vocab.json"] = #"{"a": 0, "<|endoftext|>": 1}"# }
        if !name.hasPrefix("vocab"), !name.hasPrefix("merges"), name != "tokenizer.json" {
            files["tokenizer.json"] = #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#
        }
        do {
            _ = try makeTokenizer(files: files)
            Issue.record("loaded")
        } catch {
            #expect("\(error)".contains("\(name): is a git-lfs pointer") && "\(error)".contains("git lfs pull"))
        }
    }
}
