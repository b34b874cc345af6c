import ApusFiles
import ApusJSON
import ApusRunLog
import ApusTraining

extension RunLog.Options {
    /// Has the run reported to the services that the settings name.
    ///
    /// - Parameters:
    ///   - runID: Of the run and of what goes on from its checkpoints.
    ///   - arguments: What `args.json` says.
    mutating func track(
        _ settings: OutputSettings, _ surroundings: Surroundings, runID: String, arguments: JSONObject,
        config: JSONValue, parameterCount: Int
    ) {
        func value(_ name: String) -> String? { surroundings.setting(name) }
        // As the Trainer has it: the model's configuration under the arguments.
        var facts = config.objectValue ?? JSONObject()
        for (name, value) in arguments { facts[name] = value }
        let id = String(runID.lowercased().filter { $0.isLetter || $0.isNumber }.prefix(8))
        if settings.reportTo.contains(.wandb) {
            var config = facts
            config["model/num_parameters"] = .int(parameterCount)
            wandb = TrackedRun(
                id: id, project: value("WANDB_PROJECT") ?? "huggingface", owner: value("WANDB_ENTITY"),
                name: settings.runName ?? value("WANDB_NAME"),
                folder: surroundings.wandbFolder,
                config: config)
        }
        if settings.reportTo.contains(.swanlab) {
            var config = facts
            config["model_num_parameters"] = .int(parameterCount)
            swanLab = TrackedRun(
                id: id, project: settings.swanlabProject ?? value("SWANLAB_PROJECT") ?? "ms-swift",
                owner: settings.swanlabWorkspace, name: settings.swanlabExperimentName ?? settings.runName,
                folder: surroundings.swanLabFolder, config: config)
        }
    }
}

extension Surroundings {
    fileprivate func setting(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    fileprivate var wandbFolder: String { setting("WANDB_DIR").map { FilePath.join($0, "wandb") } ?? "wandb" }
    fileprivate var swanLabFolder: String { setting("SWANLAB_LOG_DIR") ?? "swanlog" }

    /// Refuses a folder of a tracker that cannot be written, before there is any work to lose.
    ///
    /// - Throws: `SettingsError`.
    func checkTrackers(_ settings: OutputSettings) throws {
        for (target, name, folder) in [
            (ReportTarget.wandb, "WANDB_DIR", wandbFolder), (.swanlab, "SWANLAB_LOG_DIR", swanLabFolder),
        ] where settings.reportTo.contains(target) {
            try OutputPlace.check(folder, "report_to \(target.rawValue), which writes into its folder (\(name))")
        }
    }
}

extension RunEnding {
    init(_ ending: TrainingRun.Ending) {
        switch ending {
        case .finished: self = .finished
        case .stopped(let signal): self = .stopped(signal: signal)
        }
    }
}
