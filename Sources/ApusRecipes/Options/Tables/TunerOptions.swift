import ApusTorch

extension OptionTable {
    private static let tuning: Set<Command> = [.sft, .params]

    static let tunerOptions: [CommandOption] = [
        CommandOption(
            "tuner_type",
            .words(
                of: TunerType.self,
                later: [
                    "longlora", "adalora", "llamapro", "adapter", "vera", "boft", "fourierft", "reft", "bone", "ia3",
                    "lora_llm", "dummy",
                ]),
            default: .text("lora"), "What trains: a LoRA adapter, or every weight.", in: .tuner,
            for: loading.union(tuning)),
        CommandOption(
            "lora_rank", .integer(from: 1), default: .integer(8), "Rank r of the adapter.", in: .tuner, for: tuning),
        CommandOption(
            "lora_alpha", .number(.above(0)), default: .number(32), "The adapter is scaled by alpha / r.", in: .tuner,
            for: [.sft]),
        CommandOption(
            "lora_dropout", .number(.from(0, below: 1)), default: .number(0.05), "Dropout before the adapter.",
            in: .tuner, for: [.sft]),
        CommandOption(
            "target_modules", .list, default: .list(["all-linear"]), "Layers to adapt: ends of names, or all-linear.",
            in: .tuner, for: tuning),
        CommandOption(
            "target_regex", .text, "Layers to adapt: a regular expression over whole names.", in: .tuner, for: tuning),
        CommandOption(
            "use_rslora", .boolean, default: .boolean(false), "Scale by alpha / √r instead.", in: .tuner, for: tuning),
        CommandOption(
            "init_weights",
            .words(
                of: AdapterInitialization.self,
                later: ["pissa_niter_8", "loftq", "lora-ga", "bat"]),
            default: .text("true"),
            "Start of the adapter: true (B = 0), false (random), gaussian, or taken out of the weights (pissa, olora).",
            in: .tuner,
            for: [.sft]),
        CommandOption(
            "lora_dtype", .choice(DType.ofWeights.map(\.rawValue)), computed: "float32", "Type of the adapter.",
            in: .tuner, for: [.sft]),
    ]
}
