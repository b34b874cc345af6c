import Foundation
import Synchronization

/// How progress is shown.
package struct ConsoleStyle: Sendable {
    /// Colours the bar.
    package var color: Bool
    /// Draws the bar in eighths of a character; otherwise in digits.
    package var unicode: Bool
    /// Whether progress is shown at all.
    package var showsProgress = true
    /// The shortest time between two drawings of the bar, in seconds.
    package var redrawInterval: Double
    /// The time between two lines of progress where there is no terminal, in seconds.
    package var lineInterval: Double

    package init(
        color: Bool = false, unicode: Bool = true, redrawInterval: Double = 0.1, lineInterval: Double = 30
    ) {
        self.color = color
        self.unicode = unicode
        self.redrawInterval = redrawInterval
        self.lineInterval = lineInterval
    }

    /// What an environment asks for: `NO_COLOR`, a dumb terminal, a locale without UTF-8.
    package init(environment: [String: String]) {
        self.init()
        color = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        let locale = [environment["LC_ALL"], environment["LC_CTYPE"], environment["LANG"]]
            .compactMap { $0 }.first { !$0.isEmpty }
        // Nothing set is a container, whose terminal still is a modern one.
        unicode = locale.map { $0.lowercased().replacing("-", with: "").contains("utf8") } ?? true
    }

    func colored(_ text: String) -> String {
        color ? "\u{1B}[38;5;209m\(text)\u{1B}[0m" : text
    }
}

/// The terminal of a run: lines above, the progress bar of what is under way below.
///
/// Where output is not a terminal, progress is a plain line now and then.
package final class Console: Sendable {
    private let output: any TerminalOutput
    let style: ConsoleStyle
    private let now: @Sendable () -> Double
    private let state = Mutex(State())

    private struct State: Sendable {
        /// Bars that have been started and not finished; the last one is shown.
        var bars: [(id: Int, meter: ProgressMeter)] = []
        var nextID = 0
        var lastShown = -Double.infinity
        /// Whether a bar stands on the terminal's current line.
        var isDrawn = false
    }

    /// - Parameter now: A clock in seconds that never goes back.
    package init(
        output: any TerminalOutput = StandardErrorOutput(), style: ConsoleStyle,
        now: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime }
    ) {
        self.output = output
        self.style = style
        self.now = now
    }

    /// The width of the terminal; nil where there is none.
    package var columns: Int? { output.columns }

    /// Prints a line; a bar moves below it.
    package func print(_ line: String) {
        state.withLock { state in
            var text = clearing(&state) + line + "\n"
            if let columns = output.columns, let bar = state.bars.last {
                text += drawing(bar.meter, columns, &state)
            }
            output.write(text)
        }
    }

    /// Shows a bar.
    ///
    /// One that is shown already waits until this one is finished.
    ///
    /// - Parameter unit: What is counted.
    package func startProgress(
        _ label: String, total: Int, initial: Int = 0, unit: ProgressUnit = .items
    ) -> ProgressBar {
        state.withLock { state in
            var meter = ProgressMeter(label, total: total, initial: initial, unit: unit, now: now())
            meter.style = style
            state.nextID += 1
            guard style.showsProgress else { return ProgressBar(console: self, id: state.nextID) }
            state.bars.append((state.nextID, meter))
            if let columns = output.columns {
                output.write(clearing(&state) + drawing(meter, columns, &state))
            } else {
                state.lastShown = now()
            }
            return ProgressBar(console: self, id: state.nextID)
        }
    }

    fileprivate func update(_ id: Int, to position: Int, _ postfix: [(String, String)]) {
        state.withLock { state in
            guard let index = state.bars.firstIndex(where: { $0.id == id }) else { return }
            let time = now()
            state.bars[index].meter.advance(to: position, now: time)
            state.bars[index].meter.postfix = postfix
            guard index == state.bars.count - 1 else { return }
            let meter = state.bars[index].meter
            if let columns = output.columns {
                guard time - state.lastShown >= style.redrawInterval else { return }
                output.write(clearing(&state) + drawing(meter, columns, &state))
            } else if time - state.lastShown >= style.lineInterval {
                state.lastShown = time
                output.write(meter.text(columns: nil, now: time) + "\n")
            }
        }
    }

    fileprivate func finish(_ id: Int) {
        state.withLock { state in
            guard let index = state.bars.firstIndex(where: { $0.id == id }) else { return }
            let meter = state.bars.remove(at: index).meter
            if let columns = output.columns {
                var text = clearing(&state) + drawing(meter, columns, &state) + "\n"
                state.isDrawn = false
                if let below = state.bars.last { text += drawing(below.meter, columns, &state) }
                output.write(text)
            } else {
                output.write(meter.text(columns: nil, now: now()) + "\n")
            }
        }
    }

    private func clearing(_ state: inout State) -> String {
        defer { state.isDrawn = false }
        return state.isDrawn ? "\r\u{1B}[K" : ""
    }

    private func drawing(_ meter: ProgressMeter, _ columns: Int, _ state: inout State) -> String {
        state.isDrawn = true
        state.lastShown = now()
        // The last column stays free: filling it makes some terminals wrap.
        return meter.text(columns: max(1, columns - 1), now: now())
    }
}

/// One bar of a console.
package struct ProgressBar: Sendable {
    fileprivate let console: Console
    fileprivate let id: Int

    /// Moves the bar; `postfix` is shown behind the speed as `, name=value`.
    package func update(to position: Int, postfix: [(String, String)] = []) {
        console.update(id, to: position, postfix)
    }

    /// Shows the last state and ends the line.
    package func finish() {
        console.finish(id)
    }
}
