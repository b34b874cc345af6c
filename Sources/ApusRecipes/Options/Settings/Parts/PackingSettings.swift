package import ApusDatasets

/// Which samples share a micro-batch, and whether they are read while the run goes on.
package struct PackingSettings: Sendable {
    /// Whether to lay samples together into packs, which count as one sample each.
    package var packing = false
    /// The most tokens of a pack; nil takes `max_length`.
    package var packingLength: Int?
    /// How packs are made.
    package var packingStrategy = PackingStrategy.binPacking
    /// Whether samples of like length come into one micro-batch.
    package var groupByLength = false
    /// Whether rows are read and encoded while the run goes on, in constant memory.
    package var streaming = false
    /// The rows of a stream among which the next is drawn.
    package var shuffleBufferSize = 1000

    package init() {}
}

extension PackingSettings: SettingsPart {
    package static let fields: [SettingsField<PackingSettings>] = [
        SettingsField("packing", \.packing, affectsNumbers: true),
        SettingsField("packing_length", \.packingLength, affectsNumbers: true),
        SettingsField("packing_strategy", \.packingStrategy, affectsNumbers: true),
        SettingsField("group_by_length", \.groupByLength, affectsNumbers: true),
        SettingsField("streaming", \.streaming, affectsNumbers: true),
        SettingsField("shuffle_buffer_size", \.shuffleBufferSize, affectsNumbers: true),
    ]

    /// Settles what the way samples are put together means for other settings.
    ///
    /// - Parameter maximumSteps: `max_steps`, -1 where the epochs decide.
    /// - Throws: `SettingsError` for what contradicts each other.
    func check(_ data: DataSettings, maximumSteps: Int) throws {
        if groupByLength, !data.trainDataloaderShuffle {
            throw SettingsError(
                "--group_by_length true with --train_dataloader_shuffle false: groups are made of samples in drawn order. "
                    + "Leave one of them out.")
        }
        guard streaming else { return }
        guard maximumSteps > 0 else {
            throw SettingsError(
                "--streaming true: the rows are not counted, so the run needs --max_steps. Give it, as in --max_steps 1000."
            )
        }
        if groupByLength {
            throw SettingsError(
                "--group_by_length true: the lengths of a stream are not known. Leave it out, or --streaming.")
        }
        if data.isSplit {
            throw SettingsError(
                "--split_dataset_ratio \(data.splitDatasetRatio): the rows of a stream are not counted. Give --val_dataset."
            )
        }
        if data.dataloaderDropLast {
            throw SettingsError("--dataloader_drop_last true: a stream has no last batch. Leave it out.")
        }
    }
}
