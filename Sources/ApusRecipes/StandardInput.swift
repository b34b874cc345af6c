#if canImport(Darwin)
    @preconcurrency import Darwin
#elseif canImport(Glibc)
    @preconcurrency import Glibc
#elseif canImport(Musl)
    @preconcurrency import Musl
#endif

/// What a person or another program gives a command; what cannot be read is not taken for its end.
package enum StandardInput {
    /// The next line without its end; nil behind the last.
    ///
    /// - Throws: `StandardInputError`.
    package static func readLine() throws -> String? {
        try line(strippingNewline: true)
    }

    /// All that is left.
    ///
    /// - Throws: `StandardInputError`.
    package static func readAll() throws -> String {
        var text = ""
        while let line = try line(strippingNewline: false) { text += line }
        return text
    }

    private static func line(strippingNewline: Bool) throws -> String? {
        let line = Swift.readLine(strippingNewline: strippingNewline)
        // A failure in the middle of a line gives its beginning. Ctrl-C where a person types ends the lines.
        let code = errno
        if ferror(stdin) != 0, code != EINTR { throw StandardInputError(code: code) }
        return line
    }
}

/// What a command was to read could not be read.
package struct StandardInputError: ExitCodeProviding, CustomStringConvertible, Equatable {
    /// The `errno` of the system.
    package let code: Int32

    package var exitCode: Int32 { ExitCode.failure }
    package var description: String { "standard input cannot be read: \(String(cString: strerror(code)))" }
}
