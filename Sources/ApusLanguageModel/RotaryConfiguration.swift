package import ApusJSON
package import ApusNN

/// The rotary part of a `config.json`, in the spellings of `transformers` 4 and 5.
///
/// They are `rope_theta` with `rope_scaling`, and `rope_parameters`. Where both stand, `rope_scaling` counts, as in
/// `transformers` 5: it is what users add. Where kinds of layers turn by tables of their own, `rope_parameters` holds
/// one such object under the name of each kind.
package struct RotaryConfiguration {
    /// - Parameters:
    ///   - defaultBase: What a missing `rope_theta` means.
    ///   - defaultShare: What a missing `partial_rotary_factor` means; nil where heads are always rotated whole, and
    ///     another share is refused.
    ///   - layerKind: The kind of layers that the table is of, such as `full_attention`; nil where all share one.
    /// - Returns: The embedding, and the longest text that it is made for.
    /// - Throws: `ModelError` naming a scaling type that is not known or a field that is missing.
    package static func embedding(
        config: ModelConfig, headSize: Int, maximumLength: Int, defaultBase: Double = 10_000,
        defaultShare: Double? = nil, pairing: RotaryEmbedding.Pairing = .halves, layerKind: String? = nil
    ) throws -> (rotary: RotaryEmbedding, maximumLength: Int) {
        let scaling = try table(config, layerKind)
        // What `rope_scaling` does not say, `rope_parameters` beside it is not asked: so says `transformers`.
        let base = try scaling["rope_theta"]?.doubleValue ?? config.number("rope_theta") ?? defaultBase
        let name = scaling["rope_type"]?.stringValue ?? scaling["type"]?.stringValue ?? "default"
        // Names that the first Phi-3 had for it.
        let kind = name == "su" || name == "yarn" && scaling["short_factor"] != nil ? "longrope" : name
        guard base > 1, base.isFinite else { throw ModelError("config.json: rope_theta is \(base); it must exceed 1") }
        let size = try rotatedSize(
            headSize, share: scaling["partial_rotary_factor"]?.doubleValue ?? config.number("partial_rotary_factor"),
            default: defaultShare)

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
        case "longrope":
            form = .longRoPE(
                try longRoPE(scaling, count: size / 2, original: original, maximumLength: maximumLength))
        case "yarn":
            // Without a factor it is how much longer the model's texts are than those it was first made for.
            let factor =
                scaling["factor"]?.isNull == false
                ? try number("factor") : Double(maximumLength) / Double(max(original, 1))
            form = .yarn(yarn(scaling, factor: factor, original: original))
            length = stretched(original, by: factor)
        default:
            throw ModelError(
                "config.json: rope scaling of type \"\(kind)\" is not known; known are default, linear, dynamic, llama3, "
                    + "yarn, longrope")
        }
        return (RotaryEmbedding(size: size, base: base, scaling: form, pairing: pairing), length)
    }

    /// The object that says how positions are stretched; null where there is none.
    package static func table(_ config: ModelConfig, _ layerKind: String? = nil) throws -> JSONValue {
        func table(_ key: String) -> JSONValue? {
            config[key]?.objectValue.flatMap { $0.isEmpty ? nil : JSONValue.object($0) }
        }
        let (added, own) = (table("rope_scaling"), table("rope_parameters"))
        let found = added ?? own ?? .null
        let kinds = found.objectValue?.keys.filter { found[$0]?.objectValue != nil } ?? []
        if kinds.isEmpty { return found }
        guard let layerKind, let own = found[layerKind], own.objectValue != nil else {
            throw ModelError(
                "config.json: the rotary embeddings are given by kinds of layers (\(kinds.joined(separator: ", "))), "
                    + (layerKind.map { "and \"\($0)\" is not among them" }
                        ?? "but all layers of this architecture share one"))
        }
        return own
    }

    /// The elements of a head that turn.
    private static func rotatedSize(_ headSize: Int, share: Double?, default defaultShare: Double?) throws -> Int {
        let share = share ?? defaultShare ?? 1
        guard share == 1 || defaultShare != nil else {
            throw ModelError("config.json: partial_rotary_factor \(share) is not there for this architecture")
        }
        guard share > 0, share <= 1 else {
            throw ModelError("config.json: partial_rotary_factor is \(share); it must be in (0, 1]")
        }
        let size = Int(Double(headSize) * share)
        guard size > 0, size % 2 == 0 else {
            throw ModelError(
                "config.json: \(size) elements of each head of \(headSize) turn; rotary embeddings need an even number")
        }
        return size
    }

    private static func longRoPE(
        _ scaling: JSONValue, count: Int, original: Int, maximumLength: Int
    ) throws -> RotaryEmbedding.LongRoPE {
        guard (2...1 << 31).contains(original) else {
            throw ModelError("config.json: original_max_position_embeddings is \(original); longrope needs more than 1")
        }
        func factors(_ key: String) throws -> [Double] {
            let values = scaling[key]?.arrayValue?.compactMap(\.doubleValue) ?? []
            guard values.count == count, values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
                throw ModelError(
                    "config.json: rope scaling of type longrope needs \"\(key)\" with \(count) positive numbers, one for "
                        + "each pair that turns")
            }
            return values
        }
        return RotaryEmbedding.LongRoPE(
            short: try factors("short_factor"), long: try factors("long_factor"), originalLength: original,
            factor: scaling["factor"]?.doubleValue ?? Double(maximumLength) / Double(max(original, 1)),
            attentionFactor: scaling["attention_factor"]?.doubleValue)
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
