import Foundation

/// The course of the learning rate (`--lr_scheduler_type`).
package enum ScheduleKind: String, Sendable, CaseIterable {
    case linear, cosine
    case cosineWithRestarts = "cosine_with_restarts"
    case polynomial, constant
    case constantWithWarmup = "constant_with_warmup"
    case inverseSquareRoot = "inverse_sqrt"
    case reduceOnPlateau = "reduce_lr_on_plateau"
    case cosineWithMinimum = "cosine_with_min_lr"
    case cosineWarmupWithMinimum = "cosine_warmup_with_min_lr"
    case warmupStableDecay = "warmup_stable_decay"
}

/// The form of a rise or a fall of the learning rate (`warmup_type`, `decay_type`).
package enum ScheduleRamp: String, Sendable, CaseIterable {
    case linear, cosine
    case squareRoot = "1-sqrt"
}

/// What a course has beside its peak, its warmup and its length (`--lr_scheduler_kwargs`); the names of `transformers`.
package struct ScheduleOptions: Sendable, Equatable {
    /// Turns of the cosine, or its restarts (`num_cycles`); nil is half a turn, or one restart.
    package var cycles: Double?
    /// Where a polynomial ends (`lr_end`).
    package var endRate = 1e-7
    /// Its exponent (`power`).
    package var power = 1.0
    /// Steps in which an inverse root falls by √2 (`timescale`); nil is the warmup, else 10,000.
    package var timescale: Int?
    /// The least share of the peak (`min_lr_rate`, `min_lr_ratio`).
    package var minimumShare = 0.0
    /// The share of the peak that a warmup begins with (`warmup_lr_rate`).
    package var warmupShare: Double?
    /// Steps at the peak (`num_stable_steps`); nil is what warmup and decay leave.
    package var stableSteps: Int?
    /// Steps of the last fall (`num_decay_steps`).
    package var decaySteps = 0
    package var warmupRamp = ScheduleRamp.linear
    package var decayRamp = ScheduleRamp.cosine
    package var plateau = PlateauOptions()

    package init() {}
}

/// The learning rate as a pure function of the step, as `transformers` computes it.
///
/// Of `reduceOnPlateau` this is the rate before any reduction; `Plateau` has the others.
package struct Schedule: Sendable, Equatable {
    package let kind: ScheduleKind
    package let peak: Double
    package let warmupSteps: Int
    package let totalSteps: Int
    package let options: ScheduleOptions

    package init(
        _ kind: ScheduleKind, peak: Double, warmupSteps: Int, totalSteps: Int, options: ScheduleOptions = .init()
    ) {
        self.kind = kind
        self.peak = peak
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
        self.options = options
    }

    /// The rate of the update number `step`, counted from 0.
    package func rate(at step: Int) -> Double { peak * factor(at: step) }

    private func factor(at step: Int) -> Double {
        if kind == .constant || kind == .reduceOnPlateau { return 1 }
        if step < warmupSteps { return warmupFactor(at: step) }
        let since = Double(step - warmupSteps)
        let rest = Double(max(1, totalSteps - warmupSteps))
        switch kind {
        case .constant, .constantWithWarmup, .reduceOnPlateau: return 1
        case .linear: return max(0, Double(totalSteps - step) / rest)
        case .cosine: return max(0, wave(since / rest))
        case .cosineWithRestarts:
            let progress = since / rest
            guard progress < 1 else { return 0 }
            let turns = (options.cycles ?? 1) * progress
            return max(0, 0.5 * (1 + cos(.pi * turns.truncatingRemainder(dividingBy: 1))))
        case .polynomial:
            guard step <= totalSteps else { return options.endRate / peak }
            let left = 1 - since / rest
            return ((peak - options.endRate) * pow(left, options.power) + options.endRate) / peak
        case .inverseSquareRoot:
            let scale = options.timescale ?? (warmupSteps > 0 ? warmupSteps : 10_000)
            return 1 / (Double(step + scale - warmupSteps) / Double(scale)).squareRoot()
        case .cosineWithMinimum: return max(0, lifted(wave(since / rest)))
        case .cosineWarmupWithMinimum: return max(0, lifted(wave((since + 1) / rest)))
        case .warmupStableDecay: return decayFactor(at: step)
        }
    }

    private func warmupFactor(at step: Int) -> Double {
        let progress = Double(step) / Double(max(1, warmupSteps))
        switch kind {
        case .cosineWarmupWithMinimum:
            guard let start = options.warmupShare else { return Double(step + 1) / Double(max(1, warmupSteps)) }
            return start + (1 - start) * Double(step) / Double(max(1, warmupSteps - 1))
        case .warmupStableDecay:
            let rise =
                switch options.warmupRamp {
                case .linear: progress
                case .cosine: 0.5 * (1 - cos(.pi * progress))
                case .squareRoot: 1 - (1 - progress).squareRoot()
                }
            return max(0, lifted(rise))
        default: return progress
        }
    }

    /// Behind the warmup: steps at the peak, a fall, and the least rate.
    private func decayFactor(at step: Int) -> Double {
        let stable = warmupSteps + (options.stableSteps ?? totalSteps - warmupSteps - options.decaySteps)
        if step < stable { return 1 }
        guard step < stable + options.decaySteps else { return options.minimumShare }
        let progress = Double(step - stable) / Double(max(1, options.decaySteps))
        let fall =
            switch options.decayRamp {
            case .linear: 1 - progress
            case .cosine: wave(progress)
            case .squareRoot: 1 - progress.squareRoot()
            }
        return max(0, lifted(fall))
    }

    private func wave(_ progress: Double) -> Double {
        0.5 * (1 + cos(.pi * (options.cycles ?? 0.5) * 2 * progress))
    }

    private func lifted(_ factor: Double) -> Double { factor * (1 - options.minimumShare) + options.minimumShare }
}
