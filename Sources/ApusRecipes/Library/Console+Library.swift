import ApusRunLog

extension Console {
    /// A console without a terminal and without progress, of which a program sees the lines, if it wants them.
    static func library(_ onNotice: (@Sendable (String) -> Void)?) -> Console {
        var style = ConsoleStyle()
        style.showsProgress = false
        return Console(output: NoticeOutput(onNotice: onNotice), style: style)
    }
}

/// Gives what is written to a program.
private struct NoticeOutput: TerminalOutput {
    let columns: Int? = nil
    let onNotice: (@Sendable (String) -> Void)?

    func write(_ text: String) { onNotice?(text.hasSuffix("\n") ? String(text.dropLast()) : text) }
}
