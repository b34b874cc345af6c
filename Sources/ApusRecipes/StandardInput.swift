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
    /// - Throws: `StandardInputError`, or `StandardInputTextError` of a line that is no text, behind which others are read.
    package static func readLine() throws -> String? {
        try line(strippingNewline: true)
    }

    /// All that is left.
    ///
    /// - Throws: `StandardInputError`, or `StandardInputTextError`.
    package static func readAll() throws -> String {
        var text = ""
        while let line = try line(strippingNewline: false) { text += line }
        return text
    }

    private static func line(strippingNewline: Bool) throws -> String? {
        var buffer: UnsafeMutablePointer<CChar>?
        defer { free(buffer) }
        var capacity = 0
        let count = getline(&buffer, &capacity, stdin)
        // A failure in the middle of a line gives its beginning. Ctrl-C where a person types ends the lines.
        let code = errno
        if ferror(stdin) != 0, code != EINTR { throw StandardInputError(code: code) }
        guard count > 0, let buffer else { return nil }
        var bytes = UnsafeRawBufferPointer(start: buffer, count: count)[...]
        if strippingNewline, bytes.last == UInt8(ascii: "\n") {
            bytes.removeLast()
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        }
        // In another encoding it would be another text.
        guard let line = String(validating: bytes, as: UTF8.self) else {
            throw StandardInputTextError(beginning: String(decoding: bytes.prefix(80), as: UTF8.self))
        }
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

/// A line of what a command was to read is no text.
package struct StandardInputTextError: ExitCodeProviding, CustomStringConvertible, Equatable {
    /// What can be read of it.
    let beginning: String

    package var exitCode: Int32 { ExitCode.data }
    package var description: String {
        "standard input: \(beginning.debugDescription) is not UTF-8; save the text as UTF-8"
    }
}
