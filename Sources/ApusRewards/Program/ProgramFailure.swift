/// Why a program gave no rewards, and what it said of it.
struct ProgramFailure: Error {
    enum Kind {
        case cannotStart(String)
        /// - Parameter after: The numbers that had come.
        case ended(status: String, after: Int)
        case closedInput(after: Int)
        case silent(seconds: Double, after: Int)
        case wrong(String, Int)
        case tooMany(String)
        case endless(Int)
    }

    let kind: Kind
    /// The end of its standard error stream.
    let errors: String

    /// Whether another try may go better.
    var mayBeChance: Bool {
        switch kind {
        case .ended, .closedInput, .silent: true
        case .cannotStart, .wrong, .tooMany, .endless: false
        }
    }

    /// - Parameter line: What a line should have been.
    func described(_ completions: [Completion], wanted line: String) -> String {
        let count = completions.count
        func place(_ index: Int) -> String {
            guard index < count else { return "behind the last completion" }
            return "for completion \(index + 1) of \(count) (\"\(Self.short(completions[index].text))\")"
        }
        let wanted = "; wanted \(line) a line, in the order of the completions"
        let text =
            switch kind {
            case .cannotStart(let reason): "cannot be started: \(reason)"
            case .ended(let status, let after): "ended with \(status) \(place(after))"
            case .closedInput(let after): "closed its standard input \(place(after))"
            case .silent(let seconds, let after):
                "wrote nothing within \(Self.readable(seconds)) seconds \(place(after)). If it writes through a buffer, empty "
                    + "it after each line (print(…, flush=True))"
            case .wrong(let line, let index): "wrote \"\(Self.short(line))\" \(place(index))\(wanted)"
            case .tooMany(let line):
                "wrote \"\(Self.short(line))\" after the lines of all \(count) completions\(wanted)"
            case .endless(let index): "wrote more than a million bytes without a line break \(place(index))\(wanted)"
            }
        return errors.isEmpty ? text : "\(text). It said:\n\(errors)"
    }

    private static func short(_ text: String) -> String {
        let line = text.replacing("\n", with: " ")
        return line.count <= 60 ? line : line.prefix(57) + "…"
    }

    private static func readable(_ seconds: Double) -> String {
        Int(exactly: seconds).map(String.init) ?? "\(seconds)"
    }
}
