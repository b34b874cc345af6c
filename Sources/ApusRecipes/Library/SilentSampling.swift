package import ApusRewards
import ApusRunLog

/// Sampling that prints nothing, with rewards that a program brings along.
package enum SilentSampling {
    /// - Returns: The output.
    package static func run(_ settings: SampleSettings, rewards: [any RewardFunction]) throws -> String {
        var settings = settings
        var notices: [String] = []
        try settings.settle(notices: &notices)
        let console = Console(output: NoOutput(), style: ConsoleStyle())
        let sampling = try ResponseSampling(
            settings, surroundings: Surroundings(), console: console, own: rewards)
        try sampling()
        return sampling.path
    }
}

/// Where what nobody reads goes.
struct NoOutput: TerminalOutput {
    let columns: Int? = nil
    func write(_ text: String) {}
}
