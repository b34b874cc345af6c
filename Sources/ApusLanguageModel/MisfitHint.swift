/// What the names of tensors that do not fit a model show about why.
///
/// A list of missing and of unexpected names says what is wrong and not what to do; a few kinds of misfit say more.
struct MisfitHint {
    /// A sentence or two for the person.
    let text: String

    /// - Parameters:
    ///   - faults: As a loader lists them, `missing: NAME` by the model's names and `not part of the model: NAME` by the
    ///     file's, or `NAME has the shape [N, D], …`.
    ///   - held: The names that the file holds, by either.
    init(faults: [String], held: Set<String>) {
        func named(_ kind: String) -> [String] {
            faults.compactMap { $0.hasPrefix(kind) ? String($0.dropFirst(kind.count)) : nil }
        }
        let (missing, unexpected) = (named("missing: "), named("not part of the model: "))
        // What has another shape does not come of a name.
        let isOfNames = missing.count + unexpected.count == faults.count
        let shown =
            isOfNames
            ? Self.adapters(unexpected) ?? Self.quantised(unexpected) ?? Self.biases(unexpected, held)
                ?? Self.missingBiases(missing, held)
                ?? Self.layers(missing: missing, unexpected: unexpected, held) : Self.labels(faults)
        text = shown ?? "Check that the configuration and the weights come from the same model."
    }

    private static func shown(_ names: [String]) -> String {
        let ends = names.map { name in
            name.split(separator: ".").suffix(2).joined(separator: ".")
        }
        var seen: Set<String> = []
        let kinds = ends.filter { seen.insert($0).inserted }
        return kinds.prefix(4).joined(separator: ", ") + (kinds.count > 4 ? ", …" : "")
    }

    private static func adapters(_ unexpected: [String]) -> String? {
        if let name = unexpected.first(where: { $0.contains(".base_layer.") }) {
            return "The weights are of a model with adapters that were not merged (\(name)). Save it after "
                + "merge_and_unload() in Python, or give the adapter alone with --adapters."
        }
        guard unexpected.contains(where: { $0.contains(".lora_A.") || $0.contains(".lora_B.") }) else { return nil }
        return
            "The weights are those of a LoRA adapter. Give their folder to --adapters, and the base model to --model."
    }

    private static let marks = [
        (".qweight", "GPTQ or AWQ"), (".qzeros", "GPTQ or AWQ"),
        (".weight_scale", "FP8 or compressed-tensors"), (".weight_packed", "compressed-tensors"), (".scales", "MLX"),
    ]

    private static func quantised(_ unexpected: [String]) -> String? {
        if let name = unexpected.first(where: { $0.contains(".quant_state.") || $0.hasSuffix(".SCB") }) {
            return "The weights are quantised by bitsandbytes (\(name)), and config.json does not say so: its "
                + "\"quantization_config\" is missing. Download config.json again."
        }
        for (mark, method) in marks {
            guard let name = unexpected.first(where: { $0.contains(mark) }) else { continue }
            return "The weights are quantised (\(method): \(name)), which is not read. Give the model in its original "
                + "precision."
        }
        return nil
    }

    /// Biases beside matrices that the model has: its configuration leaves them out.
    private static func biases(_ unexpected: [String], _ held: Set<String>) -> String? {
        let biases = unexpected.filter { $0.hasSuffix(".bias") && held.contains(String($0.dropLast(4)) + "weight") }
        guard !biases.isEmpty, biases.count == unexpected.count else { return nil }
        let isAttention = biases.contains { $0.contains("_proj.") && $0.contains("attn") }
        let isMLP = biases.contains { $0.contains("mlp.") }
        let keys = (isAttention ? ["\"attention_bias\": true"] : []) + (isMLP ? ["\"mlp_bias\": true"] : [])
        return "The weights have \(biases.count) biases (\(shown(biases))) that config.json says nothing of. "
            + (keys.isEmpty
                ? "Check \"model_type\" in config.json: another family may be the one that has them."
                : "If they belong to the model, write \(keys.joined(separator: " and ")) into config.json; "
                    + "check its \"model_type\" too.")
    }

    private static func missingBiases(_ missing: [String], _ held: Set<String>) -> String? {
        let biases = missing.filter { $0.hasSuffix(".bias") && held.contains(String($0.dropLast(4)) + "weight") }
        guard !biases.isEmpty, biases.count == missing.count else { return nil }
        return "config.json describes \(biases.count) biases (\(shown(biases))) that the weights do not have. "
            + "Check \"attention_bias\", \"mlp_bias\" and \"model_type\" in config.json."
    }

    /// A classifier that was made for another number of classes.
    private static func labels(_ faults: [String]) -> String? {
        let counts = faults.compactMap { fault -> Int? in
            guard fault.hasPrefix("classifier.") || fault.hasPrefix("score."),
                let shape = fault.firstRange(of: " has the shape [")?.upperBound
            else { return nil }
            return Int(fault[shape...].prefix(while: \.isNumber))
        }
        guard counts.count == faults.count, let count = counts.first else { return nil }
        return
            "The weights have a classifier of \(count) label\(count == 1 ? "" : "s"): give --num_labels \(count), or to learn "
            + "other labels a model without a classifier."
    }

    /// The number of a layer in a name, the first number there is.
    private static func layer(_ name: String) -> Int? { name.split(separator: ".").lazy.compactMap { Int($0) }.first }

    /// Of the last layers one side has everything and the other nothing; what else is amiss has other reasons.
    private static func layers(missing: [String], unexpected: [String], _ held: Set<String>) -> String? {
        let (wanted, stored) = (missing.compactMap(layer), unexpected.compactMap(layer))
        let lastShared = held.subtracting(unexpected).compactMap(layer).max() ?? -1
        if !unexpected.isEmpty, missing.isEmpty, stored.count == unexpected.count, let first = stored.min(),
            let last = stored.max(), lastShared < first
        {
            return "The weights have layers up to \(last), config.json describes \(first): check \"num_hidden_layers\"."
        }
        if !missing.isEmpty, unexpected.isEmpty, wanted.count == missing.count, let first = wanted.min(),
            let last = wanted.max(), first > 0, lastShared < first
        {
            return
                "config.json describes \(last + 1) layers, the weights have \(first): check \"num_hidden_layers\", and "
                + "that all parts of the weights are there."
        }
        return nil
    }
}
