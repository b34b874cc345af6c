import ApusFiles

/// The settings of `export` and `merge-lora`.
public struct ExportSettings: Sendable {
    /// Without a name the base that the adapter names; its `adapters` are merged in order.
    public var model: ModelSettings
    public var hardware = DeviceSettings()
    /// Whether to merge the adapter into the model.
    public var mergeLoRA = false
    public var combination = CombinationSettings()
    /// Whether to write what an adapter that was taken out of the weights (PiSSA, OLoRA) has changed, as a plain LoRA adapter.
    public var convertsToLoRA = false
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

    /// The folder to write; by default the first adapter's, with what was done (`-merged`, `-combined`, `-bnb-int4`) behind its
    /// name.
    public var outputDirectory: String {
        get {
            if let givenOutputDirectory { return givenOutputDirectory }
            var checkpoint = model.adapters.first ?? ModelName.short(model.name ?? "")
            while checkpoint.count > 1, checkpoint.hasSuffix("/") { checkpoint.removeLast() }
            if combination.kind != nil { return "\(checkpoint)-combined" }
            if convertsToLoRA { return "\(checkpoint)-lora" }
            guard let method = model.quantization.method else { return "\(checkpoint)-merged" }
            return "\(checkpoint)-\(method.rawValue)" + (model.quantization.bits.map { "-int\($0)" } ?? "")
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
            SettingsField("convert_to_lora", \.convertsToLoRA),
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
        try model.quantization.settle()
        let combines = combination.kind != nil
        if convertsToLoRA {
            guard !mergeLoRA, !combines, model.quantization.method == nil, model.adapters.count == 1 else {
                throw UsageError(
                    "--convert_to_lora makes a plain adapter of one that was taken out of the weights; give --adapters with that "
                        + "one, and leave out --merge_lora, --combination_type and --quant_method.")
            }
        }
        guard mergeLoRA || combines || convertsToLoRA || model.quantization.method != nil else {
            throw UsageError(
                "--merge_lora: not given. Export merges an adapter (`apus export --adapters checkpoint-100 --merge_lora "
                    + "true`), quantises a model (`--model … --quant_method bnb --quant_bits 4`), does both, or makes one "
                    + "adapter of several (`--adapters a b --combination_type svd`).")
        }
        guard !combines || !mergeLoRA && model.quantization.method == nil else {
            throw UsageError(
                "--combination_type makes an adapter; leave out --merge_lora and --quant_method, and merge or quantise "
                    + "with it afterwards.")
        }
        guard !mergeLoRA && !combines || !model.adapters.isEmpty else {
            throw UsageError("--adapters: not given. Give the folder of the adapter.")
        }
        guard mergeLoRA || combines || convertsToLoRA || model.adapters.isEmpty else {
            throw UsageError(
                "--adapters: an adapter is quantised by being merged first. Add --merge_lora true.")
        }
        if !combines,
            let notice = withoutEffect(
                CombinationSettings.fields.map(\.name), because: "--combination_type is not given")
        {
            notices.append(notice)
        }
        if let reason = model.quantization.idleReason,
            let notice = withoutEffect(QuantizationOptions.ofFourBits, because: reason)
        {
            notices.append(notice)
        }
        guard maxShardBytes != nil else {
            throw SettingsError(
                "--max_shard_size: got \"\(maxShardSize)\", wanted a size of at least 1MB such as 500MB, 5GB or 2GiB.")
        }
    }

    /// `maxShardSize` in bytes; nil if it is no size.
    package var maxShardBytes: Int? { ByteCount.parse(maxShardSize).flatMap { $0 >= 1_000_000 ? $0 : nil } }
}
