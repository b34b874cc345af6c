import ApusGeneration
import ApusJSON
import ApusLanguageModel

/// The keys of a `generation_config.json`, read strictly; null is as good as absent.
struct GenerationKeys {
    private let object: JSONObject
    private let place: String
    private let vocabularySize: Int

    init(_ object: JSONObject, place: String, vocabularySize: Int) {
        self.object = object
        self.place = place
        self.vocabularySize = vocabularySize
    }

    private func value(_ key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    private func wrong(_ key: String, _ wanted: String) -> ModelError {
        let shown = object[key]?.serialized().prefix(80) ?? ""
        return ModelError("\(place): \"\(key)\" is \(shown), wanted \(wanted). Correct it, or take the key out.")
    }

    func flag(_ key: String) throws -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.boolValue else { throw wrong(key, "true or false") }
        return flag
    }

    func number(_ key: String, _ range: ClosedRange<Double>) throws -> Double? {
        guard let value = value(key) else { return nil }
        guard let number = value.doubleValue, range.contains(number) else {
            let isOpen = range.upperBound >= Double.greatestFiniteMagnitude
            let from =
                range.lowerBound == Double.leastNonzeroMagnitude ? " above 0" : range.lowerBound < 0 ? "" : " from 0"
            throw wrong(key, "a number\(from)" + (isOpen ? "" : " to \(Int(range.upperBound))"))
        }
        return number
    }

    /// When a beam search ends.
    func beamStop(_ key: String) throws -> BeamSearch.Stop {
        switch value(key) {
        case nil, .bool(false)?: .whenWorse
        case .bool(true)?: .whenFull
        case .string("never")?: .whenHopeless
        default: throw wrong(key, "true, false or \"never\"")
        }
    }

    /// A bound for probabilities; outside of 0 to 1 it bounds nothing.
    func cutoff(_ key: String) throws -> Double? {
        guard let value = value(key) else { return nil }
        guard let number = value.doubleValue else { throw wrong(key, "a number from 0 to 1") }
        return number > 0 && number < 1 ? number : nil
    }

    func integer(_ key: String, from lowest: Int = .min) throws -> Int? {
        guard let value = value(key) else { return nil }
        guard let integer = value.intValue, integer >= lowest else {
            throw wrong(key, "a whole number" + (lowest == .min ? "" : " from \(lowest)"))
        }
        return integer
    }

    /// A token id or a list of them; negative ones stand for none.
    func ids(_ key: String) throws -> [Int32] {
        guard let value = value(key) else { return [] }
        return try (value.arrayValue ?? [value]).compactMap { element -> Int32? in
            guard let id = element.intValue.flatMap(Int32.init(exactly:)) else {
                throw wrong(key, "a token id or a list of them")
            }
            return id < 0 ? nil : id
        }
    }

    func texts(_ key: String) throws -> [String] {
        guard let value = value(key) else { return [] }
        return try (value.arrayValue ?? [value]).map { element in
            guard let text = element.stringValue else { throw wrong(key, "a text or a list of them") }
            return text
        }
    }

    func idLists(_ key: String) throws -> [[Int32]] {
        guard let value = value(key) else { return [] }
        guard let lists = value.arrayValue else { throw wrong(key, "a list of lists of token ids") }
        return try lists.map { try sequence($0, of: key, wanted: "a list of lists of token ids") }
    }

    private func sequence(_ value: JSONValue, of key: String, wanted: String) throws -> [Int32] {
        let ids = value.arrayValue?.map { $0.intValue.flatMap(Int32.init(exactly:)) }
        guard let ids, !ids.contains(nil) else { throw wrong(key, wanted) }
        let sequence = ids.compactMap { $0 }
        guard sequence.allSatisfy({ (0..<vocabularySize).contains(Int($0)) }) else {
            throw wrong(key, "\(wanted) below \(vocabularySize), the size of the vocabulary")
        }
        return sequence
    }

    /// `[[ids], number]` for each.
    func sequenceBiases(_ key: String) throws -> [LogitsProcessors.SequenceBias] {
        guard let value = value(key) else { return [] }
        let wanted = "a list of pairs, each a list of token ids and a number"
        guard let pairs = value.arrayValue else { throw wrong(key, wanted) }
        return try pairs.map { pair in
            guard let parts = pair.arrayValue, parts.count == 2, let bias = parts[1].doubleValue else {
                throw wrong(key, wanted)
            }
            return .init(ids: try sequence(parts[0], of: key, wanted: wanted), bias: Float(bias))
        }
    }

    func lengthDecay(_ key: String) throws -> LogitsProcessors.LengthDecay? {
        guard let value = value(key) else { return nil }
        guard let parts = value.arrayValue, parts.count == 2, let start = parts[0].intValue,
            let factor = parts[1].doubleValue
        else { throw wrong(key, "a list of a number of tokens and a factor") }
        return .init(start: start, factor: factor)
    }

    // MARK: - What is left

    /// A line for each key that asks for something that is not done.
    ///
    /// - Parameter isOfModel: Whether the keys stand among those of a model (`config.json`): then those that are not
    ///   known are another's.
    func notices(isOfModel: Bool) -> [String] {
        var unknown: [String] = []
        var lines: [String] = []
        for (key, value) in object where !value.isNull && !Self.used.contains(key) && !Self.harmless.contains(key) {
            // Beside them lengths are those that older versions wrote into every model, and no wish.
            if isOfModel, Self.given[key] == nil, Self.unsupported[key] == nil { continue }
            if key == "max_length" {
                lines.append(
                    "\(place): max_length \(value.serialized()) does not bound the answers, as in ms-swift; "
                        + "--max_new_tokens does.")
            } else if let option = Self.given[key] {
                if value != 1 {
                    lines.append(
                        "\(place): \(key) \(value.serialized()) does not count, as in ms-swift; --\(option) does.")
                }
            } else if let idle = Self.unsupported[key] {
                if !idle.contains(value) {
                    lines.append(
                        "\(place): \(key) \(value.serialized().prefix(80)) is not there yet; answers are made without it."
                    )
                }
            } else {
                unknown.append(key)
            }
        }
        if !unknown.isEmpty {
            lines.append("\(place): not understood and left out: \(unknown.sorted().joined(separator: ", ")).")
        }
        return lines
    }

    private static let used: Set<String> = [
        "eos_token_id", "stop_strings", "do_sample", "max_new_tokens", "temperature", "top_k", "top_p", "min_p",
        "top_h",
        "typical_p", "epsilon_cutoff", "eta_cutoff", "sequence_bias", "encoder_repetition_penalty",
        "repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "min_length",
        "min_new_tokens", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
        "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "early_stopping",
        "length_penalty", "renormalize_logits",
    ]

    /// Keys of `transformers` that change no token of a decoder's one answer.
    private static let harmless: Set<String> = [
        // How, not what is computed.
        "use_cache", "cache_implementation", "cache_config", "max_cache_len", "compile_config", "disable_compile",
        "continuous_batching_config", "low_memory", "prefill_chunk_size",
        // What a function returns beside the answer.
        "output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate",
        // Guesses that a model of its own or the prompt makes, and the model checks.
        "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold",
        "prompt_lookup_num_tokens", "max_matching_ngram_size", "assistant_early_exit", "assistant_lookbehind",
        "target_lookbehind", "assistant_ensemble_weight", "speculation_type", "use_mtp",
        "pad_token_id", "bos_token_id", "decoder_start_token_id",
        "transformers_version", "_from_model_config", "_commit_hash", "auto_map",
    ]

    /// Keys for which an option stands.
    private static let given = ["num_beams": "num_beams", "num_return_sequences": "num_return_sequences"]

    /// Keys that change answers, with the values that ask for nothing.
    private static let unsupported: [String: [JSONValue]] = [
        "num_beam_groups": [1], "diversity_penalty": [0, 0.0], "penalty_alpha": [0, 0.0],
        "dola_layers": [], "constraints": [[]], "force_words_ids": [[]], "guidance_scale": [1, 1.0],
        "watermarking_config": [], "token_healing": [false], "max_time": [],
    ]
}
