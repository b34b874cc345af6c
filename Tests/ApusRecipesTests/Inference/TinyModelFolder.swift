import Foundation
import Testing

@testable import ApusJSON
@testable import ApusRecipes
@testable import ApusText
@testable import ApusWeights

/// A folder with one of the fixtures' models and a tokenizer that fits it.
struct TinyModelFolder {
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures")

    static let chatML = """
        {% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
        """

    let folder: TemporaryFolder
    var path: String { folder.path }

    private init(_ fixture: String, config change: JSONObject = [:]) throws {
        folder = try TemporaryFolder()
        let source = Self.fixtures.appendingPathComponent(fixture)
        try FileManager.default.copyItem(
            atPath: source.appendingPathComponent("model.safetensors").path,
            toPath: "\(folder.path)/model.safetensors")
        let json = try JSONValue(parsing: Data(contentsOf: source.appendingPathComponent("config.json")))
        var config = try #require(json.objectValue)
        for (key, value) in change { config[key] = value }
        try folder.write(JSONValue.object(config).serialized(), to: "config.json")
    }

    /// A model that continues bytes: an id for each, then `<|endoftext|>`, `<|im_start|>` and `<|im_end|>`.
    ///
    /// - Parameters:
    ///   - template: nil leaves the chat template out.
    ///   - files: Further files, by their names.
    static func chat(
        template: String? = chatML, eos: Int = 256, files: [String: String] = [:]
    ) throws -> TinyModelFolder {
        let tiny = try TinyModelFolder("models/qwen2-tied-gqa", config: ["eos_token_id": .int(eos)])
        try tiny.folder.write(byteTokenizer().serialized(), to: "tokenizer.json")
        var configuration: JSONObject = ["tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|endoftext|>"]
        configuration["eos_token"] = .string("<|endoftext|>")
        if let template { configuration["chat_template"] = .string(template) }
        try tiny.folder.write(JSONValue.object(configuration).serialized(), to: "tokenizer_config.json")
        for (name, text) in files { try tiny.folder.write(text, to: name) }
        return tiny
    }

    /// A model of any task that reads the bytes it has rows for, between no special tokens.
    static func bytes(_ fixture: String, config change: JSONObject = [:]) throws -> TinyModelFolder {
        let tiny = try TinyModelFolder(fixture, config: change)
        let config = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(tiny.path)/config.json")))
        let size = try #require(config["vocab_size"]?.intValue)
        var tokenizer = try #require(byteTokenizer().objectValue)
        var model = try #require(tokenizer["model"]?.objectValue)
        let vocabulary = try #require(model["vocab"]?.objectValue)
        model["vocab"] = .object(
            vocabulary.reduce(into: JSONObject()) { if ($1.value.intValue ?? size) < size { $0[$1.key] = $1.value } })
        tokenizer["model"] = .object(model)
        tokenizer["added_tokens"] = []
        try tiny.folder.write(JSONValue.object(tokenizer).serialized(), to: "tokenizer.json")
        try tiny.folder.write(#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#, to: "tokenizer_config.json")
        return tiny
    }

    /// A BERT whose tokens are letters.
    static func bert(_ fixture: String, config: JSONObject = [:]) throws -> TinyModelFolder {
        let tiny = try TinyModelFolder(fixture, config: config)
        let letters = "abcdefghijklmnopqrstuvwxyz".map(String.init)
        let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + letters.map { "##" + $0 }
        try tiny.folder.write(vocabulary.joined(separator: "\n") + "\n", to: "vocab.txt")
        try tiny.folder.write(
            #"{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "mask_token": "[MASK]"}"#,
            to: "tokenizer_config.json")
        return tiny
    }

    /// A RoBERTa whose tokens are the printable characters of ASCII and one pair.
    static func roberta(_ fixture: String) throws -> TinyModelFolder {
        let tiny = try TinyModelFolder(fixture)
        let characters = (33...126).map { String(UnicodeScalar(UInt8($0))) }
        let tokens = ["<s>", "<pad>", "</s>", "<unk>"] + characters + ["Ġ", "th", "<mask>"]
        let vocabulary = tokens.enumerated().reduce(into: JSONObject()) { $0[$1.element] = .int($1.offset) }
        try tiny.folder.write(JSONValue.object(vocabulary).serialized(), to: "vocab.json")
        try tiny.folder.write("#version: 0.2\nt h\n", to: "merges.txt")
        try tiny.folder.write(#"{"tokenizer_class": "RobertaTokenizer"}"#, to: "tokenizer_config.json")
        return tiny
    }

    /// An XLM-R with a few pieces of text.
    static func xlmRoBERTa(_ fixture: String) throws -> TinyModelFolder {
        let tiny = try TinyModelFolder(fixture)
        let file = try GGUFFile(path: fixtures.appendingPathComponent("gguf/tokenizers/xlm-r.gguf").path)
        for (name, text) in try GGUFVocabulary(GGUFTokenizerMetadata(file)).tokenizerFiles() {
            try tiny.folder.write(text, to: name)
        }
        return tiny
    }

    /// Puts NaN into the first number of a row of a float32 matrix.
    func spoil(row: Int, of name: String) throws {
        let url = URL(fileURLWithPath: "\(path)/model.safetensors")
        var bytes = try Data(contentsOf: url)
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSONValue(parsing: bytes[8..<8 + length])
        let start = try #require(header[name]?["data_offsets"]?[0]?.intValue)
        let width = try #require(header[name]?["shape"]?[1]?.intValue)
        let place = 8 + length + start + row * width * 4
        bytes.replaceSubrange(place..<place + 4, with: [0, 0, 0xC0, 0x7F])
        try bytes.write(to: url)
    }

    /// A byte-level BPE without merges.
    static func byteTokenizer() -> JSONValue {
        let printable = Set(Array(33...126) + Array(161...172) + Array(174...255))
        var vocabulary = JSONObject()
        var spare: UInt32 = 256
        for byte in 0..<256 {
            var scalar = UInt32(byte)
            if !printable.contains(byte) {
                scalar = spare
                spare += 1
            }
            if let scalar = Unicode.Scalar(scalar) { vocabulary[String(Character(scalar))] = .int(byte) }
        }
        let byteLevel: JSONValue = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
        ]
        let added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].enumerated().map { index, text -> JSONValue in
            [
                "id": .int(256 + index), "content": .string(text), "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            ]
        }
        return [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added), "normalizer": nil,
            "pre_tokenizer": byteLevel, "post_processor": nil, "decoder": byteLevel,
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false,
                "vocab": .object(vocabulary), "merges": [],
            ],
        ]
    }

    /// The rows of a file of JSON lines.
    static func rows(_ path: String) throws -> [JSONValue] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try JSONValue(parsing: String($0))
        }
    }
}
