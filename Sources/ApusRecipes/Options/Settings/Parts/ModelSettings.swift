package import ApusDatasets
package import ApusTorch

/// Which model, what it is for, and what lies on it.
package struct ModelSettings: Sendable {
    /// The folder, the file or the hub id; nil where none was given.
    package var name: String?
    /// The family the model must be of, a `model_type`; nil takes what its `config.json` says.
    package var modelType: String?
    /// The type of the weights; nil takes what `config.json` says.
    package var torchDType: DType?
    /// Classes, or numbers predicted at once; nil takes what the model or the data says.
    package var numLabels: Int?
    /// What the model is for; nil takes what the other settings or the model's files say.
    package var taskType: TaskType?
    /// What is learned from a label; nil follows from `numLabels` and the labels, or from the model.
    package var problemType: ProblemType?
    /// What lists of numbers are where a row has several classes; nil takes what the labels show.
    package var multiLabelFormat: MultiLabelFormat?
    /// Whether to show the model as a tree of its layers.
    package var printModel = false
    /// What trains, or was trained.
    package var tunerType = TunerType.lora
    /// In how many bits its matrices are kept.
    package var quantization = QuantizationOptions()
    /// Folders of adapters.
    package var adapters: [String] = []
    /// Whether to take settings from the `args.json` of a checkpoint.
    package var loadArgs = false
    /// Whether to take the data settings of that file too.
    package var loadDataArgs = false
    /// The seed of everything random but the order of the data.
    package var seed = 42
    /// Special tokens that the model gets, or paths of `.txt` files of such.
    package var newSpecialTokens: [String] = []

    package init(_ name: String? = nil) {
        self.name = name
    }
}

extension ModelSettings: SettingsPart {
    package static let fields: [SettingsField<ModelSettings>] =
        ownFields + QuantizationOptions.fields.map { $0.inside(\.quantization) }

    private static let ownFields: [SettingsField<ModelSettings>] = [
        SettingsField("model", \.name),
        SettingsField("model_type", \.modelType),
        SettingsField("torch_dtype", \.torchDType),
        SettingsField("num_labels", \.numLabels, affectsNumbers: true),
        SettingsField("task_type", \.taskType, affectsNumbers: true),
        SettingsField("problem_type", \.problemType, affectsNumbers: true),
        SettingsField("multi_label_format", \.multiLabelFormat, affectsNumbers: true),
        SettingsField("print_model", \.printModel),
        SettingsField("tuner_type", \.tunerType, affectsNumbers: true),
        SettingsField("adapters", \.adapters),
        SettingsField("load_args", \.loadArgs),
        SettingsField("load_data_args", \.loadDataArgs),
        SettingsField("seed", \.seed, affectsNumbers: true),
        SettingsField("new_special_tokens", \.newSpecialTokens),
    ]
}
