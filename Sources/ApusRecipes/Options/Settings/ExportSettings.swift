public import ApusDatasets
public import ApusTorch

/// The settings of `export` and `merge-lora`.
public struct ExportSettings: Sendable {
    /// The folder of the base model; nil takes the base that the adapter names.
    public var model: String?
    /// The family the model must be of; nil takes what its `config.json` says.
    public var modelType: String?
    /// The type of the weights to write; nil takes what `config.json` says.
    public var torchDType: DType?
    /// What the model is for.
    public var taskType: TaskType?
    /// Classes, or numbers predicted at once; nil takes what the model says.
    public var numLabels: Int?
    /// What was learned from a label; nil takes what the model says.
    public var problemType: ProblemType?
    /// What trains.
    public var tunerType = TunerType.lora
    /// Folders of adapters to merge, in order.
    public var adapters: [String]
    /// Whether to take settings from the `args.json` of the checkpoint.
    public var loadArgs = true
    /// Whether to merge the adapter into the model.
    public var mergeLoRA = false
    private var givenOutputDirectory: String?
    /// Whether to replace the folder if it exists.
    public var existOK = false
    /// The largest file of weights, such as `5GB`.
    public var maxShardSize = "5GB"
    /// The device; nil takes the fastest there is.
    public var device: Device?

    /// Settings for merging adapters into their base.
    public init(adapters: [String], mergeLoRA: Bool = true) {
        self.adapters = adapters
        self.mergeLoRA = mergeLoRA
    }

    /// The folder to write; by default the first adapter's, with `-merged` behind its name.
    public var outputDirectory: String {
        get {
            if let givenOutputDirectory { return givenOutputDirectory }
            var checkpoint = adapters.first ?? ModelName.short(model ?? "")
            while checkpoint.count > 1, checkpoint.hasSuffix("/") { checkpoint.removeLast() }
            return "\(checkpoint)-merged"
        }
        set { givenOutputDirectory = newValue }
    }
}

extension ExportSettings: CommandSettings {
    package static var command: Command { .export }

    package init() {
        self.init(adapters: [], mergeLoRA: false)
    }

    package static let fields: [SettingsField<ExportSettings>] = [
        SettingsField("model", \.model),
        SettingsField("model_type", \.modelType),
        SettingsField("torch_dtype", \.torchDType),
        SettingsField("task_type", \.taskType),
        SettingsField("num_labels", \.numLabels),
        SettingsField("problem_type", \.problemType),
        SettingsField("tuner_type", \.tunerType),
        SettingsField("adapters", \.adapters),
        SettingsField("load_args", \.loadArgs),
        SettingsField("merge_lora", \.mergeLoRA),
        SettingsField("output_dir", \.outputDirectory),
        SettingsField("exist_ok", \.existOK),
        SettingsField("max_shard_size", \.maxShardSize),
        SettingsField("device", \.device),
    ]

    package init(_ line: ArgumentLine, notices: inout [String], mergeLoRA: Bool) throws {
        var line = line
        if mergeLoRA { line.set("merge_lora", .boolean(true), origin: .commandLine) }
        try self.init(line, notices: &notices)
    }

    package mutating func settle(notices: inout [String]) throws {
        guard mergeLoRA else {
            throw UsageError(
                "--merge_lora: not given. It is the one thing that export does yet: "
                    + "`apus export --adapters checkpoint-100 --merge_lora true`.")
        }
        guard !adapters.isEmpty else {
            throw UsageError("--adapters: not given. Give the folder of the adapter to merge.")
        }
        guard maxShardBytes != nil else {
            throw SettingsError(
                "--max_shard_size: got \"\(maxShardSize)\", wanted a size of at least 1MB such as 500MB, 5GB or 2GiB.")
        }
    }

    /// `maxShardSize` in bytes; nil if it is no size.
    ///
    /// `MB` counts in thousands and `MiB` in 1024s.
    package var maxShardBytes: Int? {
        let digits = maxShardSize.prefix { $0.isNumber || $0 == "." }
        let units = [
            "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 0x1p10, "MIB": 0x1p20, "GIB": 0x1p30, "TIB": 0x1p40,
        ]
        guard let number = Double(digits), let unit = units[maxShardSize.dropFirst(digits.count).uppercased()],
            number * unit >= 1e6, let bytes = Int(exactly: (number * unit).rounded())
        else { return nil }
        return bytes
    }
}
