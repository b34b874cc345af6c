import ApusFiles
package import ApusRewards
import ApusRunLog
import Foundation

/// Sampling that prints nothing, with rewards that a program brings along.
package enum SilentSampling {
    /// - Parameters:
    ///   - environment: `HOME`, for which `~` stands in paths, and what else is found in the environment.
    ///   - onNotice: Sees what the command prints beside its progress.
    /// - Returns: The output.
    package static func run(
        _ settings: SampleSettings, rewards: [any RewardFunction], environment: [String: String] = [:],
        onNotice: (@Sendable (String) -> Void)? = nil
    ) throws -> String {
        var settings = settings
        settings.expandPaths(home: HomeFolder.path(environment))
        try settings.checkRanges()
        var notices: [String] = []
        try settings.settle(notices: &notices)
        let console = Console.library(onNotice)
        for notice in notices { console.print("note: \(notice)") }
        let sampling = try ResponseSampling(
            settings, surroundings: Surroundings(environment: environment), console: console, own: rewards)
        // What is there was sampled with other settings, or by other rewards.
        guard !FileManager.default.fileExists(atPath: sampling.path) else {
            throw SettingsError("\(sampling.path) is there already. Remove it, or name another file.")
        }
        try sampling()
        return sampling.path
    }
}
