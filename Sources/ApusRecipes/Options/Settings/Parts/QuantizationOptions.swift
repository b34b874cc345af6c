import ApusQuantization
package import ApusTorch

/// The program whose way of quantising is followed.
package enum QuantizationMethod: String, Sendable, CaseIterable {
    case bitsAndBytes = "bnb"
}

extension QuantizationMethod: OptionChoice {}

/// In how many bits the matrices of a model are kept.
package struct QuantizationOptions: Sendable {
    /// Nil keeps them in full.
    package var method: QuantizationMethod?
    /// 4 or 8.
    package var bits: Int?
    /// The type that 4-bit layers are computed in; nil is float32, or bfloat16 where the model is.
    package var computeType: DType?
    package var kind = FourBitType.nf4
    /// Whether the absmax of 4-bit blocks are quantised too.
    package var usesDoubleQuantization = true
    /// The type under whose name the bytes of 4-bit matrices are written.
    package var storageType: DType?

    package init() {}
}

extension QuantizationOptions: SettingsPart {
    package static let fields: [SettingsField<QuantizationOptions>] = [
        SettingsField("quant_method", \.method, affectsNumbers: true),
        SettingsField("quant_bits", \.bits, affectsNumbers: true),
        SettingsField("bnb_4bit_compute_dtype", \.computeType, affectsNumbers: true),
        SettingsField("bnb_4bit_quant_type", \.kind, affectsNumbers: true),
        SettingsField("bnb_4bit_use_double_quant", \.usesDoubleQuantization, affectsNumbers: true),
        SettingsField("bnb_4bit_quant_storage", \.storageType),
    ]

    static let ofFourBits = fields.map(\.name).filter { $0.hasPrefix("bnb_4bit") }
}

extension QuantizationOptions {
    /// Refuses half a choice.
    mutating func settle() throws {
        if bits == 0 { bits = nil }
        switch (method, bits) {
        case (nil, nil), (_?, 4?), (_?, 8?): break
        case (let method?, nil):
            throw SettingsError("--quant_method \(method.rawValue): give --quant_bits 4 or --quant_bits 8 with it.")
        case (let method?, let bits?):
            throw SettingsError(
                "--quant_bits \(bits): --quant_method \(method.rawValue) has 4 and 8. Give one of them.")
        case (nil, let bits?):
            throw SettingsError("--quant_bits \(bits): say how: --quant_method bnb --quant_bits \(bits == 8 ? 8 : 4).")
        }
    }

    /// Why settings of four bits have nothing to do; nil where they have.
    var idleReason: String? {
        method == nil ? "nothing is quantised without --quant_method" : bits == 8 ? "--quant_bits is 8" : nil
    }

    /// How to quantise a model of this type; nil where it stays in full.
    func settings(for dtype: DType) -> QuantizationSettings? {
        guard method != nil, let bits else { return nil }
        guard bits == 4 else { return QuantizationSettings(.eightBits, computeType: nil) }
        return QuantizationSettings(
            .fourBits(
                kind, block: QuantizationSettings.standardBlock, isDouble: usesDoubleQuantization),
            computeType: computeType ?? QuantizationSettings.standardComputeType(of: dtype))
    }
}
