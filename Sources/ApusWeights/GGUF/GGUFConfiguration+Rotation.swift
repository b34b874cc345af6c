import ApusJSON
import Foundation

extension GGUFConfiguration {
    /// How positions turn queries and keys.
    mutating func readRotation(_ names: GGUFArchitecture.Hyperparameters, headDim: Int) throws {
        let theta = try value("rope.freq_base", \.doubleValue) ?? 10_000
        json["rope_theta"] = .double(theta)
        if let base = names.windowBase {
            json[base.config] = .double(try value("rope.freq_base_swa", \.doubleValue) ?? base.standard)
        }
        try readScaling()
        if let share = names.rotatedShare {
            let rotated = try rotatedSize(headDim: headDim)
            json[share.config] = .double(Double(rotated) / Double(headDim))
        }
        if let length = names.firstLength { try readPartsAndLongTexts(headDim: headDim, firstLength: length) }
        if let scaling = try Llama3Scaling(file, theta: theta, headDim: headDim) {
            guard json["rope_scaling"] == nil else {
                throw WeightsError(file.path, item: "rope_freqs.weight", "scales RoPE that the metadata scales too")
            }
            json["rope_scaling"] = scaling.json
        }
    }

    private mutating func readScaling() throws {
        let type = try value("rope.scaling.type", \.stringValue)
        let factor = try value("rope.scaling.factor", \.doubleValue) ?? value("rope.scale_linear", \.doubleValue) ?? 1
        let originalContext = try value("rope.scaling.original_context_length", \.intValue)
        _ = try value("rope.scaling.finetuned", \.boolValue)
        switch type ?? (factor == 1 ? "none" : "linear") {
        case "none": break
        case "linear": json["rope_scaling"] = ["rope_type": "linear", "factor": .double(factor)]
        case "yarn":
            var scaling: JSONObject = ["rope_type": "yarn", "factor": .double(factor)]
            scaling["original_max_position_embeddings"] = originalContext.map(JSONValue.int)
            scaling["beta_fast"] = try value("rope.scaling.yarn_beta_fast", \.doubleValue).map(JSONValue.double)
            scaling["beta_slow"] = try value("rope.scaling.yarn_beta_slow", \.doubleValue).map(JSONValue.double)
            // A tenth of what scales attention where positions are stretched.
            if let magnitude = try value("rope.scaling.yarn_log_multiplier", \.doubleValue) {
                let all = (magnitude * 1e7).rounded() / 1e6
                (scaling["mscale"], scaling["mscale_all_dim"]) = (.double(all), .double(all))
            }
            json["rope_scaling"] = .object(scaling)
        case let other:
            throw WeightsError(
                file.path, item: prefix + "rope.scaling.type",
                "RoPE scaling \(WeightsError.printable(other)) is not supported")
        }
    }

    /// How many elements of each head turn.
    private mutating func rotatedSize(headDim: Int) throws -> Int {
        let rotated = try value("rope.dimension_count", \.intValue) ?? headDim
        guard rotated > 0, rotated % 2 == 0, rotated <= headDim else {
            throw WeightsError(
                file.path, item: prefix + "rope.dimension_count",
                "\(rotated) of the \(headDim) elements of a head turn")
        }
        return rotated
    }

    /// The part of each head that turns, and the frequencies of long texts.
    private mutating func readPartsAndLongTexts(headDim: Int, firstLength: Int) throws {
        let rotated = try rotatedSize(headDim: headDim)
        if rotated != headDim { json["partial_rotary_factor"] = .double(Double(rotated) / Double(headDim)) }
        let original = try optionalCount("rope.scaling.original_context_length") ?? firstLength
        json["original_max_position_embeddings"] = .int(original)
        let attention = try value("rope.scaling.attn_factor", \.doubleValue)
        let names = GGUFArchitecture.longFactors
        guard file[names.long] != nil || file[names.short] != nil else { return }
        guard json["rope_scaling"] == nil else {
            throw WeightsError(file.path, item: names.long, "scales RoPE that the metadata scales too")
        }
        func factors(_ name: String) throws -> JSONValue {
            let factors = try file.dequantized(name)
            guard factors.count == rotated / 2 else {
                throw WeightsError(
                    file.path, item: name, "holds \(factors.count) divisors for \(rotated / 2) pairs that turn",
                    advice: WeightsError.downloadAgain)
            }
            return .array(factors.map { .double(Double($0)) })
        }
        var scaling: JSONObject = [
            "rope_type": "longrope", "short_factor": try factors(names.short), "long_factor": try factors(names.long),
        ]
        // It follows from the lengths, as a rule; configurations that say it are refused by older libraries.
        let usual = LongTexts.attentionFactor(
            context: json["max_position_embeddings"]?.intValue ?? original, original: original)
        if let attention, abs(attention / usual - 1) > 1e-5 { scaling["attention_factor"] = .double(attention) }
        json["rope_scaling"] = .object(scaling)
    }
}

/// LongRoPE, whose tables are divided one way in texts within a model's first length and another beyond it
/// (https://arxiv.org/abs/2402.13753).
enum LongTexts {
    /// √(1 + ln s / ln L), by which sines and cosines are multiplied, for a model stretched s times beyond L.
    static func attentionFactor(context: Int, original: Int) -> Double {
        let stretch = Double(context) / Double(max(1, original))
        return stretch > 1 && original > 1 ? (1 + log(stretch) / log(Double(original))).squareRoot() : 1
    }
}
