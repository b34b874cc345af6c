import ApusRecipes
import CEdit
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Lines that a person types at a terminal, edited by libedit: arrow keys, history, pasted texts in one piece.
final class TerminalInput: LineInput {
    /// Where the terminal is told what to mark; nil where there is none to tell, or none that knows how.
    private let marks: Int32?

    /// nil where standard input is no terminal.
    init?() {
        guard isatty(STDIN_FILENO) == 1 else { return nil }
        // The C locale knows no letters beyond ASCII; nothing set is a container, whose terminal still is a modern one.
        setlocale(LC_CTYPE, "")
        if String(cString: nl_langinfo(Int32(CODESET))) != "UTF-8" { setlocale(LC_CTYPE, "C.UTF-8") }
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? false
        marks = isDumb ? nil : [STDOUT_FILENO, STDERR_FILENO].first { isatty($0) == 1 }
        apus_edit_prepare(isatty(STDOUT_FILENO) == 1 ? 0 : 1, readCharacter)
        Interruption.install()
    }

    deinit {
        Interruption.uninstall()
    }

    func line(prompt: String) -> String? {
        marksPastes(true)
        defer { marksPastes(false) }
        _ = Interruption.take()
        rl_resize_terminal()
        guard let bytes = readline(prompt) else { return nil }
        defer { free(bytes) }
        let line = String(cString: bytes)
        if !line.allSatisfy(\.isWhitespace) { add_history(line) }
        return keyboard.withLock { $0.expanded(line) }
    }

    func takeInterruption() -> Bool { Interruption.take() }

    /// Whether the terminal marks pasted text (`\e[?2004h`); what is pasted while nobody reads stays unmarked.
    private func marksPastes(_ isOn: Bool) {
        if let marks { try? StandardOutput.write("\u{1B}[?2004\(isOn ? "h" : "l")", to: marks) }
    }
}

private let keyboard = Mutex(PasteDecoder())

/// The next character for libedit.
private func readCharacter(_: UnsafeMutablePointer<FILE>?) -> Int32 {
    while true {
        if let scalar = keyboard.withLock({ $0.next() }) { return Int32(bitPattern: scalar.value) }
        var byte: UInt8 = 0
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 1 {
            keyboard.withLock { $0.append(byte) }
        } else if count < 0, errno == EINTR {
            // Ctrl-C empties the line: Ctrl-E and Ctrl-U delete what was typed, and the empty line is read again.
            if Interruption.take() { keyboard.withLock { $0.insert("\u{05}\u{15}\n") } }
        } else {
            return -1
        }
    }
}

/// Ctrl-C as a wish to end an answer or a line; the program goes on.
///
/// A second one before the first was looked at, as when a long prompt is read, ends the program with status 130.
enum Interruption {
    static func install() {
        // The atomic exists before a handler can run: the first use of a global is not safe inside one.
        received.store(false, ordering: .relaxed)
        var action = sigaction()
        #if canImport(Darwin)
            action.__sigaction_u.__sa_handler = noteInterruption
        #else
            action.__sigaction_handler.sa_handler = noteInterruption
        #endif
        sigemptyset(&action.sa_mask)
        // Without SA_RESTART: a read that waits for the keyboard is to end.
        action.sa_flags = 0
        sigaction(SIGINT, &action, nil)
    }

    static func uninstall() {
        signal(SIGINT, SIG_DFL)
    }

    /// Whether Ctrl-C was pressed since the last time.
    static func take() -> Bool { received.exchange(false, ordering: .relaxed) }
}

private let received = Atomic<Bool>(false)

private func noteInterruption(_: Int32) {
    if received.exchange(true, ordering: .relaxed) { _exit(128 + SIGINT) }
}
