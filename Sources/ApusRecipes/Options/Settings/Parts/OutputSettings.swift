/// Where a run writes, and what it says.
package struct OutputSettings: Sendable {
    /// The folder of runs; nil is `output/` and the name of the model.
    package var outputDirectory: String?
    /// Whether the run gets a new folder `v<N>-<time>` in `outputDirectory`.
    package var addVersion = true
    /// Whether to remove what an earlier run left in `outputDirectory`, where runs get no folder of their own.
    package var overwriteOutputDirectory = false
    /// Whether to keep the links `best` and `last`.
    package var createCheckpointSymlink = false
    /// When lines of the log are written.
    package var loggingStrategy = IntervalStrategy.steps
    /// Steps between lines of the log, where steps decide; below 1 a share of all.
    package var loggingSteps = 5.0
    /// Whether to log the first step too.
    package var loggingFirstStep = true
    /// The folder of the TensorBoard files; nil is `runs` in the run's folder.
    package var loggingDirectory: String?
    /// Where the log also goes.
    package var reportTo = [ReportTarget.tensorBoard]
    /// What trackers call the run; nil leaves it to them.
    package var runName: String?
    /// The project of SwanLab; nil is `SWANLAB_PROJECT`, else `ms-swift`.
    package var swanlabProject: String?
    /// The workspace of SwanLab; nil is the user's.
    package var swanlabWorkspace: String?
    /// What SwanLab calls the run; nil is `runName`.
    package var swanlabExperimentName: String?
    /// Whether there is no progress bar; nil shows one in a terminal.
    package var disableTQDM: Bool?

    package init() {}
}

extension OutputSettings: SettingsPart {
    package static let fields: [SettingsField<OutputSettings>] = [
        SettingsField("output_dir", \.outputDirectory),
        SettingsField("add_version", \.addVersion),
        SettingsField("overwrite_output_dir", \.overwriteOutputDirectory),
        SettingsField("create_checkpoint_symlink", \.createCheckpointSymlink),
        SettingsField("logging_steps", \.loggingSteps),
        SettingsField("logging_first_step", \.loggingFirstStep),
        SettingsField("logging_dir", \.loggingDirectory),
        SettingsField("report_to", \.reportTo),
        SettingsField("disable_tqdm", \.disableTQDM),
        SettingsField("logging_strategy", \.loggingStrategy),
        SettingsField("run_name", \.runName),
        SettingsField("swanlab_project", \.swanlabProject),
        SettingsField("swanlab_workspace", \.swanlabWorkspace),
        SettingsField("swanlab_exp_name", \.swanlabExperimentName),
    ]

    /// - Throws: `SettingsError` where `none` stands among others, or steps are no whole number.
    func check() throws {
        try SettingChecks.steps(loggingSteps, "logging_steps")
        guard reportTo.count <= 1 || !reportTo.contains(.none) else {
            throw SettingsError("--report_to: got none among others. Give none alone.")
        }
    }
}
