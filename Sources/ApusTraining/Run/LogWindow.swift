import ApusTorch

/// Sums of tallies by name, in the order in which the names first came.
struct Tallies {
    private var sums: [(name: String, parts: [Tensor], count: Int)] = []

    mutating func add(_ tallies: [Tally]) {
        for tally in tallies {
            if let index = sums.firstIndex(where: { $0.name == tally.name }) {
                sums[index].parts.append(tally.sum)
                sums[index].count += tally.count
            } else {
                sums.append((tally.name, [tally.sum], tally.count))
            }
        }
    }

    /// Waits for the device; what nothing was counted of has no mean.
    func means() throws -> [(name: String, value: Double)] {
        try sums.filter { $0.count > 0 }.map { name, parts, count in
            (name, try parts.reduce(0) { $0 + (try $1.item()) } / Double(count))
        }
    }
}

/// What has happened since the last line of the log.
struct LogWindow {
    private var losses = 0.0
    private var steps = 0
    private var tokens = 0
    private var seconds = 0.0
    private(set) var tallies = Tallies()
    /// Of the last step that moved something.
    private(set) var norm: Double?

    init() {}

    /// An empty window that still knows how fast the last one was, for the progress bar.
    init(speedOf last: LogWindow) {
        tokens = last.tokens
        seconds = last.seconds
    }

    mutating func add(_ parts: [Tally]) { tallies.add(parts) }

    mutating func add(_ outcome: UpdateStep.Outcome, tokens: Int, seconds: Double) {
        losses += outcome.loss
        steps += 1
        if outcome.verdict != .overflowed { norm = outcome.norm }
        self.tokens += tokens
        self.seconds += seconds
    }

    var loss: Double { losses / Double(max(steps, 1)) }
    var tokensPerSecond: Double { Double(tokens) / max(seconds, 1e-9) }
}
