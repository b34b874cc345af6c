import ApusFiles
import ApusLanguageModel
package import ApusRewards
import ApusRunLog

/// A training run that prints nothing and tells a program how it goes.
package enum SilentTraining {
    /// - Parameters:
    ///   - environment: `HOME`, for which `~` stands in paths, and what else is found in the environment.
    ///   - onNotice: Sees what the command prints beside its progress.
    ///   - onRecord: Sees the step, the steps in all and the metrics of each row of the log.
    /// - Returns: The last checkpoint, or the best where the settings ask for that.
    /// - Throws: Also `CancellationError` where the task was cancelled, with a checkpoint of the last step made.
    package static func run(
        _ settings: SFTSettings, environment: [String: String] = [:], onNotice: (@Sendable (String) -> Void)? = nil,
        onRecord: @escaping (Int, Int, [String: Double]) -> Void
    ) throws -> String {
        let surroundings = Surroundings(environment: environment)
        let home = HomeFolder.path(environment)
        let console = Console.library(onNotice)
        var run =
            try settings.preferences == nil
            ? FineTuning(settled(settings, home: home, console), surroundings: surroundings)
            : FineTuning(settled(RLHFSettings(settings), home: home, console), surroundings: surroundings)
        run.console = console
        run.onRecord = onRecord
        run.takesSignals = false
        let outcome = try run()
        if outcome.signal != nil { throw CancellationError() }
        guard let checkpoint = outcome.finalCheckpoint else {
            throw ModelError("\(outcome.folder): the run saved no checkpoint")
        }
        return checkpoint
    }

    private static func settled<Settings: CommandSettings>(
        _ settings: Settings, home: String, _ console: Console
    ) throws -> Settings {
        var settings = settings
        settings.expandPaths(home: home)
        try settings.checkRanges()
        var notices: [String] = []
        try settings.settle(notices: &notices)
        for notice in notices { console.print("note: \(notice)") }
        return settings
    }
}

extension SFTSettings {
    /// Learns which of two answers is better.
    package mutating func learnPreferences() { preferences = PreferenceSettings(.dpo) }

    /// Learns from what rewards say of the model's own answers.
    package mutating func learnFromRewards(
        _ own: [any RewardFunction], _ names: [String], groupSize: Int, longest: Int
    ) {
        var chosen = PreferenceSettings(.grpo)
        chosen.ownRewards = own
        chosen.rewards.rewardFuncs = names
        chosen.policy.numGenerations = groupSize
        chosen.policy.maxCompletionLength = longest
        preferences = chosen
    }
}
