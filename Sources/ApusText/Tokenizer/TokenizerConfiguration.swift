import ApusJSON
import Foundation

/// What the small files beside a tokenizer say: `tokenizer_config.json`, `special_tokens_map.json`,
/// `added_tokens.json`, and those of chat templates.
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

    /// The tokenizer's class in `transformers`, as the file spells it.
    var className: String?
    /// Whether the files bring code for the tokenizer.
    var namesCode = false
    var named: [Role: AddedToken] = [:]
    /// Roles that the files leave without a token, which a class then does not fill.
    var absent: Set<Role> = []
    /// Roles whose tokens are those of the class, as the files give none.
    var filled: Set<Role> = []
    /// The keys whose tokens are texts alone, without properties.
    var bare: Set<String> = []
    /// Special tokens with names of the model's own, such as `image_token`.
    var ownNames: [(name: String, token: AddedToken)] = []
    /// Special tokens without a role.
    var extra: [AddedToken] = []
    /// Tokens that the files list with their properties, in the order of their ids.
    var added: [(id: Int, token: AddedToken)] = []
    /// Whether `tokenizer_config.json` lists the added tokens, so that a class which builds its own steps knows no others.
    var listsAddedTokens = false
    /// Whether encoding starts with the beginning-of-sequence token, where the files say so either way.
    var addsBeginningOfSequence: Bool?
    var addsEndOfSequence: Bool?
    var addsPrefixSpace: Bool?
    /// Whether "▁" comes before every stretch between special tokens, not only before the first (`legacy`).
    var isLegacy: Bool?
    var splitsSpecialTokens = false
    /// The settings of BERT's normalizer, for the classes that have it.
    var lowercases: Bool?
    var stripsAccents: Bool?
    var spacesHan = true
    var cleansText = true
    /// Whether decoding takes the spaces before punctuation away (`clean_up_tokenization_spaces`).
    var cleansUpSpaces = false
    /// Whether it does so for byte-pair encodings too.
    var cleansUpBytePairs = false
    /// Whether `tokenizer_config.json` lists special tokens without a role, be it none of them.
    var listsExtraTokens = false
    /// How many `<extra_id_0>`… T5 has.
    var extraIDs = 100
    /// The unknown token of Unigram.
    var unknownID: Int?
    var keepsAccents: Bool?
    /// Whether DeBERTa cuts at punctuation.
    var splitsPunctuation = false
    var modelMaximumLength: Int?
    /// The chat templates by their names; one that is alone is "default".
    var chatTemplates: [String: String] = [:]

    init() {}

    /// Reads what is there; a missing file is no error.
    init(folder: URL) throws {
        let configURL = folder.appendingPathComponent("tokenizer_config.json")
        var config = try Self.object(configURL) ?? [:]
        var source = configURL.path
        let extraList = Self.extraTokens(config)
        listsExtraTokens = extraList.map { $0.objectValue == nil } ?? false
        if let listed = config["added_tokens_decoder"] {
            listsAddedTokens = true
            guard let tokens = listed.objectValue else {
                throw TokenizerError(source, "\"added_tokens_decoder\" must be an object")
            }
            added = try tokens.map { key, value -> (id: Int, token: AddedToken) in
                guard let id = Int(key) else {
                    throw TokenizerError(
                        source, "\"added_tokens_decoder\" has the key \(key.debugDescription), not an id")
                }
                return (id, try ComponentReader(source: source).addedToken(value, "added_tokens_decoder"))
            }.sorted { $0.id < $1.id }
        } else {
            // Before added_tokens_decoder, the map of special tokens overrode the configuration.
            let mapURL = folder.appendingPathComponent("special_tokens_map.json")
            for (key, value) in try Self.object(mapURL) ?? [:]
            where key != "additional_special_tokens" || !listsExtraTokens {
                config[key] = value
                source = mapURL.path
            }
        }
        try readSpecialTokens(config, source)
        if !listsAddedTokens {
            // Beside named extra tokens, a list of others comes too late to make these special.
            let early = (extraList?.arrayValue ?? []).compactMap { $0.stringValue ?? $0["content"]?.stringValue }
            try readLegacyAddedTokens(folder, special: early)
        }

        className = config["tokenizer_class"]?.stringValue
        namesCode = config["auto_map"].map { $0.arrayValue != nil || $0["AutoTokenizer"] != nil } ?? false
        addsBeginningOfSequence = config["add_bos_token"]?.boolValue
        addsEndOfSequence = config["add_eos_token"]?.boolValue
        addsPrefixSpace = config["add_prefix_space"]?.boolValue
        isLegacy = config["legacy"].map { $0.boolValue ?? false }
        splitsSpecialTokens = config["split_special_tokens"]?.boolValue ?? false
        lowercases = config["do_lower_case"]?.boolValue
        stripsAccents = config["strip_accents"]?.boolValue
        spacesHan = config["tokenize_chinese_chars"]?.boolValue ?? true
        cleansText = config["clean_text"]?.boolValue ?? true
        keepsAccents = config["keep_accents"]?.boolValue
        splitsPunctuation = config["split_by_punct"]?.boolValue ?? false
        unknownID = config["unk_id"]?.intValue
        extraIDs = try Self.extraIDs(config["extra_ids"], configURL.path)
        cleansUpSpaces = config["clean_up_tokenization_spaces"]?.boolValue ?? false
        cleansUpBytePairs =
            config["clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"]?.boolValue ?? false
        // Some files write 1e30 for "no limit", which fits no integer.
        modelMaximumLength = (config["model_max_length"] ?? config["max_len"])?.intValue
        chatTemplates = try ChatTemplateFiles(folder: folder).read(config["chat_template"], configURL.path)
    }

    /// Gives the roles that the files leave open the tokens of a class.
    mutating func fill(_ tokens: [Role: String]) {
        for (role, content) in tokens where named[role] == nil && !absent.contains(role) {
            named[role] = listed(content) ?? AddedToken(content, isSpecial: true)
            filled.insert(role)
            bare.insert(role.rawValue)
        }
    }

    private func listed(_ content: String) -> AddedToken? {
        added.first { $0.token.content.utf8.elementsEqual(content.utf8) }?.token
    }

    private mutating func readSpecialTokens(_ config: JSONObject, _ source: String) throws {
        func token(_ value: JSONValue, _ key: String) throws -> AddedToken {
            if let content = value.stringValue {
                bare.insert(key)
                return listed(content) ?? AddedToken(content, isSpecial: true)
            }
            guard value.objectValue != nil else {
                throw TokenizerError(source, "\"\(key)\" must be a string or an object with \"content\"")
            }
            return try ComponentReader(source: source).addedToken(value, key, isSpecial: true)
        }
        for role in Role.allCases {
            guard let value = config[role.rawValue] else { continue }
            if value.isNull {
                absent.insert(role)
            } else {
                named[role] = try token(value, role.rawValue)
            }
        }
        for (key, value) in config where key.hasSuffix("_token") && Role(rawValue: key) == nil {
            guard value.stringValue != nil || value["content"]?.stringValue != nil else { continue }
            ownNames.append((key, try token(value, key)))
        }
        for key in ["extra_special_tokens", "additional_special_tokens"] where extra.isEmpty {
            for value in config[key]?.arrayValue ?? [] { extra.append(try token(value, key)) }
            for (name, value) in config[key]?.objectValue ?? [:] { ownNames.append((name, try token(value, key))) }
        }
    }

    private mutating func readLegacyAddedTokens(_ folder: URL, special extra: [String]) throws {
        let url = folder.appendingPathComponent("added_tokens.json")
        guard let tokens = try Self.object(url) else { return }
        let special = named.values.map { Array($0.content.utf8) } + extra.map { Array($0.utf8) }
        added = try tokens.map { content, value -> (id: Int, token: AddedToken) in
            guard let id = value.intValue else {
                throw TokenizerError(url.path, "the token \(content.debugDescription) has no id")
            }
            return (id, AddedToken(content, isSpecial: special.contains(Array(content.utf8))))
        }.sorted { $0.id < $1.id }
    }

    /// The key that lists special tokens without a role: the older one counts where the newer one is missing or empty.
    private static func extraTokens(_ config: JSONObject) -> JSONValue? {
        let newer = config["extra_special_tokens"]
        let isEmpty = newer.map { $0.arrayValue?.isEmpty ?? $0.objectValue?.isEmpty ?? $0.isNull } ?? true
        return isEmpty ? config["additional_special_tokens"] ?? newer : newer
    }

    private static func extraIDs(_ value: JSONValue?, _ source: String) throws -> Int {
        guard let value, !value.isNull else { return 100 }
        guard let count = value.intValue, count >= 0, count < Vocabulary.idLimit else {
            throw TokenizerError(source, "\"extra_ids\" must be a number from 0 to \(Vocabulary.idLimit - 1)")
        }
        return count
    }

    static func object(_ url: URL) throws -> JSONObject? {
        guard let data = try FolderFile.readIfThere(url) else { return nil }
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
