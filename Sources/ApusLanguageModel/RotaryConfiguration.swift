import ApusJSON
package import ApusNN

/// The rotary part of a `config.json`, in the spellings of `transformers` 4 and 5.
///
/// They are `rope_theta` with `rope_scaling`, and `rope_parameters`. Where both stand, `rope_scaling` counts, as in
/// `transformers` 5: it is what users add.
package struct RotaryConfiguration {
    /// - Returns: The embedding, and the longest text that it is made for.
    /// - Throws: `ModelError` naming a scaling type that is not known or a field that is missing.
    package static func embedding(
        config: ModelConfig, headSize: Int, maximumLength: Int, defaultBase: Double = 10_000
    ) throws -> (rotary: RotaryEmbedding, maximumLength: Int) {
        func table(_ key: String) -> JSONValue? {
            config[key]?.objectValue.flatMap { $0.isEmpty ? nil : JSONValue.object($0) }
        }
        let (added, own) = (table("rope_scaling"), table("rope_parameters"))
        let scaling = added ?? own ?? .null
        // What `rope_scaling` does not say, `rope_parameters` beside it is not asked: so says `transformers`.
        let base = try scaling["rope_theta"]?.doubleValue ?? config.number("rope_theta") ?? defaultBase
        let kind = scaling["rope_type"]?.stringValue ?? scaling["type"]?.stringValue ?? "default"
        guard headSize > 0, headSize % 2 == 0 else {
            throw ModelError("config.json: the head size is \(headSize); rotary embeddings need an even one")
        }
        guard base > 1, base.isFinite else { throw ModelError("config.json: rope_theta is \(base); it must exceed 1") }
        if let share = try scaling["partial_rotary_factor"]?.doubleValue ?? config.number("partial_rotary_factor"),
            share != 1
        {
            throw ModelError("config.json: partial_rotary_factor \(share) is not there yet for this architecture")
        }

        func number(_ key: String) throws -> Double {
            guard let value = scaling[key]?.doubleValue, value.isFinite else {
                throw ModelError("config.json: rope scaling of type \"\(kind)\" needs the number \"\(key)\"")
            }
            return value
        }
        let original =
            try config.integer("original_max_position_embeddings")
            ?? scaling["original_max_position_embeddings"]?.intValue ?? maximumLength
        func stretched(_ length: Int, by factor: Double) -> Int {
            max(maximumLength, Int(min(Double(length) * max(factor, 1), 1e9)))
        }
        let form: RotaryEmbedding.Scaling
        var length = maximumLength
        switch kind {
        case "default": form = .none
        case "linear":
            let factor = try number("factor")
            form = .linear(factor: factor)
            length = stretched(maximumLength, by: factor)
        case "dynamic":
            let factor = try number("factor")
            form = .dynamic(factor: factor, originalLength: maximumLength)
            length = stretched(maximumLength, by: factor)
        case "llama3":
            let factor = try number("factor")
            form = .llama3(
                factor: factor, low: try number("low_freq_factor"), high: try number("high_freq_factor"),
                originalLength: original)
            length = stretched(original, by: factor)
        case "yarn":
            // Without a factor it is how much longer the model's texts are than those it was first made for.
            let factor =
                scaling["factor"]?.isNull == false
                ? try number("factor") : Double(maximumLength) / Double(max(original, 1))
            form = .yarn(yarn(scaling, factor: factor, original: original))
            length = stretched(original, by: factor)
        default:
            throw ModelError(
                "config.json: rope scaling of type \"\(kind)\" is not known; known are default, linear, dynamic, llama3, yarn"
            )
        }
        return (RotaryEmbedding(size: headSize, base: base, scaling: form), length)
    }

    private static func yarn(_ scaling: JSONValue, factor: Double, original: Int) -> RotaryEmbedding.YaRN {
        var magnitude = scaling["attention_factor"]?.doubleValue
        if magnitude == nil, let m = scaling["mscale"]?.doubleValue, let all = scaling["mscale_all_dim"]?.doubleValue,
            m != 0, all != 0
        {
            magnitude = RotaryEmbedding.yarnMagnitude(factor, m) / RotaryEmbedding.yarnMagnitude(factor, all)
        }
        return RotaryEmbedding.YaRN(
            factor: factor, originalLength: original, betaFast: scaling["beta_fast"]?.doubleValue ?? 32,
            betaSlow: scaling["beta_slow"]?.doubleValue ?? 1, attentionFactor: magnitude,
            truncates: scaling["truncate"]?.boolValue ?? true)
    }
}
