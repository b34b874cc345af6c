import ApusJSON
import Foundation

/// Reads a `tokenizer.json` of PyPI `tokenizers`.
struct TokenizerJSONFile {
    private let url: URL
    private var source: String { url.path }

    private static let advice = "; the file is truncated or damaged: download or save it again"

    init(_ url: URL) { self.url = url }

    func read() throws -> TokenizerParts {
        let data: Data
        do {
            data = try Data(contentsOf: url, options: .mappedIfSafe)
        } catch {
            throw TokenizerError(source, "cannot be read: \(error.localizedDescription)")
        }
        return try data.withUnsafeBytes { try read($0.bindMemory(to: UInt8.self)) }
    }

    private func read(_ bytes: UnsafeBufferPointer<UInt8>) throws -> TokenizerParts {
        let (root, vocabularyRange, mergesRange) = try outline(bytes)
        let reader = ComponentReader(source: source)
        let model = root["model"] ?? .null
        let isWordPiece = mergesRange == nil && model["continuing_subword_prefix"] != nil
        // Older files leave the type out.
        let type = model["type"]?.stringValue ?? (mergesRange != nil ? "BPE" : isWordPiece ? "WordPiece" : nil)
        var parts: TokenizerParts
        switch type {
        case "BPE"?: parts = try bytePairs(bytes, root, model, vocabularyRange, mergesRange)
        case "WordPiece"?: parts = try wordPieces(bytes, root, model, vocabularyRange)
        default:
            throw reader.fault(
                "model \(type.map { "\"\($0)\"" } ?? "without a \"type\"") is not supported; only byte-pair "
                    + "encoding (\"BPE\") and \"WordPiece\" are")
        }
        parts.postProcessor = try reader.postProcessor(root["post_processor"])
        parts.decoders = try reader.decoders(root["decoder"])
        try parts.addTokens(try reader.addedTokens(root["added_tokens"]))
        return parts
    }

    private func wordPieces(
        _ bytes: UnsafeBufferPointer<UInt8>, _ root: JSONValue, _ model: JSONValue, _ vocabularyRange: Range<Int>?
    ) throws -> TokenizerParts {
        let reader = ComponentReader(source: source)
        guard let vocabularyRange else { throw reader.fault("model \"WordPiece\" needs \"vocab\"") }
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
        var cursor = JSONCursor(bytes, offset: vocabularyRange.lowerBound)
        let vocabulary = try BytePairFiles(source: source).readVocabulary(&cursor)
        return TokenizerParts(
            normalizers: try reader.normalizers(root["normalizer"]),
            preTokenizers: try reader.preTokenizers(root["pre_tokenizer"]),
            model: try WordPieceModel(vocabulary, options, source: source), source: source)
    }

    private func bytePairs(
        _ bytes: UnsafeBufferPointer<UInt8>, _ root: JSONValue, _ model: JSONValue, _ vocabularyRange: Range<Int>?,
        _ mergesRange: Range<Int>?
    ) throws -> TokenizerParts {
        let reader = ComponentReader(source: source)
        guard let vocabularyRange, let mergesRange else {
            throw reader.fault("model \"BPE\" needs \"vocab\" and \"merges\"")
        }
        if let dropout = model["dropout"]?.doubleValue, dropout != 0 {
            throw reader.fault("model \"BPE\" has \"dropout\" \(dropout), which makes ids random; set it to null")
        }
        let files = BytePairFiles(source: source)
        var cursor = JSONCursor(bytes, offset: vocabularyRange.lowerBound)
        let vocabulary = try files.readVocabulary(&cursor)
        var options = BytePairModel.Options()
        options.continuingPrefix = Array((model["continuing_subword_prefix"]?.stringValue ?? "").utf8)
        options.endSuffix = Array((model["end_of_word_suffix"]?.stringValue ?? "").utf8)
        options.fusesUnknown = model["fuse_unk"]?.boolValue ?? false
        options.fallsBackToBytes = model["byte_fallback"]?.boolValue ?? false
        options.ignoresMerges = model["ignore_merges"]?.boolValue ?? false
        cursor = JSONCursor(bytes, offset: mergesRange.lowerBound)
        let merges = try files.readMerges(&cursor, vocabulary, prefixLength: options.continuingPrefix.count)
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

    /// The file without the two large lists of its model, and where those lie.
    private func outline(
        _ bytes: UnsafeBufferPointer<UInt8>
    ) throws -> (root: JSONValue, vocabulary: Range<Int>?, merges: Range<Int>?) {
        var vocabulary: Range<Int>?
        var merges: Range<Int>?
        do {
            var cursor = JSONCursor(bytes)
            try cursor.readObject { cursor in
                guard cursor.string.elementsEqual("model".utf8), cursor.peek() == UInt8(ascii: "{") else {
                    try cursor.skipValue()
                    return
                }
                try cursor.readObject { cursor in
                    let key = cursor.string
                    let range = try cursor.skipValue()
                    if key.elementsEqual("vocab".utf8) { vocabulary = range }
                    if key.elementsEqual("merges".utf8) { merges = range }
                }
            }
            var rest: [UInt8] = []
            var copied = 0
            for range in [vocabulary, merges].compactMap({ $0 }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
                rest += bytes[copied..<range.lowerBound]
                rest += Array("null".utf8)
                // Lines keep their numbers for the errors of the JSON reader.
                rest += bytes[range].filter { $0 == 0x0A }
                copied = range.upperBound
            }
            rest += bytes[copied...]
            return (try JSONValue(parsing: rest), vocabulary, merges)
        } catch let error as JSONError {
            throw TokenizerError(source, "line \(error.line), column \(error.column): \(error.message)\(Self.advice)")
        } catch let fault as JSONCursor.Fault {
            throw TokenizerError(source, "byte \(fault.offset): \(fault.message)\(Self.advice)")
        }
    }
}
