import ApusFiles

/// The settings of `export` and `merge-lora`.
public struct ExportSettings: Sendable {
    /// Without a name the base that the adapter names; its `adapters` are merged in order.
    public var model: ModelSettings
    public var hardware = DeviceSettings()
    /// Whether to merge the adapter into the model.
    public var mergeLoRA = false
    public var combination = CombinationSettings()
    private var givenOutputDirectory: String?
    /// Whether to replace the folder if it exists.
    public var existOK = false
    /// The largest file of weights, such as `5GB`.
    public var maxShardSize = "5GB"

    /// Settings for merging adapters into their base.
    public init(adapters: [String], mergeLoRA: Bool = true) {
        model = ModelSettings()
        model.adapters = adapters
        model.loadArgs = true
        self.mergeLoRA = mergeLoRA
    }

    /// The folder to write; by default the first adapter's, with `-merged` or `-combined` behind its name.
    public var outputDirectory: String {
        get {
            if let givenOutputDirectory { return givenOutputDirectory }
            var checkpoint = model.adapters.first ?? ModelName.short(model.name ?? "")
            while checkpoint.count > 1, checkpoint.hasSuffix("/") { checkpoint.removeLast() }
            return "\(checkpoint)-\(combination.kind == nil ? "merged" : "combined")"
        }
        set { givenOutputDirectory = newValue }
    }
}

extension ExportSettings: CommandSettings {
    package static var command: Command { .export }

    package init() {
        self.init(adapters: [], mergeLoRA: false)
    }

    package static let fields: [SettingsField<ExportSettings>] =
        fields(of: \.model) + fields(of: \.hardware) + fields(of: \.combination) + [
            SettingsField("merge_lora", \.mergeLoRA),
            SettingsField("output_dir", \.outputDirectory),
            SettingsField("exist_ok", \.existOK),
            SettingsField("max_shard_size", \.maxShardSize),
        ]

    package init(_ line: ArgumentLine, notices: inout [String], mergeLoRA: Bool) throws {
        var line = line
        if mergeLoRA { line.set("merge_lora", .boolean(true), origin: .commandLine) }
        try self.init(line, notices: &notices)
    }

    package mutating func settle(notices: inout [String]) throws {
        try combination.check()
        guard mergeLoRA != (combination.kind != nil) else {
            throw UsageError(
                mergeLoRA
                    ? "--merge_lora and --combination_type: give one of them; what is combined can be merged afterwards."
                    : "--merge_lora: not given. What export does yet: "
                        + "`apus export --adapters checkpoint-100 --merge_lora true`, and one adapter of several: "
                        + "`apus export --adapters a b --combination_type svd`.")
        }
        guard !model.adapters.isEmpty else {
            throw UsageError("--adapters: not given. Give the folder of the adapter to merge.")
        }
        guard maxShardBytes != nil else {
            throw SettingsError(
                "--max_shard_size: got \"\(maxShardSize)\", wanted a size of at least 1MB such as 500MB, 5GB or 2GiB.")
        }
    }

    /// `maxShardSize` in bytes; nil if it is no size.
    package var maxShardBytes: Int? { ByteCount.parse(maxShardSize).flatMap { $0 >= 1_000_000 ? $0 : nil } }
}
