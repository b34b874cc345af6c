extension OptionTable {
    static let inferOptions: [CommandOption] = [
        CommandOption(
            "infer_backend", .words(of: InferenceBackend.self, later: ["vllm", "sglang", "lmdeploy"]),
            default: .text("transformers"), "The engine; this name stands for Apus' own.", in: .command,
            for: [.infer]),
        CommandOption(
            "max_batch_size", .integer(from: -1), default: .integer(1),
            "Rows answered at once; -1: as many as are good for speed.",
            in: .command, for: [.infer]),
        CommandOption(
            "reranker_use_activation", .boolean, default: .boolean(true),
            "Bring the scores of a reranker between 0 and 1 by a sigmoid.", in: .command, for: [.infer]),
        CommandOption(
            "result_path", .text, computed: "infer_result/<time>.jsonl beside the checkpoint",
            "File for the answers to a dataset: every row in order; one without an answer has an \"error\", and the "
                + "program ends with 4.",
            in: .command, for: [.infer]),
        CommandOption(
            "existing_result", .words(of: ExistingResult.self), default: .text("refuse"),
            "What becomes of a --result_path that holds results already.", in: .command, for: [.infer]),
        CommandOption(
            "metric", .words(of: AnswerMetric.self),
            "Measure the answers to rows that bring one: acc, the share of equal texts; rouge, with bleu-4, in percent.",
            in: .command, for: [.infer]),
        CommandOption(
            "compare", .boolean, default: .boolean(false),
            "Answer with the base model and with each adapter, side by side.", in: .command, for: [.infer]),
        CommandOption(
            "adapter_names", .list, computed: "their folders",
            "Names of the adapters in what --compare writes; --adapters name=folder gives both.", in: .command,
            for: [.infer]),
        CommandOption(
            "question", .text, "Text to answer, also without the flag: apus infer 'question' --model …", in: .command,
            for: [.infer]),
        CommandOption(
            "merge_lora", .boolean, default: .boolean(false), "Merge the adapter before answering.", in: .command,
            for: [.infer]),
    ]
}
