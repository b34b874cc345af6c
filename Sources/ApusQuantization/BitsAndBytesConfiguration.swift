package import ApusJSON
package import ApusTorch
import ApusWeights

/// The `quantization_config` of a `config.json` whose weights bitsandbytes has quantised.
package struct BitsAndBytesConfiguration: Sendable, Equatable {
    package let bits: Int
    /// The type that 4-bit layers are computed in.
    package let computeType: DType

    /// Nil for weights that are in full, or quantised by another program.
    ///
    /// - Throws: `WeightsError` for settings under which the weights are not what their bits say.
    package init?(_ config: JSONValue, path: String) throws {
        guard let described = config["quantization_config"], !described.isNull else { return nil }
        func flag(_ name: String) -> Bool {
            (described[name] ?? described["_" + name])?.boolValue ?? false
        }
        let isNamed = described["quant_method"]?.stringValue == "bitsandbytes"
        guard isNamed || described["quant_method"] == nil, flag("load_in_4bit") || flag("load_in_8bit") else {
            return nil
        }
        if described["llm_int8_has_fp16_weight"]?.boolValue == true {
            throw WeightsError(
                path, item: "llm_int8_has_fp16_weight",
                "is true, with which bitsandbytes keeps float16 weights to train",
                advice: "give the model in its original precision, with --quant_method bnb --quant_bits 8")
        }
        bits = flag("load_in_4bit") ? 4 : 8
        let compute = described["bnb_4bit_compute_dtype"]?.stringValue ?? "float32"
        guard let type = DType(rawValue: compute.replacing("torch.", with: "")), type.isFloatingPoint else {
            throw WeightsError(
                path, item: "bnb_4bit_compute_dtype", "is \"\(compute)\", wanted float32, bfloat16 or float16")
        }
        computeType = type
    }

    /// What `transformers` writes of such a model.
    package static func json(_ settings: QuantizationSettings, storage: DType, wholeModules: [String]) -> JSONValue {
        var type = FourBitType.fp4
        var isDouble = false
        if case .fourBits(let kind, _, let double) = settings.format { (type, isDouble) = (kind, double) }
        let (isFour, isEight) = (settings.bits == 4, settings.bits == 8)
        return [
            "_load_in_4bit": .bool(isFour), "_load_in_8bit": .bool(isEight),
            "bnb_4bit_compute_dtype": .string((settings.computeType ?? .float32).rawValue),
            "bnb_4bit_quant_storage": .string(storage.rawValue), "bnb_4bit_quant_type": .string(type.rawValue),
            "bnb_4bit_use_double_quant": .bool(isDouble), "llm_int8_enable_fp32_cpu_offload": false,
            "llm_int8_has_fp16_weight": false,
            "llm_int8_skip_modules": wholeModules.isEmpty ? .null : .array(wholeModules.map(JSONValue.string)),
            "llm_int8_threshold": .double(6), "load_in_4bit": .bool(isFour), "load_in_8bit": .bool(isEight),
            "quant_method": "bitsandbytes",
        ]
    }
}
