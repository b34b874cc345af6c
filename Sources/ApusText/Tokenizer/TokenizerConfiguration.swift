import ApusJSON
import Foundation

/// What the small files beside a tokenizer say: `tokenizer_config.json`, `special_tokens_map.json`,
/// `added_tokens.json`, `chat_template.jinja`.
struct TokenizerConfiguration: Sendable {
    /// The role of a named special token, with its key in the files.
    enum Role: String, CaseIterable, Sendable {
        case beginningOfSequence = "bos_token"
        case endOfSequence = "eos_token"
        case unknown = "unk_token"
        case separator = "sep_token"
        case padding = "pad_token"
        case classification = "cls_token"
        case mask = "mask_token"
    }

    /// The tokenizer's class in `transformers`, without "Fast" at its end.
    var className: String?
    var named: [Role: AddedToken] = [:]
    /// Special tokens without a role.
    var extra: [AddedToken] = []
    /// Tokens that the files list with their properties, in the order of their ids.
    var added: [AddedToken] = []
    /// Whether encoding starts with the beginning-of-sequence token, where the files say so either way.
    var addsBeginningOfSequence: Bool?
    var addsEndOfSequence: Bool?
    var addsPrefixSpace = false
    var splitsSpecialTokens = false
    /// The settings of BERT's normalizer, where a `vocab.txt` is read.
    var lowercases = true
    var stripsAccents: Bool?
    var spacesHan = true
    var modelMaximumLength: Int?
    var chatTemplate: String?

    init() {}

    /// Reads what is there; a missing file is no error.
    init(folder: URL) throws {
        let configURL = folder.appendingPathComponent("tokenizer_config.json")
        var config = try Self.object(configURL) ?? [:]
        var source = configURL.path
        if let listed = config["added_tokens_decoder"] {
            guard let tokens = listed.objectValue else {
                throw TokenizerError(source, "\"added_tokens_decoder\" must be an object")
            }
            added = try tokens.map { key, value -> (Int, AddedToken) in
                guard let id = Int(key) else {
                    throw TokenizerError(
                        source, "\"added_tokens_decoder\" has the key \(key.debugDescription), not an id")
                }
                return (id, try ComponentReader(source: source).addedToken(value, "added_tokens_decoder"))
            }.sorted { $0.0 < $1.0 }.map(\.1)
        } else {
            // Before added_tokens_decoder, the map of special tokens overrode the configuration.
            let mapURL = folder.appendingPathComponent("special_tokens_map.json")
            for (key, value) in try Self.object(mapURL) ?? [:] {
                config[key] = value
                source = mapURL.path
            }
        }
        try readSpecialTokens(config, source)
        if config["added_tokens_decoder"] == nil { try readLegacyAddedTokens(folder) }

        className = config["tokenizer_class"]?.stringValue.map { $0.hasSuffix("Fast") ? String($0.dropLast(4)) : $0 }
        addsBeginningOfSequence = config["add_bos_token"]?.boolValue
        addsEndOfSequence = config["add_eos_token"]?.boolValue
        addsPrefixSpace = config["add_prefix_space"]?.boolValue ?? false
        splitsSpecialTokens = config["split_special_tokens"]?.boolValue ?? false
        lowercases = config["do_lower_case"]?.boolValue ?? true
        stripsAccents = config["strip_accents"]?.boolValue
        spacesHan = config["tokenize_chinese_chars"]?.boolValue ?? true
        // Some files write 1e30 for "no limit", which fits no integer.
        modelMaximumLength = config["model_max_length"]?.intValue
        chatTemplate = try Self.chatTemplate(folder, config, configURL.path)
    }

    private mutating func readSpecialTokens(_ config: JSONObject, _ source: String) throws {
        let reader = ComponentReader(source: source)
        func token(_ value: JSONValue, _ key: String) throws -> AddedToken {
            if let content = value.stringValue {
                return added.first { $0.content.utf8.elementsEqual(content.utf8) }
                    ?? AddedToken(content, isSpecial: true)
            }
            guard value.objectValue != nil else {
                throw TokenizerError(source, "\"\(key)\" must be a string or an object with \"content\"")
            }
            var token = try reader.addedToken(value, key)
            token.isSpecial = true
            return token
        }
        for role in Role.allCases {
            guard let value = config[role.rawValue], !value.isNull else { continue }
            named[role] = try token(value, role.rawValue)
        }
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            guard let value = config[key], extra.isEmpty else { continue }
            let values = value.arrayValue ?? value.objectValue.map { $0.map(\.value) } ?? []
            extra = try values.map { try token($0, key) }
        }
    }

    private mutating func readLegacyAddedTokens(_ folder: URL) throws {
        let url = folder.appendingPathComponent("added_tokens.json")
        guard let tokens = try Self.object(url) else { return }
        let special = named.values.map { Array($0.content.utf8) } + extra.map { Array($0.content.utf8) }
        added = try tokens.map { content, value -> (Int, AddedToken) in
            guard let id = value.intValue else {
                throw TokenizerError(url.path, "the token \(content.debugDescription) has no id")
            }
            return (id, AddedToken(content, isSpecial: special.contains(Array(content.utf8))))
        }.sorted { $0.0 < $1.0 }.map(\.1)
    }

    private static func chatTemplate(_ folder: URL, _ config: JSONObject, _ source: String) throws -> String? {
        let jinja = folder.appendingPathComponent("chat_template.jinja")
        if FileManager.default.fileExists(atPath: jinja.path) {
            guard let data = FileManager.default.contents(atPath: jinja.path),
                let template = String(validating: data, as: UTF8.self)
            else { throw TokenizerError(jinja.path, "cannot be read as UTF-8") }
            return template
        }
        switch config["chat_template"] {
        case .string(let template)?: return template
        case .array(let templates)?:
            let template = templates.first { $0["name"]?.stringValue == "default" }?["template"]?.stringValue
            guard let template else {
                throw TokenizerError(source, "\"chat_template\" is a list without a template named \"default\"")
            }
            return template
        default:
            return try object(folder.appendingPathComponent("chat_template.json"))?["chat_template"]?.stringValue
        }
    }

    private static func object(_ url: URL) throws -> JSONObject? {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        guard let data = FileManager.default.contents(atPath: url.path) else {
            throw TokenizerError(url.path, "cannot be read")
        }
        do {
            guard let object = try JSONValue(parsing: data).objectValue else {
                throw TokenizerError(url.path, "must be a JSON object")
            }
            return object
        } catch let error as JSONError {
            throw TokenizerError(url.path, error.description)
        }
    }
}
