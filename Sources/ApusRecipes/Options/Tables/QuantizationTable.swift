import ApusTorch

extension OptionTable {
    private static let quantizing: Set<Command> = [.sft, .infer, .export, .params]
    /// What merging writes is never quantised; `export` does both.
    private static let loadingOrWriting: Set<Command> = [.sft, .infer, .export]

    static let quantizationOptions: [CommandOption] = [
        CommandOption(
            "quant_method",
            .words(of: QuantizationMethod.self, later: ["hqq", "eetq", "quanto", "fp8", "awq", "gptq", "gptq_v2"]),
            computed: "none: the weights stay in --torch_dtype",
            "Keep the matrices of layers in few bits, as this program does.", in: .model, for: quantizing),
        CommandOption(
            "quant_bits", .integer(0...8), computed: "none", "Bits of each number of a matrix: 4 or 8.", in: .model,
            for: quantizing),
        CommandOption(
            "bnb_4bit_compute_dtype", .choice(DType.ofWeights.map(\.rawValue)),
            computed: "float32, or bfloat16 where the weights are", "Type that 4-bit layers are computed in.",
            in: .model, for: loadingOrWriting),
        CommandOption(
            "bnb_4bit_quant_type", .words(of: FourBitType.self), default: .text("nf4"),
            "What four bits stand for: quantiles of the normal distribution, or small floats.", in: .model,
            for: quantizing),
        CommandOption(
            "bnb_4bit_use_double_quant", .boolean, default: .boolean(true),
            "Quantise the scales of 4-bit blocks too.", in: .model, for: quantizing),
        CommandOption(
            "bnb_4bit_quant_storage", .choice((["uint8"] + DType.ofWeights.map(\.rawValue))), computed: "uint8",
            "Type under whose name `export` writes 4-bit matrices; the bytes are the same.", in: .model,
            for: loadingOrWriting),
    ]
}
