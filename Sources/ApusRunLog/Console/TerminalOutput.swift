import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Where progress and log lines go.
package protocol TerminalOutput: Sendable {
    /// Columns per line; nil when it is not a terminal.
    var columns: Int? { get }

    /// Writes all of `text` at once. Text that cannot be written is lost: a run outlives its terminal. (A program has to
    /// ignore SIGPIPE for that.)
    func write(_ text: String)
}

/// The standard error stream.
package struct StandardErrorOutput: TerminalOutput {
    package init() {}

    package var columns: Int? {
        guard isatty(STDERR_FILENO) == 1 else { return nil }
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    package func write(_ text: String) {
        // One call for a whole line, past stdio's buffers, so that lines of several threads do not mix.
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
