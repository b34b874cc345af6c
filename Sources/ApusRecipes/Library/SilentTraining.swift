import ApusLanguageModel
import ApusRunLog

/// A training run that prints nothing and tells a program how it goes.
package enum SilentTraining {
    /// - Parameter onRecord: Sees the step, the steps in all and the metrics of each row of the log.
    /// - Returns: The last checkpoint, or the best where the settings ask for that.
    package static func run(
        _ settings: SFTSettings, onRecord: @escaping (Int, Int, [String: Double]) -> Void
    ) throws -> String {
        var run = try FineTuning(settings.validated())
        run.console = Console(output: NoOutput(), style: ConsoleStyle())
        run.onRecord = onRecord
        run.takesSignals = false
        let outcome = try run()
        guard let checkpoint = outcome.finalCheckpoint else {
            throw ModelError("\(outcome.folder): the run saved no checkpoint")
        }
        return checkpoint
    }
}
