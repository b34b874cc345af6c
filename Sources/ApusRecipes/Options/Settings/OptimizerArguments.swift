import ApusJSON
import ApusOptimizers

/// What `--optim_args` says of the optimizer that was chosen.
struct OptimizerArguments {
    var sgd = SGD.Settings()
    var adafactor = Adafactor.Settings()
    var adagrad = Adagrad.Settings()
    var rmsprop = RMSprop.Settings()
    var scheduleFree = ScheduleFree.Settings()
    var muon = Muon.Settings()

    /// - Throws: `SettingsError` for a name that the optimizer does not have, or a value outside its range.
    init(_ settings: OptimizationSettings) throws {
        let usesMuon = settings.optimizer == .muon
        let owner = usesMuon ? "--optimizer muon" : "--optim \(settings.optim.rawValue)"
        var values = JSONObject()
        for part in (settings.optimArgs ?? "").split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map { String($0.filter { !$0.isWhitespace }) }
            guard pair.count == 2, !pair[0].isEmpty, !pair[1].isEmpty else {
                throw SettingsError(
                    "--optim_args: got \"\(part)\", wanted names and values such as momentum=0.9,nesterov=true.")
            }
            values[pair[0]] = .string(pair[1])
        }
        let arguments = try NamedArguments(
            values, of: "optim_args", for: owner,
            known: usesMuon ? ["momentum", "nesterov", "ns_steps"] : settings.optim.argumentNames)
        if usesMuon {
            muon.momentum = try arguments.number("momentum", .from(0, below: 1)) ?? muon.momentum
            muon.isNesterov = try arguments.boolean("nesterov") ?? muon.isNesterov
            muon.steps = try arguments.integer("ns_steps", from: 1) ?? muon.steps
            muon.adam = settings.adam
            return
        }
        switch settings.optim {
        case .sgd:
            sgd.momentum = try arguments.number("momentum", .from(0)) ?? 0
            sgd.dampening = try arguments.number("dampening", .from(0)) ?? 0
            sgd.isNesterov = try arguments.boolean("nesterov") ?? false
            if sgd.isNesterov, sgd.momentum == 0 || sgd.dampening != 0 {
                throw SettingsError(
                    "--optim_args: nesterov=true needs a momentum above 0 and no dampening, as in "
                        + "momentum=0.9,nesterov=true.")
            }
        case .adafactor:
            adafactor.clipThreshold = try arguments.number("clip_threshold", .above(0)) ?? adafactor.clipThreshold
            adafactor.decayRate = try arguments.number("decay_rate", .any) ?? adafactor.decayRate
            adafactor.beta1 = try arguments.number("beta1", .from(0, below: 1))
        case .adagrad:
            adagrad.rateDecay = try arguments.number("lr_decay", .from(0)) ?? adagrad.rateDecay
            adagrad.epsilon = try arguments.number("eps", .from(0)) ?? adagrad.epsilon
        case .rmsprop:
            rmsprop.decay = try arguments.number("alpha", .from(0)) ?? rmsprop.decay
            rmsprop.epsilon = try arguments.number("eps", .from(0)) ?? rmsprop.epsilon
            rmsprop.momentum = try arguments.number("momentum", .from(0)) ?? rmsprop.momentum
            rmsprop.isCentered = try arguments.boolean("centered") ?? rmsprop.isCentered
        case .scheduleFreeAdamW, .scheduleFreeSGD:
            scheduleFree.isAdaptive = settings.optim == .scheduleFreeAdamW
            if scheduleFree.isAdaptive {
                (scheduleFree.beta1, scheduleFree.beta2) = (settings.adamBeta1, settings.adamBeta2)
                scheduleFree.epsilon = settings.adamEpsilon
                guard settings.adamBeta1 > 0 else {
                    throw SettingsError(
                        "--adam_beta1 0: --optim schedule_free_adamw takes gradients between its steps and their average, "
                            + "which it says. Give a number above 0.")
                }
            }
            scheduleFree.ratePower = try arguments.number("weight_lr_power", .any) ?? scheduleFree.ratePower
            scheduleFree.stepPower = try arguments.number("r", .any) ?? scheduleFree.stepPower
        default: break
        }
    }
}

extension OptimizerName {
    /// The names of `--optim_args` that the optimizer has.
    fileprivate var argumentNames: [String] {
        switch self {
        case .sgd: ["momentum", "dampening", "nesterov"]
        case .adafactor: ["clip_threshold", "decay_rate", "beta1"]
        case .adagrad: ["lr_decay", "eps"]
        case .rmsprop: ["momentum", "alpha", "eps", "centered"]
        case .scheduleFreeAdamW, .scheduleFreeSGD: ["weight_lr_power", "r"]
        default: []
        }
    }
}

extension OptimizationSettings {
    /// The constants of Adam.
    var adam: AdamW.Settings {
        var adam = AdamW.Settings()
        adam.beta1 = adamBeta1
        adam.beta2 = adamBeta2
        adam.epsilon = adamEpsilon
        return adam
    }
}
