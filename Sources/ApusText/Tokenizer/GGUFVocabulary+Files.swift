import ApusJSON

extension GGUFVocabulary {
    /// The files of a Hugging Face folder that hold the same tokenizer: `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// - Throws: `TokenizerError` for a vocabulary that cannot be loaded either.
    package func tokenizerFiles() throws -> [(name: String, text: String)] {
        // Making the tokenizer refuses what the files could not say.
        let tokenizer = try Tokenizer(gguf: self)
        return try completed().tokenizerFiles(of: tokenizer)
    }

    /// What a `tokenizer.json` says of how text becomes tokens.
    struct Steps {
        let normalizer: JSONValue
        let preTokenizer: JSONValue
        let decoder: JSONValue
        /// Without "vocab".
        let model: JSONObject
        /// The text of "vocab".
        let vocabulary: String
    }

    private func tokenizerFiles(of tokenizer: Tokenizer) throws -> [(name: String, text: String)] {
        let steps =
            isUnigram ? try unigramSteps() : isWordPiece ? try wordPieceSteps(tokenizer) : try bytePairSteps()
        let added = tokenizer.addedTokens.sorted { $0.key < $1.key }
        var model = steps.model
        model["vocab"] = .null
        let file: JSONValue = [
            "version": "1.0", "truncation": .null, "padding": .null,
            "added_tokens": .array(
                added.map { id, token in
                    [
                        "id": .int(Int(id)), "content": .string(token.content), "single_word": false, "lstrip": false,
                        "rstrip": false, "normalized": false, "special": .bool(token.isSpecial),
                    ]
                }),
            "normalizer": steps.normalizer, "pre_tokenizer": steps.preTokenizer,
            "post_processor": postProcessor(tokenizer), "decoder": steps.decoder, "model": .object(model),
        ]
        // Keys that are canonically equivalent are different tokens, and one key of a JSON object here.
        let text = file.serialized(indent: 2).replacing(
            "\"vocab\": null", with: "\"vocab\": " + steps.vocabulary, maxReplacements: 1)
        return [
            ("tokenizer.json", text), ("tokenizer_config.json", configurationFile().serialized(indent: 2)),
        ]
    }

    /// The ids of a JSON object by their tokens.
    func vocabularyText() -> String {
        let entries = tokens.indices.map { "\(JSONValue.string(spelling(of: $0)).serialized()): \($0)" }
        return "{\n" + entries.joined(separator: ",\n") + "\n}"
    }

    private func bytePairSteps() throws -> Steps {
        var pairs = merges.map { merge -> JSONValue in
            let parts = merge.split(separator: " ", maxSplits: 1).map { JSONValue.string(String($0)) }
            return .array(parts)
        }
        if isSentencePiece, merges.isEmpty {
            pairs = try impliedMerges().merges().map { merge in
                .array([.string(tokens[Int(merge.left)]), .string(tokens[Int(merge.right)])])
            }
        }
        let splitting = try splitting()
        return Steps(
            normalizer: splitting.normalizer, preTokenizer: splitting.preTokenizer, decoder: decoder,
            model: [
                "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
                "end_of_word_suffix": .null, "fuse_unk": .bool(isSentencePiece),
                "byte_fallback": .bool(isSentencePiece),
                "ignore_merges": .bool(splitting.ignoresMerges), "merges": .array(pairs),
            ], vocabulary: vocabularyText())
    }

    private var decoder: JSONValue {
        guard isSentencePiece else {
            return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
        }
        return Self.pieceDecoder(dropsFirst: addsPrefixSpace ?? true)
    }

    /// "▁" becomes a space and bytes become text; where texts got a space before them, it goes.
    static func pieceDecoder(fallsBackToBytes: Bool = true, dropsFirst: Bool) -> JSONValue {
        var steps: [JSONValue] = [["type": "Replace", "pattern": ["String": "▁"], "content": " "]]
        if fallsBackToBytes { steps.append(["type": "ByteFallback"]) }
        steps.append(["type": "Fuse"])
        if dropsFirst { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
        return ["type": "Sequence", "decoders": .array(steps)]
    }

    /// What stands around every text, in the words of `tokenizer.json`.
    private func postProcessor(_ tokenizer: Tokenizer) -> JSONValue {
        var special = JSONObject()
        func pieces(isPair: Bool) -> [JSONValue] {
            tokenizer.layout(isPair: isPair, true).map { piece in
                switch piece {
                case .text(let index, let segment):
                    return ["Sequence": ["id": .string(index == 0 ? "A" : "B"), "type_id": .int(Int(segment))]]
                case .token(let id, let segment):
                    let token = spelling(of: Int(id))
                    special[token] = [
                        "id": .string(token), "ids": [.int(Int(id))], "tokens": [.string(token)],
                    ]
                    return ["SpecialToken": ["id": .string(token), "type_id": .int(Int(segment))]]
                }
            }
        }
        let single = pieces(isPair: false)
        guard single.count > 1 || isUnigram || isWordPiece else {
            return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true]
        }
        let pair = pieces(isPair: true)
        return [
            "type": "TemplateProcessing", "single": .array(single), "pair": .array(pair),
            "special_tokens": .object(special),
        ]
    }

    private func configurationFile() -> JSONValue {
        var file: JSONObject = ["clean_up_tokenization_spaces": false, "tokenizer_class": "PreTrainedTokenizerFast"]
        let roles = [
            ("bos_token", beginningOfSequenceID), ("eos_token", endOfSequenceID), ("unk_token", unknownID),
            ("pad_token", paddingID ?? endOfSequenceID), ("sep_token", separatorID), ("cls_token", classificationID),
            ("mask_token", maskID),
        ]
        for (role, id) in roles {
            if let id, tokens.indices.contains(Int(id)) { file[role] = .string(spelling(of: Int(id))) }
        }
        if let chatTemplate { file["chat_template"] = .string(chatTemplate) }
        return .object(file)
    }

    /// How text is split before merging, in the words of `tokenizer.json`.
    private func splitting() throws -> (normalizer: JSONValue, preTokenizer: JSONValue, ignoresMerges: Bool) {
        if isSentencePiece {
            let scheme = addsPrefixSpace ?? true ? "first" : "never"
            return (
                .null, ["type": "Metaspace", "replacement": "▁", "prepend_scheme": .string(scheme), "split": false],
                false
            )
        }
        let recipe = try recipe()
        return (recipe.json.normalizer, recipe.json.preTokenizer, recipe.ignoresMerges)
    }
}
