extension OptionTable {
    /// What `infer` has and `sample` does not: it answers the rows of `--dataset`, and draws each answer.
    private static let onlyOfInfer: Set<String> = [
        "val_dataset", "split_dataset_ratio", "val_dataset_shuffle", "val_dataset_sample", "load_data_args", "task",
        "pair_format", "temperature", "num_return_sequences", "num_beams", "length_penalty", "early_stopping",
        "logprobs", "top_logprobs", "stream", "merge_lora", "infer_backend", "max_batch_size", "result_path",
        "existing_result", "reranker_use_activation", "metric", "compare", "adapter_names", "question", "num_labels",
        "problem_type", "task_type",
    ]

    /// Whether an option of `infer` is one of `sample` too.
    static func isShared(_ option: CommandOption) -> Bool {
        switch option.status {
        case .supported: !onlyOfInfer.contains(option.name)
        case .noEffect: MSSwiftFields.names(of: .sample).contains(option.name)
        }
    }

    private static let unread = "sampling reads --dataset whole, and draws plain answers"

    static let sampleOptions: [CommandOption] =
        [
            CommandOption(
                "sampler_type", .words(of: SamplerType.self, later: ["distill", "mcts"]), default: .text("sample"),
                "Answers are drawn; distilling asks a model of somebody else's.", in: .command, for: [.sample]),
            CommandOption(
                "sampler_engine", .words(of: SamplerEngine.self, later: ["client"]), default: .text("transformers"),
                "Apus' own engine, or no: judge what --cache_files hold.", in: .command, for: [.sample]),
            CommandOption(
                "output_dir", .text, default: .text("sample_output"), "Folder of the output.", in: .output,
                for: [.sample]),
            CommandOption(
                "output_file", .text, computed: "<time>.jsonl", "Name of the output in it.", in: .output,
                for: [.sample]),
            CommandOption(
                "resume", .boolean, default: .boolean(false), "Go on with an output that was cut off.", in: .output,
                for: [.sample]),
            CommandOption(
                "override_exist_file", .boolean, default: .boolean(false),
                "Sample again where the output is there; the old one gets another name.", in: .output, for: [.sample]),
            CommandOption(
                "log_completions", .boolean, default: .boolean(false),
                "Write every answer with its scores to <output>-completions.jsonl too.", in: .output, for: [.sample]),
            CommandOption(
                "num_return_sequences", .integer(1...65_536), default: .integer(64), "Answers to each question.",
                in: .generation, for: [.sample]),
            CommandOption(
                "temperature", .number(.from(0)), default: .number(1), "0 always takes the likeliest token.",
                in: .generation, for: [.sample]),
            CommandOption(
                "num_sampling_batch_size", .integer(from: 1), default: .integer(1), "Questions answered at once.",
                in: .generation, for: [.sample]),
            CommandOption(
                "num_sampling_batches", .integer(from: 1), computed: "all", "Batches of questions to answer.",
                in: .data, for: [.sample]),
            CommandOption(
                "data_range", .integers, default: .integers([]), "The shard to answer, and how many there are: 0 4.",
                in: .data, for: [.sample]),
            CommandOption(
                "cache_files", .list, default: .list([]),
                "Outputs with answers to the same rows, which are judged instead of new ones.", in: .data,
                for: [.sample]),
            CommandOption(
                "orm_model", .text, computed: "--reward_funcs",
                "Judges whole answers, above 0 where they are right: a reward by name, a program, or a reward model.",
                in: .rewards, for: [.sample]),
            CommandOption(
                "prm_model", .text, computed: "none", "Judges how good answers are, in the same ways.", in: .rewards,
                for: [.sample]),
            CommandOption(
                "prm_threshold", .number(.any), default: .number(0), "What --prm_model must say more than.",
                in: .rewards, for: [.sample]),
            CommandOption(
                "n_best_to_keep", .integer(from: 1), default: .integer(5), "Answers to keep of each question.",
                in: .rewards, for: [.sample]),
            CommandOption(
                "easy_query_threshold", .number(.from(0, upTo: 1)), computed: "none",
                "Leave out questions with at least this share of right answers.", in: .rewards, for: [.sample]),
        ]
        + [
            ("val_dataset", .list), ("split_dataset_ratio", .number(.any)), ("val_dataset_shuffle", .boolean),
            ("load_data_args", .boolean), ("stream", .boolean), ("logprobs", .boolean), ("top_logprobs", .integer),
            ("num_labels", .integer), ("problem_type", .text),
        ].map { name, kind in
            CommandOption(name, kind, unread, in: .noEffect, for: [.sample], status: .noEffect(unread))
        }
}
