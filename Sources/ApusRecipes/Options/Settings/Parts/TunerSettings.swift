package import ApusAdapters
package import ApusTorch

/// The adapter that trains.
package struct TunerSettings: Sendable {
    /// The rank r of the adapter.
    package var loraRank = 8
    /// The adapter is scaled by α / r.
    package var loraAlpha = 32.0
    /// The dropout before the adapter.
    package var loraDropout = 0.05
    /// Ends of the names of the layers to adapt, or `all-linear`.
    package var targetModules = ["all-linear"]
    /// Modules that are trained and stored whole beside the adapter: ends of names, `all-embedding`, `all-norm`.
    package var modulesToSave: [String] = []
    /// A regular expression over the whole names of the layers to adapt; wins over `targetModules`.
    package var targetRegex: String?
    /// The type of the adapter; nil is float32.
    package var loraDType: DType?
    /// A method of the program's own, in place of the one that `model.tunerType` names.
    package var own: OwnMethod?
    /// What else the method of the adapter takes, by the names of its options.
    package var methodOptions = MethodOptions()

    package init() {}
}

extension TunerSettings: SettingsPart {
    package static let fields = ownFields + MethodOptions.fields(\.methodOptions, beside: ownFields.map(\.name))

    private static let ownFields: [SettingsField<TunerSettings>] = [
        SettingsField("lora_rank", \.loraRank, affectsNumbers: true),
        SettingsField("lora_alpha", \.loraAlpha, affectsNumbers: true),
        SettingsField("lora_dropout", \.loraDropout, affectsNumbers: true),
        SettingsField("target_modules", \.targetModules, affectsNumbers: true),
        SettingsField("modules_to_save", \.modulesToSave, affectsNumbers: true),
        SettingsField("target_regex", \.targetRegex, affectsNumbers: true),
        // Their place in `args.json` is before the type, which is of all methods.
        MethodOptions.field("use_rslora", \.methodOptions),
        MethodOptions.field("init_weights", \.methodOptions),
        SettingsField("lora_dtype", \.loraDType, affectsNumbers: true),
    ]
}
