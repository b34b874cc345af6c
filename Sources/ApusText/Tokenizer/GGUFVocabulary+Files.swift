import ApusJSON

extension GGUFVocabulary {
    /// The files of a Hugging Face folder that hold the same tokenizer: `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// - Throws: `TokenizerError` for a vocabulary that cannot be loaded either.
    package func tokenizerFiles() throws -> [(name: String, text: String)] {
        // Making the tokenizer refuses what the files could not say.
        let boundaries = try Tokenizer(gguf: self).layout(isPair: false, true)
        var vocabulary = JSONObject()
        for (id, token) in tokens.enumerated() { vocabulary[token] = .int(id) }
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
        let kinds: Set<Int32> = isSentencePiece ? [2, 3, 4] : [3, 4]
        let added = zip(tokens, tokenTypes).enumerated().filter { kinds.contains($0.element.1) }
        let file: JSONValue = [
            "version": "1.0", "truncation": .null, "padding": .null,
            "added_tokens": .array(
                added.map { id, entry in
                    [
                        "id": .int(id), "content": .string(entry.0), "single_word": false, "lstrip": false,
                        "rstrip": false, "normalized": false, "special": .bool(entry.1 != 4),
                    ]
                }),
            "normalizer": splitting.normalizer, "pre_tokenizer": splitting.preTokenizer,
            "post_processor": postProcessor(boundaries), "decoder": decoder,
            "model": [
                "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
                "end_of_word_suffix": .null, "fuse_unk": .bool(isSentencePiece),
                "byte_fallback": .bool(isSentencePiece),
                "ignore_merges": .bool(splitting.ignoresMerges), "vocab": .object(vocabulary),
                "merges": .array(pairs),
            ],
        ]
        return [
            ("tokenizer.json", file.serialized(indent: 2)),
            ("tokenizer_config.json", configurationFile().serialized(indent: 2)),
        ]
    }

    private var decoder: JSONValue {
        guard isSentencePiece else {
            return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
        }
        let steps: [JSONValue] = [
            ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "ByteFallback"], ["type": "Fuse"],
        ]
        let strip: [JSONValue] = [["type": "Strip", "content": " ", "start": 1, "stop": 0]]
        return ["type": "Sequence", "decoders": .array(steps + (addsPrefixSpace ?? true ? strip : []))]
    }

    /// What stands around every text, in the words of `tokenizer.json`.
    private func postProcessor(_ boundaries: [PostProcessor.Piece]) -> JSONValue {
        var special = JSONObject()
        func pieces(_ text: String, _ segment: Int) -> [JSONValue] {
            boundaries.map { piece in
                guard case .token(let id, _) = piece else {
                    return ["Sequence": ["id": .string(text), "type_id": .int(segment)]]
                }
                let token = tokens[Int(id)]
                special[token] = [
                    "id": .string(token), "ids": [.int(Int(id))], "tokens": [.string(token)],
                ]
                return ["SpecialToken": ["id": .string(token), "type_id": .int(segment)]]
            }
        }
        let single = pieces("A", 0)
        guard single.count > 1 else {
            return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true]
        }
        return [
            "type": "TemplateProcessing", "single": .array(single), "pair": .array(single + pieces("B", 1)),
            "special_tokens": .object(special),
        ]
    }

    private func configurationFile() -> JSONValue {
        var file: JSONObject = ["clean_up_tokenization_spaces": false, "tokenizer_class": "PreTrainedTokenizerFast"]
        let roles = [
            ("bos_token", beginningOfSequenceID), ("eos_token", endOfSequenceID), ("unk_token", unknownID),
            ("pad_token", paddingID ?? endOfSequenceID),
        ]
        for (role, id) in roles {
            if let id, tokens.indices.contains(Int(id)) { file[role] = .string(tokens[Int(id)]) }
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
