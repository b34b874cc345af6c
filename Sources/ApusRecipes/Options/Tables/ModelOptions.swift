import ApusDatasets
import ApusLanguageModel
import ApusModels
import ApusTorch

extension OptionTable {
    /// Commands that load a model to train or run it.
    static let loading: Set<Command> = [.sft, .infer, .export, .mergeLoRA]
    static let exporting: Set<Command> = [.export, .mergeLoRA]

    static let modelOptions: [CommandOption] = [
        CommandOption(
            "model", .text, "Folder of the model: config.json, tokenizer and weights.", in: .model,
            for: loading.union([.params, .tokenize, .template])),
        CommandOption(
            "model_type", .choice(Models.registry.types),
            computed: "from config.json",
            "Family of the model, checked against its config.json.", in: .model, for: loading,
            hint: "Leave it out: the family is read from config.json. "
                + "(In ms-swift 2.x this flag named a model; that is --model now.)"),
        CommandOption(
            "new_special_tokens", .list, default: .list([]),
            "Special tokens that the model gets, or .txt files of them.", in: .model, for: [.sft]),
        CommandOption(
            "torch_dtype", .choice(DType.ofWeights.map(\.rawValue)),
            computed: "from config.json; float32 where it names none", "Type of the weights.", in: .model,
            for: loading.union([.params])),
        CommandOption(
            "task_type",
            .words(of: TaskType.self, later: ["generative_reranker", "decision"]),
            computed: "causal_lm; seq_cls with --num_labels", "What the model is for.", in: .model,
            for: loading.union([.params])),
        CommandOption(
            "num_labels", .integer(from: 1), computed: "from the model or the data",
            "Classes, or numbers that are predicted at once.", in: .model, for: loading.union([.params])),
        CommandOption(
            "problem_type", .words(of: ProblemType.self), computed: "from --num_labels and the labels",
            "What is learned from a label.", in: .model, for: loading),
        CommandOption(
            "multi_label_format", .words(of: MultiLabelFormat.self), computed: "from the labels, where they show it",
            "Lists of numbers: the classes of a row, or 0 or 1 for each class.", in: .model, for: [.sft]),
        CommandOption(
            "print_model", .boolean, default: .boolean(false),
            "Show the model as a tree of layers with shapes and adapters.", in: .model, for: [.sft]),
        CommandOption(
            "adapters", .list, default: .list([]), "Folders of adapters.", in: .model, for: loading),
        CommandOption(
            "load_args", .boolean, default: .boolean(false),
            "Take settings from the args.json of --resume_from_checkpoint, --adapters or --model.", in: .model,
            for: [.sft]),
        CommandOption(
            "load_args", .boolean, default: .boolean(true),
            "Take settings from the args.json beside --adapters or --model.", in: .model,
            for: [.infer, .export, .mergeLoRA]),
        CommandOption(
            "load_data_args", .boolean, default: .boolean(false),
            "Take the data settings of that args.json too, such as the same validation split.", in: .model,
            for: [.sft, .infer]),
        CommandOption(
            "seed", .integer(0...4_294_967_295), default: .integer(42),
            "Seed of everything random but the order of the data.", in: .model, for: [.sft, .infer]),
        CommandOption(
            "ignore_args_error", .boolean, default: .boolean(false),
            "Warn about unknown arguments instead of stopping.", in: .model, for: loading),
    ]

    static let deviceOptions: [CommandOption] = [
        CommandOption(
            "device", .choice(Device.words), computed: "the fastest there is", "Where to compute.",
            in: .device, for: loading),
        CommandOption(
            "use_cpu", .boolean, default: .boolean(false), "The same as --device cpu.", in: .device,
            for: [.sft, .infer]),
    ]
}
