/// An exponential moving average without the pull of its starting point.
///
///     m ← d·m + (1 − d)·x,   average = m / (1 − dⁿ)
struct MovingAverage: Sendable {
    private let decay: Double
    private var sum = 0.0
    private var weight = 0.0

    init(decay: Double) {
        self.decay = decay
    }

    var value: Double? { weight > 0 ? sum / weight : nil }

    mutating func add(_ value: Double) {
        sum = decay * sum + (1 - decay) * value
        weight = decay * weight + (1 - decay)
    }
}
