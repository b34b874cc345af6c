/// Which of the model's own weights train, where no adapter does.
package struct FullTuningSettings: Sendable {
    /// The beginnings of the names of weights that stay as they are.
    package var freezeParameters: [String] = []
    /// A regular expression that finds such names.
    package var freezeParametersRegex: String?
    /// The share of all weights that stay as they are, from the table of words upwards.
    package var freezeParametersRatio = 0.0
    /// The beginnings of the names of weights that train though they are named above.
    package var trainableParameters: [String] = []
    /// A regular expression that finds such names.
    package var trainableParametersRegex: String?
    /// The layers that train at a time, drawn anew again and again (LISA); 0 trains all.
    package var lisaActivatedLayers = 0
    /// The steps after which they are drawn anew.
    package var lisaStepInterval = 20

    package init() {}

    static let optionNames = Set(fields.map(\.name))
}

extension FullTuningSettings: SettingsPart {
    package static let fields: [SettingsField<FullTuningSettings>] = [
        SettingsField("freeze_parameters", \.freezeParameters, affectsNumbers: true),
        SettingsField("freeze_parameters_regex", \.freezeParametersRegex, affectsNumbers: true),
        SettingsField("freeze_parameters_ratio", \.freezeParametersRatio, affectsNumbers: true),
        SettingsField("trainable_parameters", \.trainableParameters, affectsNumbers: true),
        SettingsField("trainable_parameters_regex", \.trainableParametersRegex, affectsNumbers: true),
        SettingsField("lisa_activated_layers", \.lisaActivatedLayers, affectsNumbers: true),
        SettingsField("lisa_step_interval", \.lisaStepInterval, affectsNumbers: true),
    ]
}
