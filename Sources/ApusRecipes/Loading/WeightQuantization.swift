import ApusJSON
import ApusWeights
import Foundation

/// A `config.json` that says its weights are quantised in a way that is not read.
struct WeightQuantization: Equatable {
    /// Such as `GPTQ, 4 bits`.
    let method: String

    private static let names = [
        "gptq": "GPTQ", "awq": "AWQ", "fbgemm_fp8": "FP8 (FBGEMM)",
        "compressed-tensors": "compressed-tensors", "mxfp4": "MXFP4", "bitnet": "BitNet", "torchao": "torchao",
        "quanto": "Quanto", "hqq": "HQQ", "eetq": "EETQ", "aqlm": "AQLM", "higgs": "HIGGS", "vptq": "VPTQ",
        "spqr": "SpQR",
        "quark": "Quark", "auto-round": "AutoRound", "intel/auto-round": "AutoRound", "modelopt": "ModelOpt",
    ]

    /// Nil for weights in full precision, or quantised by bitsandbytes.
    ///
    /// - Parameter folder: Of the model; older programs wrote a file of their own beside `config.json`.
    init?(_ config: JSONValue, folder: String) {
        guard let method = Self.method(config, folder: folder) else { return nil }
        self.method = method
    }

    private static func method(_ config: JSONValue, folder: String) -> String? {
        if let described = config["quantization_config"] ?? config["compression_config"], !described.isNull {
            return method(described)
        }
        if let described = config["quantization"], described["bits"] != nil || described["group_size"] != nil {
            return "MLX" + bits(described)
        }
        if FileManager.default.fileExists(atPath: "\(folder)/quantize_config.json") { return "GPTQ" }
        return FileManager.default.fileExists(atPath: "\(folder)/quant_config.json") ? "AWQ" : nil
    }

    private static func method(_ described: JSONValue) -> String? {
        let isFour = described["load_in_4bit"]?.boolValue ?? described["_load_in_4bit"]?.boolValue ?? false
        let isEight = described["load_in_8bit"]?.boolValue ?? described["_load_in_8bit"]?.boolValue ?? false
        guard let name = described["quant_method"]?.stringValue else {
            if isFour || isEight { return nil }
            if described["bits"] != nil || described["group_size"] != nil { return "MLX" + bits(described) }
            return described["config_groups"] != nil || described["format"] != nil ? "compressed-tensors" : nil
        }
        // The settings of a load that did not quantise are saved too; weights of four and eight bits are read.
        if name == "bitsandbytes" { return nil }
        return (names[name.lowercased()] ?? "\"\(name)\"") + bits(described)
    }

    /// Whether the matrices of GPT-OSS's experts are four-bit floats with scales (MXFP4), which are brought into full
    /// precision while they are read.
    static func isOfExpertsAlone(_ config: JSONValue) -> Bool {
        config["model_type"]?.stringValue == "gpt_oss"
            && config["quantization_config"]?["quant_method"]?.stringValue?.lowercased() == "mxfp4"
    }

    private static func bits(_ described: JSONValue) -> String {
        (described["bits"] ?? described["w_bit"])?.intValue.map { ", \($0) bits" } ?? ""
    }

    /// What is said of it, with the name of the model without it where that can be read off.
    func text(path: String, name: String) -> String {
        let plain = Self.unquantised(name)
        return "\(path)/config.json: the weights are quantised (\(method)), which is not read. Give the model in its "
            + "original precision\(plain.map { ", such as \($0)" } ?? " (bfloat16, float16 or float32)")"
            + ", or a GGUF file of it."
    }

    /// `Qwen/Qwen2.5-7B` for `Qwen/Qwen2.5-7B-GPTQ-Int4`.
    static func unquantised(_ name: String) -> String? {
        let words = "(gptq|awq|fp8|int4|int8|bnb|4bit|8bit|mlx|nf4|w4a16|w8a8|quantized|dynamic|unsloth|marlin)"
        let suffix = "([-_.]\(words))+([-_.]?(4|8)[-_]?bits?)?$"
        guard let range = name.range(of: suffix, options: [.regularExpression, .caseInsensitive]), name.contains("/"),
            !name.hasPrefix("/"), !name.hasPrefix(".")
        else { return nil }
        return String(name[..<range.lowerBound])
    }
}

/// A `config.json` that says its matrices are eight-bit floats with scales, which are brought into full precision while
/// they are read.
struct EightBitWeights: Equatable {
    /// Rows and columns that share a scale; nil where a matrix has one, or the scales themselves show it.
    let block: [Int]?

    /// Nil for all other weights.
    init?(_ config: JSONValue) {
        guard let described = config["quantization_config"],
            ["fp8", "finegrained_fp8"].contains(described["quant_method"]?.stringValue?.lowercased())
        else { return nil }
        let sizes = described["weight_block_size"]?.arrayValue?.compactMap(\.intValue)
        block = sizes?.count == 2 ? sizes : nil
    }
}

extension JSONValue {
    /// An object without one of its keys.
    func without(_ key: String) -> JSONValue {
        guard var object = objectValue else { return self }
        object[key] = nil
        return .object(object)
    }
}
