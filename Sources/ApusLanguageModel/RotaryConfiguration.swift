package import ApusJSON
package import ApusNN

/// The rotary part of a `config.json`, in the spellings of `transformers` 4 (`rope_theta`, `rope_scaling`) and 5
/// (`rope_parameters`).
package struct RotaryConfiguration {
    /// - Throws: `ModelError` naming a scaling type that is not known or a field that is missing.
    package static func embedding(
        config: JSONValue, headSize: Int, maximumLength: Int, defaultBase: Double = 10_000
    ) throws -> RotaryEmbedding {
        let parameters = config["rope_parameters"]?.objectValue.map(JSONValue.object)
        let scaling = parameters ?? config["rope_scaling"] ?? .null
        let base = parameters?["rope_theta"]?.doubleValue ?? config["rope_theta"]?.doubleValue ?? defaultBase
        let kind = scaling["rope_type"]?.stringValue ?? scaling["type"]?.stringValue ?? "default"
        guard headSize > 0, headSize % 2 == 0 else {
            throw ModelError("config.json: the head size is \(headSize); rotary embeddings need an even one")
        }
        guard base > 1, base.isFinite else { throw ModelError("config.json: rope_theta is \(base); it must exceed 1") }

        func number(_ key: String) throws -> Double {
            guard let value = scaling[key]?.doubleValue, value.isFinite else {
                throw ModelError("config.json: rope scaling of type \"\(kind)\" needs the number \"\(key)\"")
            }
            return value
        }
        let original =
            scaling["original_max_position_embeddings"]?.intValue
            ?? config["original_max_position_embeddings"]?.intValue ?? maximumLength
        let form: RotaryEmbedding.Scaling
        switch kind {
        case "default": form = .none
        case "linear": form = .linear(factor: try number("factor"))
        case "dynamic": form = .dynamic(factor: try number("factor"), originalLength: maximumLength)
        case "llama3":
            form = .llama3(
                factor: try number("factor"), low: try number("low_freq_factor"),
                high: try number("high_freq_factor"), originalLength: original)
        case "yarn": form = .yarn(try yarn(scaling, factor: number("factor"), original: original))
        default:
            throw ModelError(
                "config.json: rope scaling of type \"\(kind)\" is not known; known are default, linear, dynamic, llama3, yarn"
            )
        }
        return RotaryEmbedding(size: headSize, base: base, scaling: form)
    }

    private static func yarn(_ scaling: JSONValue, factor: Double, original: Int) throws -> RotaryEmbedding.YaRN {
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
