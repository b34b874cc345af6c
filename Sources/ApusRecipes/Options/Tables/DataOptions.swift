extension OptionTable {
    private static let reading: Set<Command> = [.sft, .infer]

    static let dataOptions: [CommandOption] = [
        CommandOption(
            "dataset", .list, default: .list([]),
            "Data: [hf::|ms::]path or id of a hub[:subset][#count]; files of JSON lines, JSON, CSV or TSV.",
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
