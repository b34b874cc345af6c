import ApusTraining

/// What grpo learns of experts beside the model's own answers (CHORD).
package struct ExpertSettings: Sendable {
    /// Conversations whose answers are the experts'; empty learns of none.
    package var chordSFTDataset: [String] = []
    /// How many of them are learned beside each micro-batch.
    package var chordSFTPerDeviceTrainBatchSize: Int?
    /// The steps in which their share, μ, rises from 0 to its peak.
    package var chordMuWarmupSteps: Int?
    /// The steps in which it falls from there to its valley.
    package var chordMuDecaySteps: Int?
    package var chordMuPeak: Double?
    package var chordMuValley: Double?
    /// Whether their tokens are weighed by how unsure the model is of them, φ.
    package var chordEnablePhiFunction = false

    package init() {}
}

extension ExpertSettings: SettingsPart {
    package static let fields: [SettingsField<ExpertSettings>] = [
        SettingsField("chord_sft_dataset", \.chordSFTDataset),
        SettingsField(
            "chord_sft_per_device_train_batch_size", \.chordSFTPerDeviceTrainBatchSize, affectsNumbers: true),
        SettingsField("chord_mu_warmup_steps", \.chordMuWarmupSteps, affectsNumbers: true),
        SettingsField("chord_mu_decay_steps", \.chordMuDecaySteps, affectsNumbers: true),
        SettingsField("chord_mu_peak", \.chordMuPeak, affectsNumbers: true),
        SettingsField("chord_mu_valley", \.chordMuValley, affectsNumbers: true),
        SettingsField("chord_enable_phi_function", \.chordEnablePhiFunction, affectsNumbers: true),
    ]

    static let options = Set(fields.map(\.name))
}

extension ExpertSettings {
    /// Whether experts are learned from.
    var areGiven: Bool { !chordSFTDataset.isEmpty }

    /// The most rows of a step.
    private static let largestStep = 1_048_576

    /// How much they count, and how many rows a step has of them; nil where there are none.
    ///
    /// - Parameter accumulation: Micro-batches of a step.
    /// - Throws: `SettingsError` for settings that are missing or contradict each other.
    func lessons(accumulation: Int) throws -> (schedule: ImitationSchedule, rowsOfStep: Int)? {
        guard areGiven else { return nil }
        guard let size = chordSFTPerDeviceTrainBatchSize, let warmup = chordMuWarmupSteps,
            let decay = chordMuDecaySteps, let peak = chordMuPeak, let valley = chordMuValley
        else {
            let missing = [
                ("chord_sft_per_device_train_batch_size", chordSFTPerDeviceTrainBatchSize == nil),
                ("chord_mu_warmup_steps", chordMuWarmupSteps == nil),
                ("chord_mu_decay_steps", chordMuDecaySteps == nil), ("chord_mu_peak", chordMuPeak == nil),
                ("chord_mu_valley", chordMuValley == nil),
            ].filter(\.1).map { "--\($0.0)" }
            throw SettingsError(
                "--chord_sft_dataset: \(missing.joined(separator: ", ")) \(missing.count == 1 ? "is" : "are") not given, "
                    + "without which it is not known how much the experts count. As in "
                    + "--chord_sft_per_device_train_batch_size 1 --chord_mu_warmup_steps 0 --chord_mu_decay_steps 200 "
                    + "--chord_mu_peak 0.9 --chord_mu_valley 0.05.")
        }
        guard peak > 0, valley <= peak else {
            throw SettingsError(
                "--chord_mu_peak \(readable(peak)) is the most that the experts count, and must be above 0 and not below "
                    + "--chord_mu_valley \(readable(valley)).")
        }
        let (rows, overflows) = size.multipliedReportingOverflow(by: accumulation)
        guard !overflows, rows <= Self.largestStep else {
            throw SettingsError(
                "--chord_sft_per_device_train_batch_size \(size) × --gradient_accumulation_steps \(accumulation) are more "
                    + "rows than the \(Self.largestStep) that a step learns at most. Give less.")
        }
        let schedule = ImitationSchedule(warmupSteps: warmup, decaySteps: decay, peak: peak, valley: valley)
        return (schedule, rows)
    }
}
