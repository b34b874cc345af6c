import ApusNN
package import ApusTorch

/// The factor that lifts the gradients of float16 above the smallest number it has; found by trying.
///
/// A step whose gradients overflow moves nothing and halves the factor; 2000 good steps in a row double it. The rule and
/// its numbers are those of `torch.amp.GradScaler`.
package final class LossScaler: ResumableState {
    package static let initialScale = 65536.0
    static let growth = 2.0
    static let backoff = 0.5
    static let growthInterval = 2000.0

    /// The factor, good steps since it last changed, and steps skipped in all.
    private let figures: Tensor

    package init(scale: Double = LossScaler.initialScale) throws {
        figures = try Tensor([scale, 0, 0] as [Double])
    }

    private func read() throws -> (scale: Double, good: Double, skipped: Double) {
        let values: [Double] = try figures.values()
        return (values[0], values[1], values[2])
    }

    private func write(_ scale: Double, _ good: Double, _ skipped: Double) throws {
        try figures.copy(from: Tensor([scale, good, skipped] as [Double]))
    }

    /// What the loss is multiplied by.
    package func scale() throws -> Double { try read().scale }

    /// How many steps moved nothing because of an overflow.
    package func skippedSteps() throws -> Int { Int(try read().skipped) }

    /// A step went well.
    package func noteStep() throws {
        let now = try read()
        let isTime = now.good + 1 >= Self.growthInterval
        try write(isTime ? now.scale * Self.growth : now.scale, isTime ? 0 : now.good + 1, now.skipped)
    }

    /// The gradients of a step overflowed.
    package func noteOverflow() throws {
        let now = try read()
        try write(now.scale * Self.backoff, 0, now.skipped + 1)
    }

    package var state: [(name: String, tensor: Tensor)] { [("loss_scaler", figures)] }
}
