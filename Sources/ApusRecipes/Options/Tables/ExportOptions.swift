extension OptionTable {
    static let exportOptions: [CommandOption] = [
        CommandOption(
            "merge_lora", .boolean, default: .boolean(false), "Merge the adapter into the model.", in: .command,
            for: exporting),
        CommandOption(
            "output_dir", .text, computed: "<adapter>-merged", "Folder to write.", in: .command, for: exporting),
        CommandOption(
            "exist_ok", .boolean, default: .boolean(false), "Replace that folder if it exists.", in: .command,
            for: exporting),
        CommandOption(
            "max_shard_size", .text, default: .text("5GB"), "Largest file of weights: 500MB, 5GB, 2GiB.",
            in: .command, for: exporting),
    ]
}
