import Foundation

/// The course of the learning rate (`--lr_scheduler_type`).
public enum ScheduleKind: String, Sendable, CaseIterable {
    case linear, cosine, constant
    case constantWithWarmup = "constant_with_warmup"
}

/// The learning rate as a pure function of the step, as `transformers` computes it.
package struct Schedule: Sendable, Equatable {
    package let kind: ScheduleKind
    package let peak: Double
    package let warmupSteps: Int
    package let totalSteps: Int

    package init(_ kind: ScheduleKind, peak: Double, warmupSteps: Int, totalSteps: Int) {
        self.kind = kind
        self.peak = peak
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
    }

    /// The rate of the update number `step`, counted from 0.
    package func rate(at step: Int) -> Double { peak * factor(at: step) }

    private func factor(at step: Int) -> Double {
        if kind == .constant { return 1 }
        if step < warmupSteps { return Double(step) / Double(max(1, warmupSteps)) }
        let rest = Double(max(1, totalSteps - warmupSteps))
        switch kind {
        case .constant, .constantWithWarmup: return 1
        case .linear: return max(0, Double(totalSteps - step) / rest)
        case .cosine: return max(0, 0.5 * (1 + Foundation.cos(.pi * Double(step - warmupSteps) / rest)))
        }
    }
}
