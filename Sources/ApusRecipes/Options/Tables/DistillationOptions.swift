extension OptionTable {
    /// The options of `--rlhf_type gkd`.
    static let distillationOptions: [CommandOption] = [
        option(
            "teacher_model", .text, computed: "the model as it was",
            "The model that gkd learns from; it needs the same tokens."),
        option("teacher_adapters", .list, default: .list([]), "An adapter on the model that gkd learns from."),
        option(
            "teacher_model_type", .text, computed: "config.json",
            "What config.json of the teacher is expected to say."),
        option(
            "lmbda", .number(.from(0, upTo: 1)), default: .number(0.5),
            "The share of steps that learn from answers of the model's own, in gkd."),
        option(
            "sft_alpha", .number(.from(0)), default: .number(0),
            "Weight of the likelihood of the data's answers, in gkd."),
        option(
            "gkd_logits_topk", .integer(from: 1), computed: "all",
            "How many of the teacher's best tokens are looked at, in gkd."),
        idle("teacher_deepspeed", .text, "one process computes on one device"),
        idle("offload_teacher_model", .boolean, "the teacher is beside the model on its device"),
        idle(
            "seq_kd", .boolean,
            "ms-swift names it and does nothing with it; --lmbda 0 learns from the data's answers"),
    ]

    /// What to do instead of options of teachers that are not there.
    static let teacherAdvice: [String: String] = [
        "teacher_model_server": "No server is asked; give the teacher's folder or id with --teacher_model.",
        "teacher_model_revision":
            "`apus download MODEL --revision …` fetches it; give the folder with --teacher_model.",
    ]

    private static func option(
        _ name: String, _ kind: OptionKind, default defaultValue: OptionValue? = nil, computed: String? = nil,
        _ help: String
    ) -> CommandOption {
        CommandOption(
            name, kind, default: defaultValue, computed: computed, help, in: .preferences, for: [.rlhf], section: "gkd")
    }

    private static func idle(_ name: String, _ kind: OptionKind, _ reason: String) -> CommandOption {
        CommandOption(name, kind, reason, in: .noEffect, for: [.rlhf], status: .noEffect(reason))
    }
}
