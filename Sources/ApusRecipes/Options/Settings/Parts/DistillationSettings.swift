import ApusLanguageModel

/// What a run learns from a teacher (`--rlhf_type gkd`), and who that is.
package struct DistillationSettings: Sendable {
    /// The model that is learned from; nil is the model itself as it was.
    package var teacherModel: String?
    /// Adapters on the model that is learned from.
    package var teacherAdapters: [String] = []
    /// What `config.json` of the teacher is expected to say.
    package var teacherModelType: String?
    /// The share of steps that learn from answers of the model's own, λ.
    package var lmbda = 0.5
    /// The weight of the likelihood of the data's answers.
    package var sftAlpha = 0.0
    /// How many of the teacher's best tokens are looked at; nil is all.
    package var logitsTopK: Int?

    package init() {}
}

extension DistillationSettings: SettingsPart {
    package static let fields: [SettingsField<DistillationSettings>] = [
        SettingsField("teacher_model", \.teacherModel, affectsNumbers: true),
        SettingsField("teacher_adapters", \.teacherAdapters, affectsNumbers: true),
        SettingsField("teacher_model_type", \.teacherModelType),
        SettingsField("lmbda", \.lmbda, affectsNumbers: true),
        SettingsField("sft_alpha", \.sftAlpha, affectsNumbers: true),
        SettingsField("gkd_logits_topk", \.logitsTopK, affectsNumbers: true),
    ]

    static let options = Set(fields.map(\.name))
}

extension DistillationSettings {
    /// - Throws: `SettingsError` for settings that contradict each other.
    func check() throws {
        guard teacherAdapters.count <= 1 else {
            throw SettingsError("--teacher_adapters: got \(teacherAdapters.count), wanted one. Merge the others first.")
        }
    }

    /// The option that names a teacher; nil where none does.
    var teacherFlag: String? {
        teacherModel != nil ? "teacher_model" : teacherAdapters.isEmpty ? nil : "teacher_adapters"
    }

    /// The loss of a token.
    func form(beta: Double, temperature: Double) -> DivergenceForm {
        DivergenceForm(beta: beta, temperature: temperature, topK: logitsTopK, likelihoodWeight: sftAlpha)
    }
}
