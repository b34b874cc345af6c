import ApusFiles

/// What a progress bar counts.
package enum ProgressUnit: Sendable {
    case items
    /// Shown in binary units, with a speed per second.
    case bytes
}

/// The text of a progress bar, as tqdm prints it:
/// `Train:  35%|███▌      | 70/200 [01:10<02:11,  1.01s/it, loss=1.234, tok/s=270, mem=1.9GiB]`.
struct ProgressMeter: Sendable {
    let label: String
    let total: Int
    /// Where this process started counting: a resumed run does not count the steps of the earlier one as its speed.
    let initial: Int
    let unit: ProgressUnit
    var position: Int
    var postfix: [(name: String, value: String)] = []
    var style = ConsoleStyle()

    private let start: Double
    private var last: (time: Double, position: Int)
    private var speed = MovingAverage(decay: 0.7)

    init(_ label: String, total: Int, initial: Int = 0, unit: ProgressUnit = .items, now: Double) {
        self.label = label
        self.unit = unit
        self.total = total
        self.initial = initial
        position = initial
        start = now
        last = (now, initial)
    }

    /// Moves on to `position`.
    ///
    /// Speed is the moving average of seconds per step, the newest counting 0.3, as in tqdm; steps shorter than a tenth
    /// of a second are taken together.
    mutating func advance(to position: Int, now: Double) {
        self.position = position
        guard position > last.position, now - last.time >= 0.1 else { return }
        speed.add((now - last.time) / Double(position - last.position))
        last = (now, position)
    }

    /// The meter in at most `columns` characters; nil leaves the bar out, for lines in a file.
    func text(columns: Int?, now: Double) -> String {
        let fraction = total > 0 ? min(max(Double(position) / Double(total), 0), 1) : 1
        let percent = String(Int((fraction * 100).rounded()))
        let head = "\(label): " + String(repeating: " ", count: max(0, 3 - percent.count)) + percent + "%"
        let place = "\(amount(position))/\(amount(total)) [\(times(now: now))"
        func tail(_ count: Int) -> String {
            place + postfix.prefix(count).map { ", \($0.name)=\($0.value)" }.joined() + "]"
        }
        guard let columns else { return "\(head) \(tail(postfix.count))" }
        // Where there is no room for a bar beside all, what is told last is left out.
        for count in stride(from: postfix.count, through: 0, by: -1) {
            let tail = tail(count)
            let room = columns - head.count - tail.count - 3
            if room > 0 { return "\(head)|\(style.colored(bar(fraction, width: room)))| \(tail)" }
        }
        return String("\(head) \(tail(0))".prefix(columns))
    }

    private func amount(_ count: Int) -> String {
        unit == .bytes ? ByteCount.format(Int64(count)) : String(count)
    }

    private func times(now: Double) -> String {
        let elapsed = DurationFormat.clock(now - start)
        // tqdm shows the mean at the end and the moving average before.
        let done = position - initial
        let mean = done > 0 ? (now - start) / Double(done) : nil
        guard let pace = position >= total ? mean : speed.value ?? mean, pace > 0 else {
            return unit == .bytes ? "\(elapsed)<?" : "\(elapsed)<?, ?it/s"
        }
        let remaining = DurationFormat.clock(pace * Double(max(0, total - position)))
        if unit == .bytes { return "\(elapsed)<\(remaining), \(ByteCount.format(Int64(min(1 / pace, 1e15))))/s" }
        let rate = pace > 1 ? Self.fixed(pace) + "s/it" : Self.fixed(1 / pace) + "it/s"
        return "\(elapsed)<\(remaining), \(rate)"
    }

    private func bar(_ fraction: Double, width: Int) -> String {
        let steps = style.unicode ? Array(" ▏▎▍▌▋▊▉█") : Array(" 123456789#")
        let perCell = steps.count - 1
        let filled = Int(fraction * Double(width * perCell))
        let full = filled / perCell
        guard full < width else { return String(repeating: steps[perCell], count: width) }
        return String(repeating: steps[perCell], count: full) + String(steps[filled % perCell])
            + String(repeating: " ", count: width - full - 1)
    }

    /// C's `%5.2f`.
    private static func fixed(_ value: Double) -> String {
        guard value < 1e9 else { return "?" }
        let hundredths = Int((value * 100).rounded())
        let text = "\(hundredths / 100)." + DurationFormat.twoDigits(hundredths % 100)
        return String(repeating: " ", count: max(0, 5 - text.count)) + text
    }
}
