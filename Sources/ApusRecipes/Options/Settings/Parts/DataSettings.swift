package import ApusDatasets

/// Which rows there are, and in which order.
package struct DataSettings: Sendable {
    /// Training data, each `path[#count]`.
    package var dataset: [String]
    /// Validation data.
    package var valDataset: [String] = []
    /// The share of `dataset` to hold back for validation when there is no `valDataset`.
    package var splitDatasetRatio = 0.0
    /// New names of columns, by their old names.
    package var columns: [String: String] = [:]
    /// JSON files that name data sets.
    package var customDatasetInfo: [String] = []
    /// Whether to stop at a bad row instead of leaving it out.
    package var strict = false
    /// The seed of the order of the data.
    package var dataSeed = 42
    /// Whether to shuffle the training data once.
    package var datasetShuffle = true
    /// Whether to shuffle the validation data once.
    package var valDatasetShuffle = false
    /// Whether to shuffle the training data again for each epoch.
    package var trainDataloaderShuffle = true
    /// Threads that prepare the data.
    package var datasetNumProc = 1
    /// Threads that make batches ahead.
    package var dataloaderNumWorkers = 1
    /// Whether to leave out a last batch that is not full.
    package var dataloaderDropLast = false
    /// The prompt of a row, with names of columns in braces; nil takes the column of the prompt.
    package var promptFormat: String?
    /// Whether columns are only read under their own names.
    package var disableAutoColumnMapping = false
    /// The share of each training data set where rows are mixed; empty lays them one behind the other.
    package var interleaveProb: [Double] = []
    /// When data sets that are mixed end.
    package var stoppingStrategy = StoppingStrategy.firstExhausted
    /// The share of rows that may be left out.
    package var maxDroppedRatio = 0.5
    /// Whether rows that an earlier run encoded in the same way are taken from the cache.
    package var loadFromCacheFile = true
    /// The name that self-cognition data gives the model, in Chinese and in English.
    package var modelName: [String]?
    /// The name that self-cognition data gives its author, in Chinese and in English.
    package var modelAuthor: [String]?

    package init(_ dataset: [String] = []) {
        self.dataset = dataset
    }

    /// Whether rows are split off from `dataset` for validation.
    package var isSplit: Bool { valDataset.isEmpty && splitDatasetRatio > 0 }

    /// Whether there are rows to validate on, or to answer.
    package var hasValidation: Bool { !valDataset.isEmpty || (!dataset.isEmpty && isSplit) }
}

extension DataSettings: SettingsPart {
    package static let fields: [SettingsField<DataSettings>] = [
        SettingsField("dataset", \.dataset),
        SettingsField("val_dataset", \.valDataset),
        SettingsField("split_dataset_ratio", \.splitDatasetRatio),
        SettingsField("columns", \.columns),
        SettingsField("strict", \.strict),
        SettingsField("data_seed", \.dataSeed, affectsNumbers: true),
        SettingsField("dataset_shuffle", \.datasetShuffle),
        SettingsField("val_dataset_shuffle", \.valDatasetShuffle),
        SettingsField("train_dataloader_shuffle", \.trainDataloaderShuffle, affectsNumbers: true),
        SettingsField("dataset_num_proc", \.datasetNumProc),
        SettingsField("dataloader_num_workers", \.dataloaderNumWorkers),
        SettingsField("dataloader_drop_last", \.dataloaderDropLast, affectsNumbers: true),
        SettingsField("model_name", \.modelName),
        SettingsField("model_author", \.modelAuthor),
        SettingsField("custom_dataset_info", \.customDatasetInfo),
        SettingsField("prompt_format", \.promptFormat),
        SettingsField("disable_auto_column_mapping", \.disableAutoColumnMapping),
        SettingsField("interleave_prob", \.interleaveProb),
        SettingsField("stopping_strategy", \.stoppingStrategy),
        SettingsField("max_dropped_ratio", \.maxDroppedRatio),
        SettingsField("load_from_cache_file", \.loadFromCacheFile),
    ]

    /// How data sets are mixed; nil where they are not.
    ///
    /// - Throws: `DatasetError` for what are no probabilities.
    func interleaving() throws -> Interleaving? {
        interleaveProb.isEmpty
            ? nil : try Interleaving(probabilities: interleaveProb, stopping: stoppingStrategy)
    }

    /// Splits nothing off where that is not wanted after all.
    ///
    /// - Parameter refused: Why validation data are not wanted; nil where they are.
    mutating func settleSplit(refused: String? = nil, notices: inout [String]) {
        guard splitDatasetRatio > 0 else { return }
        guard let reason = valDataset.isEmpty ? refused : "--val_dataset is given" else { return }
        splitDatasetRatio = 0
        notices.append("--split_dataset_ratio is 0, because \(reason).")
    }
}
