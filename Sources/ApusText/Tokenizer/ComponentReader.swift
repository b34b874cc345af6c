import ApusJSON
import Foundation

/// Reads the components of a `tokenizer.json`, and names any it does not know.
struct ComponentReader {
    /// The file that errors name.
    let source: String

    // MARK: - Normalizer

    func normalizers(_ value: JSONValue?) throws -> [TextNormalizer] {
        guard let value, !value.isNull else { return [] }
        switch try type(of: value, "normalizer") {
        case "Sequence": return try list(value, "normalizers", "normalizer").flatMap { try normalizers($0) }
        case "NFC": return [.composed(isCompatible: false)]
        case "NFD": return [.decomposed(isCompatible: false)]
        case "NFKC": return [.composed(isCompatible: true)]
        case "NFKD": return [.decomposed(isCompatible: true)]
        case "Nmt": return [.nmt]
        case "StripAccents": return [.stripAccents]
        case "Lowercase": return [.lowercase]
        case "ByteLevel": return [.byteLevel]
        case "BertNormalizer": return [.bert(try bertNormalizer(value))]
        case "Precompiled": return [.mapped(try characterMap(value))]
        case "Strip":
            return [
                .strip(left: try flag(value, "strip_left", "Strip"), right: try flag(value, "strip_right", "Strip"))
            ]
        case "Prepend": return [.prepend(try text(value, "prepend", "Prepend"))]
        case "Replace": return [.replace(try matcher(value, "Replace"), try text(value, "content", "Replace"))]
        case let type:
            throw unsupported(
                "normalizer", type,
                "NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Lowercase, Strip, StripAccents, Prepend, Replace, ByteLevel, "
                    + "BertNormalizer and Sequence")
        }
    }

    private func bertNormalizer(_ value: JSONValue) throws -> BertNormalizer {
        let name = "BertNormalizer"
        let stripsAccents = value["strip_accents"]
        return BertNormalizer(
            cleansText: try flag(value, "clean_text", name), spacesHan: try flag(value, "handle_chinese_chars", name),
            stripsAccents: stripsAccents?.isNull ?? true ? nil : try flag(value, "strip_accents", name),
            lowercases: try flag(value, "lowercase", name))
    }

    private func characterMap(_ value: JSONValue) throws -> CharacterMap {
        guard let text = value["precompiled_charsmap"]?.stringValue, let data = Data(base64Encoded: text) else {
            throw fault("\"Precompiled\" needs the string \"precompiled_charsmap\" in Base64")
        }
        return try characterMap(data)
    }

    func characterMap(_ data: Data) throws -> CharacterMap {
        do {
            return try CharacterMap(data)
        } catch let map as CharacterMap.Fault {
            throw fault("\"precompiled_charsmap\" cannot be read: \(map.reason)")
        }
    }

    // MARK: - Pre-tokenizer

    func preTokenizers(_ value: JSONValue?) throws -> [PreTokenizer] {
        guard let value, !value.isNull else { return [] }
        switch try type(of: value, "pre_tokenizer") {
        case "Sequence": return try list(value, "pretokenizers", "pre_tokenizer").flatMap { try preTokenizers($0) }
        case "ByteLevel":
            let addsSpace = try flag(value, "add_prefix_space", "ByteLevel")
            let usesRegex = try flag(value, "use_regex", "ByteLevel", default: true)
            return Self.byteLevel(addsPrefixSpace: addsSpace, usesRegex: usesRegex)
        case "Split":
            return [
                .split(
                    try matcher(value, "Split"), try behavior(value, "Split"),
                    inverted: try flag(value, "invert", "Split"))
            ]
        case "Digits":
            let areSingle = try flag(value, "individual_digits", "Digits")
            return [.split(.numeric, areSingle ? .isolated : .contiguous, inverted: false)]
        case "Punctuation":
            let behavior = value["behavior"] == nil ? .isolated : try behavior(value, "Punctuation")
            return [.split(.punctuation, behavior, inverted: false)]
        case "BertPreTokenizer": return [.bert]
        case "UnicodeScripts": return [.unicodeScripts]
        case "FixedLength":
            let length = value["length"] == nil ? 5 : value["length"]?.intValue
            guard let length, length > 0 else { throw fault("\"FixedLength\" needs a \"length\" above 0") }
            return [.fixedLength(length)]
        case "Metaspace":
            let (replacement, scheme) = try metaspace(value)
            return [
                .metaspace(replacement, scheme, splits: try flag(value, "split", "Metaspace", default: true))
            ]
        case "Whitespace": return [.split(.betweenWords, .removed, inverted: false)]
        case "WhitespaceSplit": return [.split(.whitespace, .removed, inverted: false)]
        case "CharDelimiterSplit":
            return [.split(.literal(try scalar(value, "delimiter", "CharDelimiterSplit")), .removed, inverted: false)]
        case let type:
            throw unsupported(
                "pre_tokenizer", type,
                "ByteLevel, Split, Digits, Punctuation, BertPreTokenizer, UnicodeScripts, FixedLength, Metaspace, "
                    + "Whitespace, WhitespaceSplit, CharDelimiterSplit and Sequence")
        }
    }

    private func behavior(_ value: JSONValue, _ component: String) throws -> SplitBehavior {
        guard let name = value["behavior"]?.stringValue, let behavior = SplitBehavior(rawValue: name) else {
            throw fault(
                "pre_tokenizer \"\(component)\" needs a \"behavior\": Removed, Isolated, MergedWithPrevious, "
                    + "MergedWithNext or Contiguous")
        }
        return behavior
    }

    static func byteLevel(addsPrefixSpace: Bool, usesRegex: Bool) -> [PreTokenizer] {
        (addsPrefixSpace ? [.prefixSpace] : []) + (usesRegex ? [.split(.gpt2, .isolated, inverted: false)] : [])
            + [.byteLevel]
    }

    // MARK: - Decoder

    /// `nil` where there is no decoder.
    func decoders(_ value: JSONValue?) throws -> [TokenDecoder]? {
        guard let value, !value.isNull else { return nil }
        switch try type(of: value, "decoder") {
        case "Sequence": return try list(value, "decoders", "decoder").flatMap { try decoders($0) ?? [] }
        case "ByteLevel": return [.byteLevel]
        case "ByteFallback": return [.byteFallback]
        case "Fuse": return [.fuse]
        case "BPEDecoder": return [.bytePair(suffix: try text(value, "suffix", "BPEDecoder"))]
        case "CTC":
            return [
                .ctc(
                    padding: try text(value, "pad_token", "CTC"),
                    delimiter: try text(value, "word_delimiter_token", "CTC"),
                    cleansUp: try flag(value, "cleanup", "CTC"))
            ]
        case "Metaspace":
            let (replacement, scheme) = try metaspace(value)
            return [.metaspace(replacement, dropsFirst: scheme != .never)]
        case "WordPiece":
            return [
                .wordPiece(
                    prefix: try text(value, "prefix", "WordPiece"), cleansUp: try flag(value, "cleanup", "WordPiece"))
            ]
        case "Replace": return [.replace(try matcher(value, "Replace"), try text(value, "content", "Replace"))]
        case "Strip":
            guard let start = value["start"]?.intValue, let stop = value["stop"]?.intValue, start >= 0, stop >= 0 else {
                throw fault("decoder \"Strip\" needs \"start\" and \"stop\", 0 or more")
            }
            return [.strip(scalar: try scalar(value, "content", "Strip"), start: start, stop: stop)]
        case let type:
            throw unsupported(
                "decoder", type,
                "ByteLevel, ByteFallback, BPEDecoder, CTC, Fuse, Metaspace, Replace, Strip, WordPiece and Sequence")
        }
    }

    // MARK: - Added tokens

    func addedTokens(_ value: JSONValue?) throws -> [AddedToken] {
        guard let value, !value.isNull else { return [] }
        guard let tokens = value.arrayValue else { throw fault("\"added_tokens\" must be a list") }
        return try tokens.map { try addedToken($0, "added_tokens") }
    }

    /// - Parameter isSpecial: Where the place decides, whatever the entry says.
    func addedToken(_ value: JSONValue, _ place: String, isSpecial: Bool? = nil) throws -> AddedToken {
        guard let content = value["content"]?.stringValue else {
            throw fault("an entry of \"\(place)\" has no \"content\"")
        }
        let isSpecial = isSpecial ?? value["special"]?.boolValue ?? false
        return AddedToken(
            content, isSpecial: isSpecial, isNormalized: value["normalized"]?.boolValue,
            isSingleWord: value["single_word"]?.boolValue ?? false, stripsLeft: value["lstrip"]?.boolValue ?? false,
            stripsRight: value["rstrip"]?.boolValue ?? false)
    }

    // MARK: - Parts

    func fault(_ message: String) -> TokenizerError { TokenizerError(source, message) }

    func unsupported(_ component: String, _ type: String, _ supported: String) -> TokenizerError {
        fault("\(component) \"\(type)\" is not supported; supported are \(supported)")
    }

    func type(of value: JSONValue, _ component: String) throws -> String {
        guard let type = value["type"]?.stringValue else { throw fault("\(component) has no \"type\"") }
        return type
    }

    func list(_ value: JSONValue, _ key: String, _ component: String) throws -> [JSONValue] {
        guard let list = value[key]?.arrayValue else { throw fault("\(component) needs the list \"\(key)\"") }
        return list
    }

    func flag(
        _ value: JSONValue, _ key: String, _ component: String, default missing: Bool? = nil
    ) throws -> Bool {
        guard let flag = value[key]?.boolValue ?? (value[key] == nil ? missing : nil) else {
            throw fault("\"\(component)\" needs \"\(key)\", true or false")
        }
        return flag
    }

    func text(_ value: JSONValue, _ key: String, _ component: String) throws -> [UInt8] {
        guard let text = value[key]?.stringValue else { throw fault("\"\(component)\" needs the string \"\(key)\"") }
        return Array(text.utf8)
    }

    private func scalar(_ value: JSONValue, _ key: String, _ component: String) throws -> [UInt8] {
        guard let text = value[key]?.stringValue, text.unicodeScalars.count == 1 else {
            throw fault("\"\(component)\" needs \"\(key)\", a single character")
        }
        return Array(text.utf8)
    }

    /// Older files say `add_prefix_space` where newer ones have a `prepend_scheme`.
    private func metaspace(_ value: JSONValue) throws -> (replacement: [UInt8], scheme: MetaspaceScheme) {
        let name = value["prepend_scheme"]?.stringValue ?? "always"
        guard var scheme = MetaspaceScheme(rawValue: name) else {
            throw fault("\"Metaspace\" has the \"prepend_scheme\" \(name.debugDescription), not first, always or never")
        }
        if value["add_prefix_space"]?.boolValue == false {
            guard scheme != .first else {
                throw fault("\"Metaspace\" has \"add_prefix_space\" false and \"prepend_scheme\" first; remove one")
            }
            scheme = .never
        }
        return (try scalar(value, "replacement", "Metaspace"), scheme)
    }

    private func matcher(_ value: JSONValue, _ component: String) throws -> SplitMatcher {
        let pattern: String
        if let literal = value["pattern"]?["String"]?.stringValue {
            // The empty pattern matches between any two scalars.
            if !literal.isEmpty { return .literal(Array(literal.utf8)) }
            pattern = ""
        } else if let regex = value["pattern"]?["Regex"]?.stringValue {
            pattern = regex
        } else {
            throw fault("\"\(component)\" needs a \"pattern\" that holds a \"String\" or a \"Regex\"")
        }
        return try SplitMatcher(pattern: pattern, source: "\(source), \"\(component)\"")
    }
}
