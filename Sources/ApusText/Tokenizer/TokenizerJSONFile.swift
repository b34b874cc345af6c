import ApusJSON
import Foundation

/// A `tokenizer.json` of PyPI `tokenizers`, taken apart: the two large lists of its model, and everything else.
struct TokenizerJSONFile {
    /// The file without the two lists.
    let root: JSONValue
    private let source: String
    private let vocabulary: Vocabulary?
    private let merges: MergeTable?
    /// The tokens of a Unigram model, which are a list with scores.
    private let pieces: ScoredVocabulary?

    private static let advice = "; the file is truncated or damaged: download or save it again"

    private var reader: ComponentReader { ComponentReader(source: source) }

    /// - Throws: `TokenizerError` naming what cannot be read.
    init(_ url: URL) throws {
        try self.init(try FolderFile.read(url), source: url.path)
    }

    init(_ data: Data, source: String) throws {
        self.source = source
        (root, vocabulary, merges, pieces) = try data.withUnsafeBytes {
            try Self.read($0.bindMemory(to: UInt8.self), source)
        }
    }

    /// What a tokenizer says that pads of itself pads with.
    var paddingToken: String? { root["padding"]?["pad_token"]?.stringValue }

    /// The tokenizer as the file describes it.
    func parts() throws -> TokenizerParts {
        let model = root["model"] ?? .null
        let type = model["type"]?.stringValue ?? untyped(model)
        var parts: TokenizerParts
        switch type {
        case "BPE"?: parts = try bytePairs(model)
        case "WordPiece"?: parts = try wordPieces(model)
        case "WordLevel"?: parts = try wordLevel(model)
        case "Unigram"?: parts = try unigram(model)
        default:
            throw reader.fault(
                "model \(type.map { "\"\($0)\"" } ?? "without a \"type\"") is not supported; byte-pair encoding "
                    + "(\"BPE\"), \"Unigram\", \"WordPiece\" and \"WordLevel\" are")
        }
        parts.postProcessor = try postProcessor()
        parts.decoders = try reader.decoders(root["decoder"])
        try parts.addTokens(try addedTokens())
        return parts
    }

    /// Older files leave the type out.
    private func untyped(_ model: JSONValue) -> String? {
        if merges != nil { return "BPE" }
        if pieces != nil { return "Unigram" }
        if model["continuing_subword_prefix"] != nil { return "WordPiece" }
        return vocabulary != nil && model["unk_token"] != nil ? "WordLevel" : nil
    }

    /// The tokenizer that a class builds around the vocabulary of the file, which then says nothing about the steps.
    func parts(of tokenizerClass: TokenizerClass, _ configuration: TokenizerConfiguration) throws -> TokenizerParts {
        var parts: TokenizerParts
        if let steps = tokenizerClass.unigramSteps {
            guard let pieces else {
                throw reader.fault(
                    "\(tokenizerClass.name) needs a \"model\" with a list of tokens and scores as \"vocab\"")
            }
            parts = try steps.parts(pieces, try characterMap(), configuration, givenUnknownID: nil, source: source)
        } else {
            guard let vocabulary else {
                throw reader.fault("\(tokenizerClass.name) needs a \"model\" with an object as \"vocab\"")
            }
            parts = try tokenizerClass.parts(vocabulary, merges, configuration, source: source)
        }
        switch tokenizerClass.boundaries {
        case .asGiven, .albert, .remBERT:
            parts.postProcessor = try postProcessor()
            parts.hasPostProcessor = !(root["post_processor"]?.isNull ?? true)
        default: break
        }
        return parts
    }

    /// The map of the normalizer, or of one in its sequence.
    private func characterMap() throws -> CharacterMap? {
        let normalizer = root["normalizer"] ?? .null
        let steps = normalizer["type"]?.stringValue == "Sequence" ? normalizer["normalizers"]?.arrayValue : [normalizer]
        let map = (steps ?? []).first {
            $0["type"]?.stringValue == "Precompiled" && $0["precompiled_charsmap"] != nil
        }
        guard let map, case .mapped(let map)? = try reader.normalizers(map).first else { return nil }
        return map
    }

    func postProcessor() throws -> PostProcessor { try reader.postProcessor(root["post_processor"]) }

    func addedTokens() throws -> [AddedToken] { try reader.addedTokens(root["added_tokens"]) }

    /// The added tokens with the ids that the file gives them.
    func numberedTokens() throws -> [(id: Int, token: AddedToken)] {
        let values = root["added_tokens"]?.arrayValue ?? []
        return zip(values, try addedTokens()).enumerated().map { ($1.0["id"]?.intValue ?? $0, $1.1) }
    }

    private func wordPieces(_ model: JSONValue) throws -> TokenizerParts {
        guard let vocabulary else { throw reader.fault("model \"WordPiece\" needs \"vocab\"") }
        var options = WordPieceModel.Options()
        if let unknown = model["unk_token"] {
            guard let unknown = unknown.stringValue else {
                throw reader.fault("model \"WordPiece\" needs a string as \"unk_token\"")
            }
            options.unknown = unknown
        }
        if let prefix = model["continuing_subword_prefix"] {
            guard let prefix = prefix.stringValue else {
                throw reader.fault("model \"WordPiece\" needs a string as \"continuing_subword_prefix\"")
            }
            options.continuingPrefix = prefix
        }
        if let longest = model["max_input_chars_per_word"] {
            guard let longest = longest.intValue, longest >= 0 else {
                throw reader.fault("model \"WordPiece\" needs a number, 0 or more, as \"max_input_chars_per_word\"")
            }
            options.longestWord = longest
        }
        return TokenizerParts(
            normalizers: try reader.normalizers(root["normalizer"]),
            preTokenizers: try reader.preTokenizers(root["pre_tokenizer"]),
            model: try WordPieceModel(vocabulary, options, source: source), source: source)
    }

    private func wordLevel(_ model: JSONValue) throws -> TokenizerParts {
        guard let vocabulary, let unknown = model["unk_token"]?.stringValue else {
            throw reader.fault("model \"WordLevel\" needs \"vocab\" and the string \"unk_token\"")
        }
        return TokenizerParts(
            normalizers: try reader.normalizers(root["normalizer"]),
            preTokenizers: try reader.preTokenizers(root["pre_tokenizer"]),
            model: try WordLevelModel(vocabulary, unknown: unknown, source: source), source: source)
    }

    private func unigram(_ model: JSONValue) throws -> TokenizerParts {
        guard let pieces else {
            throw reader.fault("model \"Unigram\" needs a list of tokens and scores as \"vocab\"")
        }
        return TokenizerParts(
            normalizers: try reader.normalizers(root["normalizer"]),
            preTokenizers: try reader.preTokenizers(root["pre_tokenizer"]),
            model: try UnigramModel(
                pieces, unknownID: model["unk_id"]?.intValue,
                fallsBackToBytes: model["byte_fallback"]?.boolValue ?? false, source: source),
            source: source)
    }

    private func bytePairs(_ model: JSONValue) throws -> TokenizerParts {
        guard let vocabulary, let merges else { throw reader.fault("model \"BPE\" needs \"vocab\" and \"merges\"") }
        if let dropout = model["dropout"]?.doubleValue, dropout != 0 {
            throw reader.fault("model \"BPE\" has \"dropout\" \(dropout), which makes ids random; set it to null")
        }
        var options = BytePairModel.Options()
        options.continuingPrefix = Array((model["continuing_subword_prefix"]?.stringValue ?? "").utf8)
        options.endSuffix = Array((model["end_of_word_suffix"]?.stringValue ?? "").utf8)
        options.fusesUnknown = model["fuse_unk"]?.boolValue ?? false
        options.fallsBackToBytes = model["byte_fallback"]?.boolValue ?? false
        options.ignoresMerges = model["ignore_merges"]?.boolValue ?? false
        let unknown = model["unk_token"]?.stringValue
        options.unknownID = unknown.flatMap { vocabulary.id(of: Array($0.utf8)) }
        if let unknown, options.unknownID == nil, !BytePairModel.knowsAllBytes(vocabulary) {
            throw reader.fault(
                "model \"BPE\" names \"unk_token\" \(unknown.debugDescription), "
                    + "which is not in its vocabulary")
        }
        return TokenizerParts(
            normalizers: try reader.normalizers(root["normalizer"]),
            preTokenizers: try reader.preTokenizers(root["pre_tokenizer"]),
            vocabulary: vocabulary, merges: merges, options: options, source: source)
    }

    // MARK: - Reading

    private static func read(
        _ bytes: UnsafeBufferPointer<UInt8>, _ source: String
    ) throws -> (root: JSONValue, vocabulary: Vocabulary?, merges: MergeTable?, pieces: ScoredVocabulary?) {
        let files = BytePairFiles(source: source)
        var vocabulary: (range: Range<Int>, value: Vocabulary)?
        var pieces: (range: Range<Int>, value: ScoredVocabulary)?
        var merges: (range: Range<Int>, value: MergeBuilder)?
        var root = JSONValue.null
        let early = EarlyMerges(bytes, files)
        defer { early.wait() }
        do {
            var cursor = JSONCursor(bytes)
            try cursor.readObject { cursor in
                guard cursor.string.elementsEqual("model".utf8), cursor.peek() == UInt8(ascii: "{") else {
                    try cursor.skipValue()
                    return
                }
                try cursor.readObject { cursor in
                    let key = String(decoding: cursor.string, as: UTF8.self)
                    let first = cursor.peek()
                    let start = cursor.offset
                    if key == "vocab", first == UInt8(ascii: "{") {
                        let value = try files.readVocabulary(&cursor)
                        vocabulary = (start..<cursor.offset, value)
                    } else if key == "vocab", first == UInt8(ascii: "[") {
                        let value = try files.readPieces(&cursor)
                        pieces = (start..<cursor.offset, value)
                    } else if key == "merges", first == UInt8(ascii: "[") {
                        let value = try early.merges(at: &cursor) ?? files.readMerges(&cursor)
                        merges = (start..<cursor.offset, value)
                    } else {
                        try cursor.skipValue()
                        if key == "merges" { merges = nil }
                    }
                }
            }
            let large = [vocabulary?.range, merges?.range, pieces?.range].compactMap(\.self)
                .sorted { $0.lowerBound < $1.lowerBound }
            root = try rest(of: bytes, without: large)
        } catch let error as JSONError {
            throw TokenizerError(source, "line \(error.line), column \(error.column): \(error.message)\(advice)")
        } catch let fault as JSONCursor.Fault {
            throw TokenizerError(source, "byte \(fault.offset): \(fault.message)\(advice)")
        }
        guard let vocabulary = vocabulary?.value else { return (root, nil, nil, pieces?.value) }
        let prefix = root["model"]?["continuing_subword_prefix"]?.stringValue ?? ""
        return (
            root, vocabulary, try merges?.value.table(vocabulary, prefixLength: prefix.utf8.count), nil
        )
    }

    /// The file with `null` in place of its large values.
    private static func rest(of bytes: UnsafeBufferPointer<UInt8>, without large: [Range<Int>]) throws -> JSONValue {
        func text(keepsLines: Bool) -> [UInt8] {
            var rest: [UInt8] = []
            var copied = 0
            for range in large {
                rest += bytes[copied..<range.lowerBound]
                rest += Array("null".utf8)
                if keepsLines { rest += bytes[range].filter { $0 == 0x0A } }
                copied = range.upperBound
            }
            return rest + bytes[copied...]
        }
        do {
            return try JSONValue(parsing: text(keepsLines: false))
        } catch is JSONError {
            // An error names the line in the file.
            return try JSONValue(parsing: text(keepsLines: true))
        }
    }
}
