import ApusAdapters
import ApusTorch

extension OptionTable {
    private static let tuning: Set<Command> = [.sft, .params]

    static let tunerOptions: [CommandOption] =
        [
            CommandOption(
                "tuner_type",
                .choice(TunerType.allCases.map(\.rawValue), later: laterTuners), default: .text("lora"),
                "What trains: an adapter of some method, or every weight (full).", in: .tuner,
                for: loading.union(tuning)),
            CommandOption(
                "target_modules", .list, default: .list(["all-linear"]),
                "Layers to adapt: ends of names, all-linear, or auto for PEFT's choice.", in: .tuner, for: tuning),
            CommandOption(
                "target_regex", .text, "Layers to adapt: a regular expression over whole names.", in: .tuner,
                for: tuning),
            CommandOption(
                "lora_dtype", .choice(DType.ofWeights.map(\.rawValue)), computed: "float32", "Type of the adapter.",
                in: .tuner, for: [.sft]),
        ] + methodOptions

    /// What the methods declare, with the methods that read it.
    private static let methodOptions = AdapterMethods.options.map { option in
        let readers = AdapterMethods.all.filter { $0.options.contains { $0.name == option.name } }
        let methods = readers.map { $0.tunerType }
        let group: OptionGroup = readers.allSatisfy { $0.isCompact } ? .compactMethod : .method
        return CommandOption(
            option.name, option.optionKind, default: option.optionValue,
            methods.contains("lora") ? option.help : "\(methods.joined(separator: ", ")): \(option.help)",
            in: methods.contains("lora") ? .tuner : group,
            for: option.decidesCount ? tuning : [.sft])
    }

    /// Tuners that ms-swift has and Apus has not yet.
    private static let laterTuners = [
        "longlora", "adalora", "llamapro", "adapter", "vera", "boft", "fourierft", "reft", "bone", "ia3", "lora_llm",
        "dummy",
    ].filter { AdapterMethods.of(tunerType: $0) == nil }
}
