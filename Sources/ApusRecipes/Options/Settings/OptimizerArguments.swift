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
    var adEMAMix = AdEMAMix.Settings()
    var apollo = APOLLO.Options()
    var grokAdamW = GrokAdamW.Settings()

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
        case .adEMAMix, .pagedAdEMAMix:
            adEMAMix.beta1 = try arguments.number("beta1", .from(0, below: 1)) ?? settings.adamBeta1
            adEMAMix.beta2 = try arguments.number("beta2", .from(0, below: 1)) ?? settings.adamBeta2
            adEMAMix.beta3 = try arguments.number("beta3", .from(0, below: 1)) ?? adEMAMix.beta3
            adEMAMix.alpha = try arguments.number("alpha", .from(0)) ?? adEMAMix.alpha
            adEMAMix.epsilon = try arguments.number("eps", .from(0)) ?? settings.adamEpsilon
            adEMAMix.alphaSteps = try arguments.integer("t_alpha", from: 1)
            adEMAMix.beta3Steps = try arguments.integer("t_beta3", from: 1)
            guard adEMAMix.beta3Steps == nil || adEMAMix.beta1 > 0 && adEMAMix.beta3 > 0 else {
                throw SettingsError(
                    "--optim_args: t_beta3 has beta3 grow from beta1, which needs both above 0. Leave it out, or give them."
                )
            }
        case .apollo:
            apollo.rank = try arguments.integer("rank", from: 1) ?? apollo.rank
            apollo.gap = try arguments.integer("update_proj_gap", from: 1) ?? apollo.gap
            apollo.scale = try arguments.number("scale", .above(0)) ?? apollo.scale
            apollo.scaling = try arguments.word("scale_type") ?? apollo.scaling
            // What there is of either.
            let _: RandomProjection? = try arguments.word("proj")
            let _: ShorterSide? = try arguments.word("proj_type")
        case .grokAdamW:
            grokAdamW.kept = try arguments.number("alpha_init", .from(0, upTo: 1)) ?? grokAdamW.kept
            grokAdamW.amplification = try arguments.number("lamb", .from(0)) ?? grokAdamW.amplification
            grokAdamW.layerDecay = try arguments.number("gamma", .from(0, upTo: 1)) ?? grokAdamW.layerDecay
            // It says how fast α falls with losses that are compared, and as in the Trainer none are.
            _ = try arguments.number("grokking_signal_decay_rate", .from(0))
            grokAdamW.maximumNorm = try arguments.number("gradient_clipping", .from(0)) ?? grokAdamW.maximumNorm
        default: break
        }
    }
}

/// How APOLLO finds projections: its package knows `svd` too, which is GaLore's.
private enum RandomProjection: String, CaseIterable {
    case random
}

/// Which side of a gradient is projected.
private enum ShorterSide: String, CaseIterable {
    case std
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
        case .adEMAMix, .pagedAdEMAMix: ["beta1", "beta2", "beta3", "alpha", "eps", "t_alpha", "t_beta3"]
        case .apollo: ["rank", "proj", "update_proj_gap", "scale", "scale_type", "proj_type"]
        case .grokAdamW: ["alpha_init", "lamb", "gamma", "grokking_signal_decay_rate", "gradient_clipping"]
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
