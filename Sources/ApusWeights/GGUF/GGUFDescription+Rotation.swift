import ApusJSON

extension GGUFDescription {
    /// How positions turn queries and keys.
    mutating func addRotation() throws {
        func table(_ key: String) -> JSONValue? { config[key]?.objectValue.flatMap { $0.isEmpty ? nil : .object($0) } }
        let whole = table("rope_scaling") ?? table("rope_parameters") ?? .null
        let names = architecture.hyperparameters
        let kind = names.windowBase == nil ? nil : whole["full_attention"]
        let scaling = kind ?? whole
        let base =
            scaling["rope_theta"]?.doubleValue ?? config["rope_theta"]?.doubleValue
            ?? names.olderBase.flatMap { config[$0]?.doubleValue } ?? names.rotaryBase
        let said =
            config["original_max_position_embeddings"]?.intValue
            ?? scaling["original_max_position_embeddings"]?.intValue
        let original = said ?? names.firstLength
        let rotated = try rotatedSize(scaling)
        try addScaling(scaling, base: base, original: original, rotated: rotated)
        if names.firstLength != nil, let original {
            add("rope.scaling.original_context_length", .uint32(UInt32(clamping: original)))
            add("rope.dimension_count", .uint32(UInt32(clamping: rotated)))
        }
        if names.rotatedShare != nil { add("rope.dimension_count", .uint32(UInt32(clamping: rotated))) }
        add("rope.freq_base", .float32(Float(base)))
        if let window = names.windowBase {
            let own = config["rope_parameters"]?["sliding_attention"] ?? .null
            guard ["default", nil].contains(own["rope_type"]?.stringValue) else {
                throw unsayable("rope_parameters", own)
            }
            let base = own["rope_theta"]?.doubleValue ?? config[window.config]?.doubleValue ?? window.standard
            add("rope.freq_base_swa", .float32(Float(base)))
        }
    }

    private func rotatedSize(_ scaling: JSONValue) throws -> Int {
        let names = architecture.hyperparameters
        guard
            let share = scaling["partial_rotary_factor"]?.doubleValue ?? config["partial_rotary_factor"]?.doubleValue
                ?? names.rotatedShare.map({ config[$0.config]?.doubleValue ?? $0.standard })
        else { return sizes.headSize }
        guard share == 1 || names.firstLength != nil || names.rotatedShare != nil, share > 0, share <= 1 else {
            throw unsayable("partial_rotary_factor", .double(share))
        }
        return Int(Double(sizes.headSize) * share)
    }

    private mutating func addScaling(_ scaling: JSONValue, base: Double, original: Int?, rotated: Int) throws {
        func failure(_ problem: String) -> WeightsError {
            WeightsError(path, item: "rope_scaling", problem, advice: "export the model as safetensors")
        }
        func number(_ key: String) throws -> Double {
            guard let number = scaling[key]?.doubleValue, number.isFinite else {
                throw failure("the scaling of config.json does not say \(key)")
            }
            return number
        }
        let type = scaling["rope_type"]?.stringValue ?? scaling["type"]?.stringValue ?? "default"
        let hasOwnFactors = architecture.hyperparameters.firstLength != nil
        if hasOwnFactors, scaling["short_factor"]?.isNull == false {
            func factors(_ key: String) throws -> [Float] {
                let factors = scaling[key]?.arrayValue?.compactMap { $0.doubleValue.map { Float($0) } } ?? []
                guard factors.count == rotated / 2 else {
                    throw failure("\(key) has \(factors.count) numbers for \(rotated / 2) pairs that turn")
                }
                return factors
            }
            let names = GGUFArchitecture.longFactors
            frequencyDivisors = [
                (names.long, try factors("long_factor")), (names.short, try factors("short_factor")),
            ]
            let usual = LongTexts.attentionFactor(context: context, original: original ?? context)
            let attention = scaling["attention_factor"]?.doubleValue ?? usual
            add("rope.scaling.attn_factor", .float32(Float(attention)))
            return
        }
        switch type {
        case "default": break
        case "linear":
            add("rope.scaling.type", .string("linear"))
            add("rope.scaling.factor", .float32(Float(try number("factor"))))
        case "yarn" where !hasOwnFactors:
            for key in ["attention_factor", "mscale", "mscale_all_dim"] where scaling[key]?.isNull == false {
                throw failure("yarn with \(key) cannot be said in a GGUF file")
            }
            guard scaling["truncate"]?.boolValue != false else {
                throw failure("yarn without truncation cannot be said in a GGUF file")
            }
            let factor =
                scaling["factor"]?.isNull == false
                ? try number("factor") : Double(context) / Double(max(1, original ?? context))
            add("rope.scaling.type", .string("yarn"))
            add("rope.scaling.factor", .float32(Float(factor)))
            add("rope.scaling.original_context_length", .uint32(UInt32(clamping: original ?? context)))
            for key in ["beta_fast", "beta_slow"] where scaling[key]?.isNull == false {
                add("rope.scaling.yarn_\(key)", .float32(Float(try number(key))))
            }
        case "llama3" where !hasOwnFactors && rotated == sizes.headSize:
            let scaling = Llama3Scaling(
                factor: try number("factor"), lowFrequencyFactor: try number("low_freq_factor"),
                highFrequencyFactor: try number("high_freq_factor"), originalContext: original ?? context)
            let divisors = (0..<sizes.headSize / 2).map {
                Float(scaling.divisor(pair: $0, theta: base, headDim: sizes.headSize))
            }
            frequencyDivisors = [("rope_freqs.weight", divisors)]
        case let other:
            throw failure("RoPE scaling of type \(WeightsError.printable(other)) cannot be said in a GGUF file")
        }
    }
}
