import ApusFiles
import ApusTorch
package import ApusWeights

/// The settings of `export` and `merge-lora`.
package struct ExportSettings: Sendable {
    /// Without a name the base that the adapter names; its `adapters` are merged in order.
    package var model: ModelSettings
    package var hardware = DeviceSettings()
    package var hub = HubSettings()
    /// Whether to merge the adapter into the model.
    package var mergeLoRA = false
    package var combination = CombinationSettings()
    /// Whether to write what an adapter that was taken out of the weights (PiSSA, OLoRA) has changed, as a plain LoRA
    /// adapter.
    package var convertsToLoRA = false
    private var givenOutputDirectory: String?
    /// Whether to replace the folder if it exists.
    package var existOK = false
    /// The largest file of weights, such as `5GB`.
    package var maxShardSize = standardShardSize
    /// Whether to write a GGUF file instead of a Hugging Face folder.
    package var toGGUF = false
    /// The mixture of types in it.
    package var ggufType = GGUFFileType.f16

    private static let standardShardSize = "5GB"

    /// Settings for merging adapters into their base.
    package init(adapters: [String], mergeLoRA: Bool = true) {
        model = ModelSettings()
        model.adapters = adapters
        model.loadArgs = true
        self.mergeLoRA = mergeLoRA
    }

    /// The folder to write; by default the first adapter's, or one of the model's name, with what was done (`-merged`,
    /// `-combined`, `-gguf`, `-bnb-int4`, `-bfloat16`) behind it.
    package var outputDirectory: String {
        get {
            if let givenOutputDirectory { return givenOutputDirectory }
            let name = shortName
            if combination.kind != nil { return "\(name)-combined" }
            if convertsToLoRA { return "\(name)-lora" }
            if toGGUF { return "\(name)-gguf" }
            if let method = model.quantization.method {
                return "\(name)-\(method.rawValue)" + (model.quantization.bits.map { "-int\($0)" } ?? "")
            }
            return mergeLoRA ? "\(name)-merged" : "\(name)-\(model.torchDType?.rawValue ?? "converted")"
        }
        set { givenOutputDirectory = newValue }
    }
}

extension ExportSettings {
    /// The folder of the adapter, or the name of the model without what it ends with as a file.
    private var shortName: String {
        var name = model.adapters.first ?? ModelName.short(model.name ?? "")
        while name.count > 1, name.hasSuffix("/") { name.removeLast() }
        return model.adapters.isEmpty && name.lowercased().hasSuffix(".gguf") ? String(name.dropLast(5)) : name
    }

    /// Whether nothing is to be made of the model or adapter, so that it can only be published as it is.
    var writesNothing: Bool {
        !mergeLoRA && combination.kind == nil && !convertsToLoRA && model.quantization.method == nil && !converts
            && !toGGUF
    }

    /// The name of the GGUF file.
    var ggufName: String { "\(ModelName.short(shortName))-\(ggufType.rawValue).gguf" }

    /// Whether a model without an adapter is to be written otherwise than it lies there.
    private var converts: Bool {
        model.name != nil && model.adapters.isEmpty
            && (toGGUF || model.torchDType != nil || maxShardSize != Self.standardShardSize
                || givenOutputDirectory != nil)
    }
}

extension GGUFFileType: OptionChoice {}

extension ExportSettings: CommandSettings {
    package static var command: Command { .export }

    package init() {
        self.init(adapters: [], mergeLoRA: false)
    }

    package static let fields: [SettingsField<ExportSettings>] =
        fields(of: \.model) + fields(of: \.hardware) + fields(of: \.combination) + fields(of: \.hub) + [
            SettingsField("merge_lora", \.mergeLoRA),
            SettingsField("convert_to_lora", \.convertsToLoRA),
            SettingsField("output_dir", \.outputDirectory),
            SettingsField("exist_ok", \.existOK),
            SettingsField("max_shard_size", \.maxShardSize),
            SettingsField("to_gguf", \.toGGUF),
            SettingsField("gguf_type", \.ggufType),
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
            guard !mergeLoRA, !combines, !toGGUF, model.quantization.method == nil, model.adapters.count == 1 else {
                throw UsageError(
                    "--convert_to_lora makes a plain adapter of one that was taken out of the weights; give --adapters with that "
                        + "one, and leave out --merge_lora, --combination_type, --to_gguf and --quant_method.")
            }
        }
        guard
            mergeLoRA || combines || convertsToLoRA || model.quantization.method != nil || !model.adapters.isEmpty
                || converts || hub.push
        else {
            throw UsageError(
                "--merge_lora: not given. Export merges an adapter (`apus export --adapters checkpoint-100 --merge_lora "
                    + "true`), quantises a model (`--model … --quant_method bnb --quant_bits 4`), does both, makes one "
                    + "adapter of several (`--adapters a b --combination_type svd`), or converts a model (`--model … "
                    + "--to_gguf true`, `--model … --torch_dtype bfloat16`).")
        }
        guard !combines || !mergeLoRA && !toGGUF && model.quantization.method == nil else {
            throw UsageError(
                "--combination_type makes an adapter; leave out --merge_lora, --to_gguf and --quant_method, and merge, convert "
                    + "or quantise with it afterwards.")
        }
        guard !mergeLoRA && !combines || !model.adapters.isEmpty else {
            throw UsageError("--adapters: not given. Give the folder of the adapter.")
        }
        guard mergeLoRA || combines || convertsToLoRA || model.adapters.isEmpty || hub.push && !toGGUF else {
            throw UsageError(
                "--adapters: an adapter is converted or quantised by being merged first. Add --merge_lora true.")
        }
        guard !toGGUF || model.quantization.method == nil else {
            throw UsageError(
                "--to_gguf: a GGUF file has types of its own. Leave out --quant_method and --quant_bits, and choose with "
                    + "--gguf_type, such as Q4_K_M.")
        }
        let idle = toGGUF ? ["max_shard_size"] : ["gguf_type"]
        if let notice = withoutEffect(
            idle, because: toGGUF ? "a GGUF file is written in one piece" : "--to_gguf is not given")
        {
            notices.append(notice)
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
