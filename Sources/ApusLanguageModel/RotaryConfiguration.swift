import ApusJSON
package import ApusNN

/// The rotary part of a `config.json`, in the spellings of `transformers` 4 and 5.
///
/// They are `rope_theta` with `rope_scaling`, and `rope_parameters`. Where both stand, `rope_scaling` counts, as in
/// `transformers` 5: it is what users add. Where kinds of layers turn by tables of their own, `rope_parameters` holds
/// one such object under the name of each kind, in which keys of `rope_scaling` take the place of those it has.
package struct RotaryConfiguration {
    /// - Parameters:
    ///   - defaultBase: What a missing `rope_theta` means.
    ///   - defaultShare: What a missing `partial_rotary_factor` means; nil where heads are always rotated whole, and
    ///     another share is refused.
    ///   - layerKind: The kind of layers that the table is of, such as `full_attention`; nil where all share one.
    ///   - isOfKindAlone: Whether `rope_scaling` and `rope_theta` speak of other kinds of layers.
    /// - Returns: The embedding, and the longest text that it is made for.
    /// - Throws: `ModelError` naming a scaling type that is not known or a field that is missing.
    package static func embedding(
        config: ModelConfig, headSize: Int, maximumLength: Int, defaultBase: Double = 10_000,
        defaultShare: Double? = nil, pairing: RotaryEmbedding.Pairing = .halves, layerKind: String? = nil,
        isOfKindAlone: Bool = false
    ) throws -> (rotary: RotaryEmbedding, maximumLength: Int) {
        let scaling = try table(config, layerKind, isOfKindAlone: isOfKindAlone) ?? ModelConfig(.object([:]))
        let name = try name(scaling)
        // Names that the first Phi-3 had for it.
        let kind = name == "su" || name == "yarn" && scaling["short_factor"] != nil ? "longrope" : name
        // Each is asked for in both places, so that the one which does not count is not called unknown.
        let (ownBase, outerBase) = (try scaling.number("rope_theta"), try config.number("rope_theta"))
        let base = ownBase ?? (isOfKindAlone ? nil : outerBase) ?? defaultBase
        guard base > 1, base.isFinite else { throw ModelError("config.json: rope_theta is \(base); it must exceed 1") }
        let (ownShare, outerShare) = (
            try scaling.number("partial_rotary_factor"), try config.number("partial_rotary_factor")
        )
        let size = try rotatedSize(headSize, share: ownShare ?? outerShare, default: defaultShare)

        func number(_ key: String) throws -> Double {
            guard let value = try scaling.number(key) else {
                throw ModelError("config.json: rope scaling of type \"\(kind)\" needs the number \"\(key)\"")
            }
            return value
        }
        let outerOriginal = try config.integer("original_max_position_embeddings")
        let ownOriginal =
            ["llama3", "longrope", "yarn"].contains(kind)
            ? try scaling.integer("original_max_position_embeddings") : nil
        let original = outerOriginal ?? ownOriginal ?? maximumLength
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
            let factor = try scaling.number("factor") ?? Double(maximumLength) / Double(max(original, 1))
            form = try .yarn(yarn(scaling, factor: factor, original: original))
            length = stretched(original, by: factor)
        default:
            throw ModelError(
                "config.json: rope scaling of type \"\(kind)\" is not known; known are default, linear, dynamic, llama3, "
                    + "yarn, longrope")
        }
        return (RotaryEmbedding(size: size, base: base, scaling: form, pairing: pairing), length)
    }

    /// What a table calls the way in which positions are stretched.
    package static func name(_ table: ModelConfig) throws -> String {
        let (name, older) = (try table.text("rope_type"), try table.text("type"))
        return name ?? older ?? "default"
    }

    /// Keys of published tables that change nothing that is computed here: the axes of pictures, of which texts have
    /// one, and how the model came about.
    private static let withoutEffect = ["finetuned", "mrope_interleaved", "mrope_section"]

    /// The object that says how positions are stretched; nil where there is none.
    package static func table(
        _ config: ModelConfig, _ layerKind: String? = nil, isOfKindAlone: Bool = false
    ) throws -> ModelConfig? {
        func table(_ key: String) throws -> ModelConfig? {
            try config.part(key).flatMap { $0.json.objectValue?.isEmpty == false ? $0 : nil }
        }
        let (added, own) = (try table("rope_scaling"), try table("rope_parameters"))
        if let layerKind, let added, added.json[layerKind]?.objectValue != nil {
            let table = try added.part(layerKind)
            for key in withoutEffect { _ = table?[key] }
            return table
        }
        if let layerKind, let own, let kind = own.json[layerKind]?.objectValue {
            // A kind of layers that its own table speaks of, and `rope_scaling` beside it.
            let table = try own.part(layerKind) ?? own
            for key in withoutEffect { _ = table[key] }
            guard let added, !isOfKindAlone else { return table }
            var both = kind
            for key in added.json.objectValue?.keys ?? [] { both[key] = added.json[key] }
            return config.part("rope_scaling", of: layerKind, both)
        }
        if let added, let own {
            // What both say, the first says; the rest of the second is named as left out.
            for key in ["rope_type", "type"] + (added.json.objectValue?.keys ?? []) { _ = own[key] }
        }
        guard let found = added ?? own else { return nil }
        for key in withoutEffect { _ = found[key] }
        let kinds = found.json.objectValue?.keys.filter { found.json[$0]?.objectValue != nil } ?? []
        guard kinds.isEmpty else {
            throw ModelError(
                "config.json: the rotary embeddings are given by kinds of layers (\(kinds.joined(separator: ", "))), "
                    + (layerKind.map { "and \"\($0)\" is not among them" }
                        ?? "but all layers of this architecture share one"))
        }
        return found
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
        _ scaling: ModelConfig, count: Int, original: Int, maximumLength: Int
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
            factor: try scaling.number("factor") ?? Double(maximumLength) / Double(max(original, 1)),
            attentionFactor: try scaling.number("attention_factor"))
    }

    private static func yarn(
        _ scaling: ModelConfig, factor: Double, original: Int
    ) throws -> RotaryEmbedding.YaRN {
        var magnitude = try scaling.number("attention_factor")
        let (one, all) = (try scaling.number("mscale"), try scaling.number("mscale_all_dim"))
        if magnitude == nil, let one, let all, one != 0, all != 0 {
            magnitude = RotaryEmbedding.yarnMagnitude(factor, one) / RotaryEmbedding.yarnMagnitude(factor, all)
        }
        return RotaryEmbedding.YaRN(
            factor: factor, originalLength: original, betaFast: try scaling.number("beta_fast") ?? 32,
            betaSlow: try scaling.number("beta_slow") ?? 1, attentionFactor: magnitude,
            truncates: try scaling.flag("truncate") ?? true)
    }
}
