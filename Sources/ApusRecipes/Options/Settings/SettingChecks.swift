/// Checks that several commands share.
enum SettingChecks {
    /// A count of steps, or a share of all steps below one.
    static func steps(_ steps: Double?, _ option: String) throws {
        guard let steps, steps >= 1, Int(exactly: steps) == nil else { return }
        throw SettingsError(
            "--\(option): got \(readable(steps)), wanted a whole number of steps, or less than 1 for a share of all steps."
        )
    }

    /// A loss that the task can have.
    static func loss(_ loss: LossType?, for task: TaskType) throws {
        let fitting = task.task.losses
        guard let loss, !fitting.contains(loss) else { return }
        throw SettingsError(
            "--loss_type \(loss.rawValue) does not go with --task_type \(task.rawValue). "
                + "Give \(fitting.map(\.rawValue).joined(separator: " or ")), or leave it out.")
    }

    /// A count where -1 means no limit.
    static func countOrAll(_ count: Int, _ option: String) throws {
        guard count == 0 else { return }
        throw SettingsError("--\(option): got 0, wanted at least 1, or -1 for no limit.")
    }

    static func model(_ model: String?, _ command: Command) throws {
        guard model?.isEmpty ?? true else { return }
        throw UsageError(
            "--model: not given. Give the folder of a model, as in `apus \(command.rawValue) --model Qwen2.5-0.5B …`.")
    }
}
