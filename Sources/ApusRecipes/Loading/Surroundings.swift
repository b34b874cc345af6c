import Foundation

/// What a run may know of the process around it.
///
/// The command line fills it in; nothing below reads the environment.
public struct Surroundings: Sendable {
    /// The environment variables.
    public var environment: [String: String]
    /// The words that started the program, for the records of a run.
    public var commandLine: [String]

    public init(environment: [String: String] = [:], commandLine: [String] = []) {
        self.environment = environment
        self.commandLine = commandLine
    }
}
