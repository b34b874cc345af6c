import ApusRunLog
import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The question of the command line, or the lines of standard input.
struct TypedLines {
    private let question: String?
    private let console: Console
    private let hint: String

    /// - Parameter hint: Tells a person what to type.
    init(_ settings: InferSettings, hint: String, console: Console) {
        question = settings.question
        self.hint = hint
        self.console = console
    }

    /// Writes the answer to each line as a line of standard output.
    ///
    /// A person hears what is wrong with a line and goes on, until an empty line. From a file or a pipe every line, empty
    /// ones too, gets a line, so that they can be laid side by side.
    ///
    /// - Throws: What is wrong with the question, `UnansweredLines`, `StandardInputError`, or `StandardOutputError`.
    func callAsFunction(_ answer: (String) throws -> String) throws {
        if let question { return try StandardOutput.writeLine(answer(question)) }
        let isTyped = isatty(STDIN_FILENO) == 1
        if isTyped { console.print("\(hint) An empty line ends.") }
        var (count, failed) = (0, 0)
        while let read = try next(), !isTyped || (try? read.get()) != "" {
            count += 1
            var text: String? = ""
            do {
                let line = try read.get()
                if !line.isEmpty { text = try answer(line) }
            } catch {
                failed += 1
                console.print("error: \(isTyped ? "" : "line \(count): ")\(error)")
                if isTyped { text = nil }
            }
            if let text { try StandardOutput.writeLine(text) }
        }
        if failed > 0, !isTyped { throw UnansweredLines(failed: failed, count: count) }
    }

    /// The next line, or why it is no text; nil behind the last.
    private func next() throws -> Result<String, StandardInputTextError>? {
        do {
            return try StandardInput.readLine().map { .success($0) }
        } catch let error as StandardInputTextError {
            return .failure(error)
        }
    }
}

/// Some lines of standard input could not be answered; the others were.
struct UnansweredLines: ExitCodeProviding, CustomStringConvertible {
    let failed: Int
    let count: Int

    var exitCode: Int32 { ExitCode.data }
    var description: String { "\(failed) of \(count) lines could not be answered; each has an empty line instead" }
}
