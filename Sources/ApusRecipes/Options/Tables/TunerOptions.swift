import ApusAdapters
import ApusOptimizers
import ApusTorch

extension OptionTable {
    private static let tuning: Set<Command> = [.sft, .params]

    static let tunerOptions: [CommandOption] =
        [
            CommandOption(
                "tuner_type",
                .choice(TunerType.allCases.map(\.rawValue), later: laterTuners), default: .text("lora"),
                "What trains: an adapter of some method, every weight (full), or the biases (bitfit).", in: .tuner,
                for: loading.union(tuning)),
            CommandOption(
                "target_modules", .list, default: .list(["all-linear"]),
                "Layers to adapt: ends of names, all-linear, all-embedding, or auto for PEFT's choice.", in: .tuner,
                for: tuning),
            CommandOption(
                "target_regex", .text, "Layers to adapt: a regular expression over whole names.", in: .tuner,
                for: tuning),
            CommandOption(
                "modules_to_save", .list, default: .list([]),
                "Modules to train whole beside the adapter: ends of names, all-embedding, all-norm.", in: .tuner,
                for: tuning),
            CommandOption(
                "lora_dtype", .choice(DType.ofWeights.map(\.rawValue)), computed: "float32", "Type of the adapter.",
                in: .tuner, for: [.sft]),
        ] + methodOptions + fullOptions + galoreOptions

    private static let fullOptions: [CommandOption] = [
        CommandOption(
            "freeze_parameters", .list, default: .list([]),
            "Weights that stay as they are: beginnings of names.", in: .method, for: tuning, section: "full"),
        CommandOption(
            "freeze_parameters_regex", .text, "Such weights by an expression found in their names.", in: .method,
            for: tuning, section: "full"),
        CommandOption(
            "freeze_parameters_ratio", .number(.from(0, upTo: 1)), default: .number(0),
            "Share of the weights that stay, from the bottom up, counted in the order of transformers' layers.",
            in: .method, for: tuning, section: "full"),
        CommandOption(
            "trainable_parameters", .list, default: .list([]),
            "Weights that train though they are frozen above: beginnings of names.", in: .method, for: tuning,
            section: "full"),
        CommandOption(
            "trainable_parameters_regex", .text, "Such weights by an expression found in their names.",
            in: .method, for: tuning, section: "full"),
        CommandOption(
            "lisa_activated_layers", .integer(0...OptionKind.largestCount), default: .integer(0),
            "Layers that train at a time, drawn anew again and again (LISA); 0: all.", in: .method, for: [.sft],
            section: "full"),
        CommandOption(
            "lisa_step_interval", .integer(1...OptionKind.largestCount), default: .integer(20),
            "Steps after which LISA draws layers anew.", in: .method, for: [.sft], section: "full"),
    ]

    private static let galoreOptions: [CommandOption] = [
        CommandOption(
            "use_galore", .boolean, default: .boolean(false),
            "Moments of a low rank, of --tuner_type full (GaLore).", in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_target_modules", .list, computed: "all linear layers",
            "Layers whose gradients are projected: parts of names.", in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_rank", .integer(AdapterOption.counts), default: .integer(128), "Rank of the projection.",
            in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_update_proj_gap", .integer(1...OptionKind.largestCount), default: .integer(50),
            "Steps after which the projection is found anew.", in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_scale", .number(.above(0)), default: .number(1), "What projected steps are multiplied by.",
            in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_proj_type", .words(of: GaLore.Projection.self), default: .text("std"),
            "Side whose singular vectors are used.", in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_with_embedding", .boolean, default: .boolean(false), "Project gradients of tables of words too.",
            in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_quantization", .boolean, default: .boolean(false),
            "Moments as bytes, and the projection found anew only where it turns (Q-GaLore).", in: .method, for: [.sft],
            section: "full (GaLore)"),
        CommandOption(
            "galore_proj_quant", .boolean, default: .boolean(false), "Keep the projection in few bits.", in: .method,
            for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_proj_bits", .integer(1...8), default: .integer(4), "Bits of its numbers.", in: .method, for: [.sft],
            section: "full (GaLore)"),
        CommandOption(
            "galore_proj_group_size", .integer(1...OptionKind.largestCount), default: .integer(256),
            "Its numbers that share a smallest and a largest.", in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_cos_threshold", .number(.from(0, upTo: 1)), default: .number(0.4),
            "Likeness of projections from which on they are found anew less often.", in: .method, for: [.sft],
            section: "full (GaLore)"),
        CommandOption(
            "galore_gamma_proj", .integer(1...1024), default: .integer(2),
            "What the steps between are multiplied by then.",
            in: .method, for: [.sft], section: "full (GaLore)"),
        CommandOption(
            "galore_queue_size", .integer(1...1024), default: .integer(5), "How many of the last likenesses count.",
            in: .method, for: [.sft], section: "full (GaLore)"),
    ]

    /// The methods that read an option, by its name.
    private static let readers = AdapterMethods.all.reduce(into: [String: [String]]()) { readers, method in
        for option in method.options { readers[option.name, default: []].append(method.tunerType) }
    }

    /// What the methods declare, with the methods that read it.
    private static let methodOptions = AdapterMethods.options.map { option in
        let methods = readers[option.name] ?? []
        let isStart = LoRAStartSettings.options.contains(option)
        let isOfDefault = methods.contains(TunerType.lora.rawValue) && !isStart
        return CommandOption(
            option.name, option.optionKind, default: option.optionValue, option.help,
            in: isOfDefault ? .tuner : .method, for: option.decidesCount ? tuning : [.sft],
            section: isOfDefault ? nil : isStart ? "lora (--init_weights)" : methods.joined(separator: ", "))
    }

    /// Tuners that ms-swift has and Apus has not.
    private static let laterTuners = ["bone", "lora_llm", "dummy"]
}
