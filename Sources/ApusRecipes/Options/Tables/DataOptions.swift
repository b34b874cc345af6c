import ApusDatasets

extension OptionTable {
    private static let reading: Set<Command> = [.sft, .infer]

    static let dataOptions: [CommandOption] = [
        CommandOption(
            "dataset", .list, default: .list([]),
            "Data: [hf::|ms::]path or id of a hub[:subset][#count]; .jsonl, .json, .csv, .txt, .parquet, .arrow files.",
            in: .data, for: reading),
        CommandOption("val_dataset", .list, default: .list([]), "Validation data.", in: .data, for: reading),
        CommandOption(
            "split_dataset_ratio", .number(.from(0, upTo: 1)), default: .number(0),
            "Share of the training data to validate on, without --val_dataset.", in: .data, for: reading),
        CommandOption(
            "columns", .mapping, "New names of columns: '{\"text1\": \"query\"}', or a JSON file.", in: .data,
            for: reading),
        CommandOption(
            "custom_dataset_info", .list, default: .list([]),
            "JSON files that name data sets, in the format of ms-swift's dataset_info.json.", in: .data, for: reading),
        CommandOption(
            "prompt_format", .escapedText, computed: "the column of the prompt",
            "Makes the prompt of columns: '{context}\\n{question}'.", in: .data, for: reading),
        CommandOption(
            "disable_auto_column_mapping", .boolean, default: .boolean(false),
            "Read columns only under their own names and those of --columns.", in: .data, for: reading),
        CommandOption(
            "interleave_prob", .numbers(.from(0, upTo: 1)), default: .numbers([]),
            "Mix the data sets row by row, each with its share: 0.7 0.3.", in: .data, for: [.sft]),
        CommandOption(
            "stopping_strategy", .words(of: StoppingStrategy.self), default: .text("first_exhausted"),
            "Whether a mix ends with the first data set that does, or with the last.", in: .data, for: [.sft]),
        CommandOption(
            "max_dropped_ratio", .number(.from(0, upTo: 1)), default: .number(0.5),
            "Share of rows that may be left out; more ends the run.", in: .data, for: [.sft]),
        CommandOption(
            "load_from_cache_file", .boolean, default: .boolean(true),
            "Take rows that an earlier run encoded in the same way from the cache.", in: .data, for: [.sft]),
        CommandOption(
            "packing", .boolean, default: .boolean(false), "Lay samples together, so that a batch holds full packs.",
            in: .data, for: [.sft]),
        CommandOption(
            "packing_length", .integer(from: 2), computed: "max_length", "Most tokens of a pack.", in: .data,
            for: [.sft]),
        CommandOption(
            "packing_strategy", .words(of: PackingStrategy.self), default: .text("binpack"),
            "Fill packs, or keep the order of samples.", in: .data, for: [.sft]),
        CommandOption(
            "group_by_length", .boolean, default: .boolean(false),
            "Draw samples of like length into one batch.", in: .data, for: [.sft]),
        CommandOption(
            "streaming", .boolean, default: .boolean(false),
            "Read and encode rows while the run goes on, in constant memory; needs --max_steps.", in: .data,
            for: [.sft]),
        CommandOption(
            "shuffle_buffer_size", .integer(1...10_000_000), default: .integer(1000),
            "Rows of a stream among which the next is drawn.", in: .data, for: [.sft]),
        CommandOption(
            "strict", .boolean, default: .boolean(false), "Stop at a bad row instead of leaving it out.", in: .data,
            for: reading),
        CommandOption(
            "data_seed", .integer(0...4_294_967_295), default: .integer(42), "Seed of the order of the data.",
            in: .data, for: reading),
        CommandOption(
            "dataset_shuffle", .boolean, default: .boolean(true), "Shuffle the training data once.", in: .data,
            for: reading),
        CommandOption(
            "val_dataset_shuffle", .boolean, default: .boolean(false), "Shuffle the validation data once.",
            in: .data, for: reading),
        CommandOption(
            "train_dataloader_shuffle", .boolean, default: .boolean(true),
            "Shuffle the training data again for each epoch.", in: .data, for: [.sft]),
        CommandOption(
            "dataset_num_proc", .integer(from: 1), default: .integer(1), "Threads that prepare the data.", in: .data,
            for: reading),
        CommandOption(
            "dataloader_num_workers", .integer(from: 0), default: .integer(1), "Threads that make batches ahead.",
            in: .data, for: [.sft]),
        CommandOption(
            "dataloader_drop_last", .boolean, default: .boolean(false), "Leave out a last batch that is not full.",
            in: .data, for: [.sft]),
        CommandOption(
            "model_name", .list, "Name that replaces {{NAME}} in self-cognition data: Chinese, English.", in: .data,
            for: reading),
        CommandOption(
            "model_author", .list, "Name that replaces {{AUTHOR}} in self-cognition data: Chinese, English.",
            in: .data, for: reading),
        CommandOption(
            "val_dataset_sample", .integer(from: 1), computed: "all", "Rows of the validation data to answer.",
            in: .data, for: [.infer]),
    ]
}
