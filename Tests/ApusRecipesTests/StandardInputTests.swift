import Foundation
import Testing

@testable import ApusRecipes

/// Each test reads the standard input of a process of its own.
struct StandardInputTests {
    @Test func everythingIsRead() async {
        await #expect(processExitsWith: .exitCode(0)) {
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0, write(ends[1], "a\r\n\né\n b", 9) == 9 else { exit(1) }
            dup2(ends[0], STDIN_FILENO)
            close(ends[1])
            guard try StandardInput.readLine() == "a", try StandardInput.readLine()?.isEmpty == true else { exit(2) }
            guard try StandardInput.readAll() == "é\n b", try StandardInput.readLine() == nil else { exit(3) }
            exit(0)
        }
    }

    /// A line in another encoding is no text, and nothing is put in its place; those behind it are read.
    @Test func anotherEncoding() async {
        await #expect(processExitsWith: .exitCode(0)) {
            var ends: [Int32] = [0, 0]
            let bytes: [UInt8] = Array("a\r\n".utf8) + [0x68, 0xE9, 0x0A] + Array("\nb\u{0}c".utf8) + [0x0A, 0xFF]
            guard pipe(&ends) == 0, write(ends[1], bytes, bytes.count) == bytes.count else { exit(1) }
            dup2(ends[0], STDIN_FILENO)
            close(ends[1])
            func isNoText(_ read: () throws -> String?) -> Bool {
                do {
                    _ = try read()
                    return false
                } catch {
                    return (error as? StandardInputTextError)?.exitCode == ExitCode.data
                }
            }
            guard try StandardInput.readLine() == "a", isNoText(StandardInput.readLine) else { exit(2) }
            guard try StandardInput.readLine()?.isEmpty == true, try StandardInput.readLine() == "b\u{0}c" else {
                exit(3)
            }
            guard isNoText(StandardInput.readAll), try StandardInput.readLine() == nil else { exit(4) }
            exit(0)
        }
    }

    /// What was closed is no empty input, though its place is kept.
    @Test func aClosedInput() async {
        await #expect(processExitsWith: .exitCode(0)) {
            // The test runner's other threads may take the place first.
            var (here, null) = (stat(), stat())
            stat("/dev/null", &null)
            repeat {
                close(STDIN_FILENO)
                StandardOutput.keepPlaces()
                fstat(STDIN_FILENO, &here)
            } while here.st_rdev != null.st_rdev
            let reads: [() throws -> String?] = [StandardInput.readLine, StandardInput.readAll]
            for read in reads {
                do {
                    _ = try read()
                    exit(1)
                } catch let error as StandardInputError {
                    guard error.exitCode == ExitCode.failure,
                        error.description == "standard input cannot be read: Bad file descriptor"
                    else { exit(2) }
                }
            }
            exit(0)
        }
    }

    @Test func aFolder() async {
        await #expect(processExitsWith: .exitCode(0)) {
            dup2(open("/", O_RDONLY), STDIN_FILENO)
            do {
                _ = try StandardInput.readAll()
                exit(1)
            } catch { exit(error as? StandardInputError == StandardInputError(code: EISDIR) ? 0 : 2) }
        }
    }
}
