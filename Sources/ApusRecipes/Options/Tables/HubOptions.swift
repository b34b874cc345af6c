import ApusHub

extension OptionTable {
    private static let reaching: Set<Command> = loading.union([.params, .tokenize, .template])

    static let hubOptions: [CommandOption] = [
        CommandOption(
            "use_hf", .boolean, computed: "USE_HF; false",
            "Take models and data sets that no hf:: or ms:: stands before from Hugging Face instead of ModelScope.",
            in: .hub, for: reaching.union([.download])),
        CommandOption(
            "hub_token", .text, computed: "HF_TOKEN or `hf auth login`; MODELSCOPE_API_TOKEN",
            "Token of the hub; written into no file.", in: .hub, for: reaching.union([.download])),
        CommandOption(
            "model_revision", .text, computed: "the main branch", "Branch, tag or commit of the model.", in: .hub,
            for: reaching),
        CommandOption(
            "push_to_hub", .boolean, default: .boolean(false),
            "Publish what was written on ModelScope, or on Hugging Face with --use_hf true, with its model card.",
            in: .hub, for: publishing),
        CommandOption(
            "hub_model_id", .text, computed: "<your name>/<name of the folder>", "Id to publish under.", in: .hub,
            for: publishing),
        CommandOption(
            "hub_private_repo", .boolean, default: .boolean(false), "Make a repository that only you can see.",
            in: .hub, for: publishing),
        CommandOption(
            "commit_message", .text, computed: "what was done", "Message of the commit.", in: .hub,
            for: exporting),
        CommandOption(
            "ids", .list, default: .list([]), "What to fetch; the ids may stand by themselves, before the options.",
            in: .command, for: [.download]),
        CommandOption(
            "model", .list, default: .list([]), "Ids of models and adapters.", in: .command, for: [.download]),
        CommandOption("dataset", .list, default: .list([]), "Ids of data sets.", in: .command, for: [.download]),
        CommandOption(
            "repo_type", .words(of: Repository.Kind.self), default: .text("model"), "What the ids are of.",
            in: .command, for: [.download]),
        CommandOption(
            "revision", .text, computed: "the main branch", "Branch, tag or commit.", in: .command, for: [.download]),
        CommandOption(
            "local_dir", .text, computed: "the cache, shared with Python's programs", "Folder for the files.",
            in: .command, for: [.download]),
        CommandOption(
            "include", .list, default: .list([]), "Files to fetch, as patterns: '*.json' 'data/*'.", in: .command,
            for: [.download]),
        CommandOption(
            "exclude", .list, default: .list([]), "Files to leave out, as patterns.", in: .command, for: [.download]),
        CommandOption(
            "all_files", .boolean, default: .boolean(false),
            "Fetch every file of a model, other programs' forms of its weights too.", in: .command, for: [.download]),
        CommandOption(
            "disable_tqdm", .boolean, default: .boolean(false), "Show no progress.", in: .command, for: [.download]),
    ]

    private static let publishing: Set<Command> = [.sft, .export, .mergeLoRA]
}
