import Foundation
import Testing

@testable import ApusRecipes

/// What a command is asked for is written, or the command fails.
struct StandardOutputTests {
    @Test func everythingIsWritten() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("", to: "out")
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        let text = String(repeating: "é\n", count: 100_000)
        try StandardOutput.write(text, to: file.fileDescriptor)
        try StandardOutput.write("", to: file.fileDescriptor)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }

    @Test func aStreamThatTakesNothing() throws {
        #expect(throws: StandardOutputError(code: EBADF)) { try StandardOutput.write("a", to: -1) }
        #if os(Linux)
            let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
            let error = #expect(throws: StandardOutputError(code: ENOSPC)) {
                try StandardOutput.write("a", to: full.fileDescriptor)
            }
            #expect(error?.exitCode == ExitCode.failure)
            #expect(error?.description == "standard output cannot be written to: No space left on device")
        #endif
    }

    /// Behind `| head` a program ends without a word, as the signal would have ended it.
    @Test func aClosedPipe() {
        let error = StandardOutputError(code: EPIPE)
        #expect(error.isClosedPipe && error.exitCode == 141)
        #expect(!StandardOutputError(code: ENOSPC).isClosedPipe)
    }
}
