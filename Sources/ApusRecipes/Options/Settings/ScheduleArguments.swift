import ApusJSON
import ApusOptimizers

extension ScheduleKind {
    /// The names of `--lr_scheduler_kwargs` that the course has.
    var argumentNames: [String] {
        switch self {
        case .linear, .constant, .constantWithWarmup: []
        case .cosine, .cosineWithRestarts: ["num_cycles"]
        case .polynomial: ["lr_end", "power"]
        case .inverseSquareRoot: ["timescale"]
        case .reduceOnPlateau:
            ["mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps"]
        case .cosineWithMinimum: ["min_lr", "min_lr_rate", "num_cycles"]
        case .cosineWarmupWithMinimum: ["min_lr", "min_lr_rate", "num_cycles", "warmup_lr_rate"]
        case .warmupStableDecay:
            ["num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio", "num_cycles"]
        }
    }
}

private enum PlateauMode: String, CaseIterable { case min, max }
private enum ThresholdMode: String, CaseIterable { case rel, abs }

extension OptimizationSettings {
    /// What `--lr_scheduler_kwargs` says, with the defaults of `transformers`.
    ///
    /// - Parameter peak: The highest learning rate.
    /// - Throws: `SettingsError` for a name that the course does not have, or a value outside its range.
    func scheduleOptions(peak: Double) throws -> ScheduleOptions {
        let owner = "--lr_scheduler_type \(lrSchedulerType.rawValue)"
        let json = try lrSchedulerKwargs.map { try JSONValue(parsing: $0) } ?? .null
        guard json == .null || json.objectValue != nil else {
            throw SettingsError(
                "--lr_scheduler_kwargs: got \(json.serialized()), wanted a JSON object such as '{\"min_lr\": 1e-6}'.")
        }
        let arguments = try NamedArguments(
            json.objectValue ?? [:], of: "lr_scheduler_kwargs", for: owner, known: lrSchedulerType.argumentNames)
        var options = ScheduleOptions()
        options.cycles =
            lrSchedulerType == .cosineWithRestarts
            ? try arguments.integer("num_cycles", from: 1).map(Double.init)
            : try arguments.number("num_cycles", .above(0))
        options.power = try arguments.number("power", .above(0)) ?? options.power
        options.timescale = try arguments.integer("timescale", from: 1)
        options.warmupShare = try arguments.number("warmup_lr_rate", .from(0, upTo: 1))
        switch lrSchedulerType {
        case .polynomial:
            options.endRate = try arguments.number("lr_end", .from(0)) ?? options.endRate
            guard options.endRate < peak else {
                throw SettingsError(
                    "\(owner) ends at a learning rate of \(readable(options.endRate)), which is not below --learning_rate "
                        + "\(readable(peak)). Give a smaller \"lr_end\" in --lr_scheduler_kwargs.")
            }
        case .cosineWithMinimum, .cosineWarmupWithMinimum:
            guard arguments.has("min_lr") != arguments.has("min_lr_rate") else {
                throw SettingsError(
                    "\(owner) needs one of \"min_lr\", a learning rate, and \"min_lr_rate\", a share of the highest: "
                        + "--lr_scheduler_kwargs '{\"min_lr_rate\": 0.1}'.")
            }
            options.minimumShare =
                try arguments.number("min_lr", .from(0)).map { $0 / peak }
                ?? arguments.number("min_lr_rate", .from(0, upTo: 1)) ?? 0
        case .warmupStableDecay:
            guard let steps = try arguments.integer("num_decay_steps", from: 0) else {
                throw SettingsError(
                    "\(owner) needs the steps of its last fall: --lr_scheduler_kwargs '{\"num_decay_steps\": 100}'.")
            }
            options.decaySteps = steps
            options.stableSteps = try arguments.integer("num_stable_steps", from: 0)
            options.warmupRamp = try arguments.word("warmup_type") ?? options.warmupRamp
            options.decayRamp = try arguments.word("decay_type") ?? options.decayRamp
            options.minimumShare = try arguments.number("min_lr_ratio", .from(0, upTo: 1)) ?? 0
        case .reduceOnPlateau: try read(arguments, into: &options.plateau)
        default: break
        }
        return options
    }

    private func read(_ arguments: NamedArguments, into plateau: inout PlateauOptions) throws {
        let mode: PlateauMode? = try arguments.word("mode")
        let threshold: ThresholdMode? = try arguments.word("threshold_mode")
        plateau.seeksMore = mode == .max
        plateau.isRelative = threshold != .abs
        plateau.factor = try arguments.number("factor", .from(0, below: 1)) ?? plateau.factor
        plateau.patience = try arguments.integer("patience", from: 0) ?? plateau.patience
        plateau.threshold = try arguments.number("threshold", .from(0)) ?? plateau.threshold
        plateau.cooldown = try arguments.integer("cooldown", from: 0) ?? plateau.cooldown
        plateau.leastRate = try arguments.number("min_lr", .from(0)) ?? plateau.leastRate
        plateau.leastChange = try arguments.number("eps", .from(0)) ?? plateau.leastChange
    }
}
