/// The tokenizer that a GGUF file describes, as the file gives it (`tokenizer.*`).
package struct GGUFTokenizerMetadata: Sendable, Equatable {
    /// The algorithm in llama.cpp's terms: `gpt2` is byte-level BPE, `llama` SentencePiece BPE, `t5`
    /// Unigram, `bert` WordPiece.
    package let model: String
    /// The pre-tokenizer in llama.cpp's terms, such as `qwen2` or `smollm`.
    package let pre: String?
    /// Position is the id.
    package let tokens: [String]
    /// One for each token, or none.
    package let scores: [Double]
    /// One for each token, or none: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    package let tokenTypes: [Int]
    /// Pairs joined by one space, the first to be merged first; none for algorithms without merges.
    package let merges: [String]
    package let bosID: Int?
    package let eosID: Int?
    /// The end of a turn, where it differs from `eosID`.
    package var eotID: Int?
    package let unknownID: Int?
    package let paddingID: Int?
    package let addsBOS: Bool?
    package let addsEOS: Bool?
    package let addsSpacePrefix: Bool?
    package let chatTemplate: String?
    package var separatorID: Int?
    package var classificationID: Int?
    package var maskID: Int?
    package var addsSeparator: Bool?
    package var removesExtraSpaces: Bool?
    /// The bytes of `precompiled_charsmap`, the normaliser of a SentencePiece file.
    package var characterMap: [UInt8]?

    package init(
        model: String, pre: String?, tokens: [String], scores: [Double] = [], tokenTypes: [Int], merges: [String],
        bosID: Int?, eosID: Int?, unknownID: Int?, paddingID: Int?, addsBOS: Bool?, addsEOS: Bool?,
        addsSpacePrefix: Bool? = nil, chatTemplate: String?
    ) {
        (self.model, self.pre, self.tokens, self.tokenTypes, self.merges) = (model, pre, tokens, tokenTypes, merges)
        (self.bosID, self.eosID, self.unknownID, self.paddingID) = (bosID, eosID, unknownID, paddingID)
        (self.addsBOS, self.addsEOS, self.chatTemplate) = (addsBOS, addsEOS, chatTemplate)
        (self.scores, self.addsSpacePrefix) = (scores, addsSpacePrefix)
        eotID = nil
    }

    /// Reads the metadata of `file`.
    ///
    /// - Throws: `WeightsError` when there is no tokenizer, or its parts contradict each other.
    package init(_ file: GGUFFile) throws {
        func id(_ name: String, below count: Int) throws -> Int? {
            let key = "tokenizer.ggml.\(name)_token_id"
            guard let id = try file.value(key, \.intValue) else { return nil }
            guard (0..<count).contains(id) else {
                throw WeightsError(file.path, item: key, "\(id) is not the id of one of the \(count) tokens")
            }
            return id
        }
        model = try file.requiredValue("tokenizer.ggml.model", \.stringValue)
        pre = try file.value("tokenizer.ggml.pre", \.stringValue)
        tokens = try file.requiredValue("tokenizer.ggml.tokens", \.stringValues)
        scores = try file.value("tokenizer.ggml.scores", \.doubleValues) ?? []
        tokenTypes = try file.value("tokenizer.ggml.token_type", \.intValues) ?? []
        merges = try file.value("tokenizer.ggml.merges", \.stringValues) ?? []
        for (key, count) in [("scores", scores.count), ("token_type", tokenTypes.count)]
        where count != 0 && count != tokens.count {
            throw WeightsError(
                file.path, item: "tokenizer.ggml.\(key)", "has \(count) elements for \(tokens.count) tokens")
        }
        bosID = try id("bos", below: tokens.count)
        eosID = try id("eos", below: tokens.count)
        eotID = try id("eot", below: tokens.count)
        unknownID = try id("unknown", below: tokens.count)
        paddingID = try id("padding", below: tokens.count)
        addsBOS = try file.value("tokenizer.ggml.add_bos_token", \.boolValue)
        addsEOS = try file.value("tokenizer.ggml.add_eos_token", \.boolValue)
        addsSpacePrefix = try file.value("tokenizer.ggml.add_space_prefix", \.boolValue)
        chatTemplate = try file.value("tokenizer.chat_template", \.stringValue)
        separatorID = try id("seperator", below: tokens.count)
        classificationID = try id("cls", below: tokens.count)
        maskID = try id("mask", below: tokens.count)
        addsSeparator = try file.value("tokenizer.ggml.add_sep_token", \.boolValue)
        removesExtraSpaces = try file.value("tokenizer.ggml.remove_extra_whitespaces", \.boolValue)
        let map = "tokenizer.ggml.precompiled_charsmap"
        characterMap = try file.value(map, \.intValues)?.map { number in
            guard let byte = UInt8(exactly: number) ?? Int8(exactly: number).map(UInt8.init(bitPattern:)) else {
                throw WeightsError(file.path, item: map, "holds \(number), which is no byte")
            }
            return byte
        }
    }
}

extension GGUFTokenizerMetadata {
    /// The keys and values of a file that says the same.
    package var fields: [(key: String, value: GGUFTypedValue)] {
        func id(_ name: String, _ id: Int?) -> (key: String, value: GGUFTypedValue)? {
            id.flatMap { UInt32(exactly: $0) }.map { ("tokenizer.ggml.\(name)_token_id", .uint32($0)) }
        }
        func flag(_ name: String, _ flag: Bool?) -> (key: String, value: GGUFTypedValue)? {
            flag.map { ("tokenizer.ggml.add_\(name)", .bool($0)) }
        }
        func list<Element>(
            _ name: String, _ elements: [Element], _ value: ([Element]) -> GGUFTypedValue
        ) -> (key: String, value: GGUFTypedValue)? {
            elements.isEmpty ? nil : ("tokenizer.ggml.\(name)", value(elements))
        }
        let fields: [(key: String, value: GGUFTypedValue)?] = [
            ("tokenizer.ggml.model", .string(model)),
            pre.map { ("tokenizer.ggml.pre", .string($0)) },
            ("tokenizer.ggml.tokens", .strings(tokens)),
            list("scores", scores) { .float32s($0.map(Float.init)) },
            list("token_type", tokenTypes) { .int32s($0.map { Int32(clamping: $0) }) },
            // llama.cpp wants the list even where nothing merges.
            model == "gpt2" && merges.isEmpty
                ? ("tokenizer.ggml.merges", .strings([])) : list("merges", merges, GGUFTypedValue.strings),
            id("bos", bosID), id("eos", eosID), id("eot", eotID), id("unknown", unknownID), id("padding", paddingID),
            id("seperator", separatorID), id("cls", classificationID), id("mask", maskID),
            flag("bos_token", addsBOS), flag("eos_token", addsEOS), flag("sep_token", addsSeparator),
            flag("space_prefix", addsSpacePrefix),
            removesExtraSpaces.map { ("tokenizer.ggml.remove_extra_whitespaces", .bool($0)) },
            list("precompiled_charsmap", characterMap ?? []) { .array($0.map(GGUFTypedValue.uint8)) },
            chatTemplate.map { ("tokenizer.chat_template", .string($0)) },
        ]
        return fields.compactMap(\.self)
    }
}
