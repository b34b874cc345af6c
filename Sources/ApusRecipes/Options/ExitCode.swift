/// The exit codes of `apus`, so that a script can tell what went wrong without reading the message.
///
/// A run that a signal ended has 128 and the signal's number: 129 of SIGHUP, 130 of SIGINT, 143 of SIGTERM.
package enum ExitCode {
    package static let failure: Int32 = 1
    /// A word of the command line is wrong.
    package static let usage: Int32 = 2
    /// A configuration file, or settings that contradict each other.
    package static let configuration: Int32 = 3
    package static let data: Int32 = 4
    package static let outOfMemory: Int32 = 6
    /// The run stopped at a loss or gradient that is not a number.
    package static let notANumber: Int32 = 7
}

/// An error that knows with which code the program should end.
package protocol ExitCodeProviding: Error {
    var exitCode: Int32 { get }
}
