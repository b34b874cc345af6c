import ApusRunLog

/// What a run says, on a terminal of some width or on none.
final class Recorder: TerminalOutput, @unchecked Sendable {
    private(set) var text = ""
    let columns: Int?
    var console: Console { Console(output: self, style: ConsoleStyle()) }

    init(columns: Int? = nil) { self.columns = columns }

    func write(_ text: String) { self.text += text }
}
