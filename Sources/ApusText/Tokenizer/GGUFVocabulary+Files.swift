import ApusJSON

extension GGUFVocabulary {
    /// The files of a Hugging Face folder that hold the same tokenizer: `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// - Throws: `TokenizerError` for a vocabulary that cannot be loaded either.
    package func tokenizerFiles() throws -> [(name: String, text: String)] {
        // Making the tokenizer refuses what the files could not say.
        let splitting = try recipe()
        let boundaries = try Tokenizer(gguf: self).layout(isPair: false, true)
        var vocabulary = JSONObject()
        for (id, token) in tokens.enumerated() { vocabulary[token] = .int(id) }
        let pairs = merges.map { merge -> JSONValue in
            let parts = merge.split(separator: " ", maxSplits: 1).map { JSONValue.string(String($0)) }
            return .array(parts)
        }
        let added = zip(tokens, tokenTypes).enumerated().filter { $0.element.1 == 3 || $0.element.1 == 4 }
        let file: JSONValue = [
            "version": "1.0", "truncation": .null, "padding": .null,
            "added_tokens": .array(
                added.map { id, entry in
                    [
                        "id": .int(id), "content": .string(entry.0), "single_word": false, "lstrip": false,
                        "rstrip": false, "normalized": false, "special": .bool(entry.1 == 3),
                    ]
                }),
            "normalizer": splitting.json.normalizer, "pre_tokenizer": splitting.json.preTokenizer,
            "post_processor": postProcessor(boundaries),
            "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
            "model": [
                "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
                "end_of_word_suffix": .null, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": .bool(splitting.ignoresMerges), "vocab": .object(vocabulary),
                "merges": .array(pairs),
            ],
        ]
        return [
            ("tokenizer.json", file.serialized(indent: 2)),
            ("tokenizer_config.json", configurationFile().serialized(indent: 2)),
        ]
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
}
