/// Whether what a run is compared with follows the model, and how.
package struct MovingReferenceSettings: Sendable {
    /// Whether it does.
    package var syncRefModel = false
    /// N: after how many steps each time.
    package var refModelSyncSteps = 512
    /// α: the share of the model in what the reference becomes.
    package var refModelMixupAlpha = 0.6

    package init() {}
}

extension MovingReferenceSettings: SettingsPart {
    package static let fields: [SettingsField<MovingReferenceSettings>] = [
        SettingsField("sync_ref_model", \.syncRefModel, affectsNumbers: true),
        SettingsField("ref_model_sync_steps", \.refModelSyncSteps, affectsNumbers: true),
        SettingsField("ref_model_mixup_alpha", \.refModelMixupAlpha, affectsNumbers: true),
    ]

    static let options = Set(fields.map(\.name))
}
