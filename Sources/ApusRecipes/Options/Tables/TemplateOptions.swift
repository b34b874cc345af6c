import ApusDatasets
import ApusText

extension OptionTable {
    private static let encoding: Set<Command> = [.sft, .infer]

    static let templateOptions: [CommandOption] = [
        CommandOption(
            "system", .prompt, computed: "the template's", "System prompt, or the path of a .txt file with it.",
            in: .template, for: encoding.union([.template])),
        CommandOption(
            "max_length", .integer(from: 1), computed: "the model's", "Most tokens of one sample.", in: .template,
            for: encoding),
        CommandOption(
            "truncation_strategy", .words(of: TruncationStrategy.self),
            default: .text("delete"), "What happens to a longer sample.", in: .template, for: encoding),
        CommandOption(
            "mlm_probability", .number(.above(0, upTo: 0.9)), default: .number(0.15),
            "Share of tokens that --task_type mlm hides.", in: .template, for: [.sft]),
        CommandOption(
            "task", .list, default: .list([]),
            "What to do with texts: fill-mask 'Paris is the [MASK] of France.' …; --top_k candidates.",
            in: .template, for: [.infer]),
        CommandOption(
            "pair_format", .escapedText, default: .text(PairFormat.standard),
            "How a decoder sees two texts; encoders have segments for that.", in: .template, for: [.sft, .infer]),
        CommandOption(
            "use_chat_template", .boolean, default: .boolean(true),
            "Use the chat template; false: the bare text.", in: .template, for: encoding),
        CommandOption(
            "loss_scale",
            .chain(TrainedTurns.allCases.map(\.rawValue), LossModifier.allCases.map(\.rawValue)),
            default: .text("default"),
            "Which tokens train: every answer, the last, or all tokens; +hermes and others weigh parts of answers.",
            in: .template, for: [.sft]),
        CommandOption(
            "is_binary_loss_scale", .boolean, computed: "false",
            "Let every token that --loss_scale trains count once.", in: .template, for: [.sft]),
        CommandOption(
            "disable_ignore_empty_think", .boolean, default: .boolean(false),
            "Let the empty thoughts that hybrid templates write train too.", in: .template, for: [.sft]),
        CommandOption(
            "max_target_length", .integer(from: 2), computed: "any",
            "Most tokens of an answer with --task_type seq2seq_lm; --max_length cuts the text.", in: .template,
            for: [.sft]),
        CommandOption(
            "response_prefix", .escapedText, "Text that every answer starts with.", in: .template, for: [.infer]),
        CommandOption(
            "template", .text, computed: "the model's",
            "A chat template by ms-swift's name, such as qwen2_5, llama3, chatml.", in: .template,
            for: encoding.union([.template])),
        CommandOption(
            "template_backend", .words(of: TemplateBackend.self), default: .text("swift"),
            "jinja: the template in the model's folder, whatever --template says.", in: .template,
            for: encoding.union([.template])),
        CommandOption(
            "agent_template", .text, computed: "the template's",
            "How --template writes tools, such as hermes, react_en.", in: .template, for: encoding.union([.template])),
        CommandOption(
            "enable_thinking", .boolean, computed: "the template's", "Let a model that can think do so.",
            in: .template, for: encoding),
        CommandOption(
            "preserve_thinking", .boolean, computed: "the template's", "Keep the thoughts of earlier answers.",
            in: .template, for: encoding),
        CommandOption(
            "add_non_thinking_prefix", .boolean, default: .boolean(true),
            "Put --template's mark of no thoughts before answers that have none.", in: .template, for: encoding),
    ]
}
