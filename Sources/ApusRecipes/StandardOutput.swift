import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a command is asked for goes here; what it says about its work does not.
///
/// Nothing waits in a buffer: what was written is there, or has thrown.
package enum StandardOutput {
    /// Writes all of a text.
    ///
    /// - Throws: `StandardOutputError`.
    package static func write(_ text: String) throws {
        try write(text, to: STDOUT_FILENO)
    }

    /// Writes a line.
    ///
    /// - Throws: As `write`.
    package static func writeLine(_ line: String) throws {
        try write(line + "\n")
    }

    /// Writes all of a text to another descriptor.
    ///
    /// - Throws: As `write`.
    package static func write(_ text: String, to descriptor: Int32) throws {
        var text = text
        let code: Int32? = text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = written(rest, descriptor)
                if count >= 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                } else if errno == EAGAIN {
                    // Whoever shares the terminal or pipe may have told it not to wait.
                    var place = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&place, 1, -1)
                } else if errno != EINTR {
                    return errno
                }
            }
            return nil
        }
        if let code { throw StandardOutputError(code: code) }
    }

    /// Keeps files that are opened later from the places of standard streams that are closed: what is written to such a
    /// stream would go into them.
    ///
    /// A stream that is closed stays one that cannot be used.
    package static func keepPlaces() {
        for stream in STDIN_FILENO...STDERR_FILENO where fcntl(stream, F_GETFD) < 0 {
            // The lowest number that is free is this one.
            _ = open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}

private func written(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}

/// What a command was asked for could not be written.
package struct StandardOutputError: ExitCodeProviding, CustomStringConvertible, Equatable {
    /// The `errno` of the system.
    package let code: Int32

    /// Whether it is only that nobody reads on, as behind `| head`, of which nothing is said.
    package var isClosedPipe: Bool { code == EPIPE }

    /// Of a closed pipe that of the signal that tells of it.
    package var exitCode: Int32 { isClosedPipe ? 128 + SIGPIPE : ExitCode.failure }
    package var description: String { "standard output cannot be written to: \(String(cString: strerror(code)))" }
}
