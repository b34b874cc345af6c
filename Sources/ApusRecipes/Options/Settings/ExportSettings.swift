/// The settings of `export` and `merge-lora`.
public struct ExportSettings: Sendable {
    /// Without a name the base that the adapter names; its `adapters` are merged in order.
    public var model: ModelSettings
    public var hardware = DeviceSettings()
    /// Whether to merge the adapter into the model.
    public var mergeLoRA = false
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

    /// The folder to write; by default the first adapter's, with `-merged` or `-bnb-int4` behind its name.
    public var outputDirectory: String {
        get {
            if let givenOutputDirectory { return givenOutputDirectory }
            var checkpoint = model.adapters.first ?? ModelName.short(model.name ?? "")
            while checkpoint.count > 1, checkpoint.hasSuffix("/") { checkpoint.removeLast() }
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
        fields(of: \.model) + fields(of: \.hardware) + [
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
        try model.quantization.settle()
        guard mergeLoRA || model.quantization.method != nil else {
            throw UsageError(
                "--merge_lora: not given. Export merges an adapter (`apus export --adapters checkpoint-100 --merge_lora "
                    + "true`), quantises a model (`--model … --quant_method bnb --quant_bits 4`), or does both.")
        }
        guard !mergeLoRA || !model.adapters.isEmpty else {
            throw UsageError("--adapters: not given. Give the folder of the adapter to merge.")
        }
        guard mergeLoRA || model.adapters.isEmpty else {
            throw UsageError(
                "--adapters: an adapter is quantised by being merged first. Add --merge_lora true.")
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
