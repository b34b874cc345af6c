package import ApusRewards
package import ApusText
import ApusTraining

/// A loss of preferences, by ms-swift's word.
package enum PreferenceLossType: String, Sendable, CaseIterable {
    case sigmoid, hinge, ipo
    case exoPair = "exo_pair"
    case ncaPair = "nca_pair"
    case robust
    case bcoPair = "bco_pair"
    case sppoHard = "sppo_hard"
    case aot
    case aotUnpaired = "aot_unpaired"
    case apoZero = "apo_zero"
    case apoDown = "apo_down"
    case discopop
    case sigmoidNorm = "sigmoid_norm"
    /// The likelihood of chosen answers, for mixes.
    case sft
    case simpo
    /// As `simpo`, with shaped rewards and without the likelihood.
    case alphaPO = "alphapo"
    case kto
    case apoZeroUnpaired = "apo_zero_unpaired"
    case grpo, bnpo
    case drGRPO = "dr_grpo"
    case dapo, cispo, sapo, fipo
}

/// A divergence between a model and its reference, by TRL's word.
package enum DivergenceType: String, Sendable, CaseIterable {
    case reverseKL = "reverse_kl"
    case forwardKL = "forward_kl"
    case jensenShannon = "js_divergence"
    case alphaDivergence = "alpha_divergence"
}

extension DivergenceType: OptionChoice {}
extension PreferenceMethod: OptionChoice {}
extension PreferenceLossType: OptionChoice {}

/// What a run learns of preferences, and what it is compared with.
package struct PreferenceSettings: Sendable {
    /// How preferences are learned.
    package var method = PreferenceMethod.dpo
    /// The model that a run is compared with; nil is the model itself as it was.
    package var refModel: String?
    /// Adapters on the model that it is compared with.
    package var refAdapters: [String] = []
    /// Whether the reference is asked about every sample before the run, and then given up.
    package var precomputesReference = false
    /// Whether it follows the model.
    package var moving = MovingReferenceSettings()
    /// How much it costs to leave the reference, or in gkd which of two divergences counts; nil is 0.1, 2 for simpo and 0.5
    /// for gkd.
    package var beta: Double?
    /// The share of pairs that are believed to be the wrong way round.
    package var labelSmoothing = 0.0
    /// The weight of the likelihood of chosen answers beside dpo's losses; nil leaves it out.
    package var rpoAlpha: Double?
    /// The weight of tokens behind the length of the shorter answer; nil is 1.
    package var ldAlpha: Double?
    /// Whether that weight counts in the reference's scores too, as in TRL.
    package var ldAlphaReference = false
    /// The temperature of `discopop`.
    package var discopopTau = 0.05
    /// What keeps dpo near its reference.
    package var fDivergenceType = DivergenceType.reverseKL
    /// The α of `alphaDivergence`.
    package var fAlphaDivergenceCoef = 0.5
    /// What is minimised; empty takes the method's.
    ///
    /// Several make a mix, for dpo.
    package var lossType: [PreferenceLossType] = []
    /// The weights of a mix; empty is 1 for each.
    package var lossWeights: [Double] = []
    /// The weight of the likelihood of chosen answers in cpo and simpo.
    package var cpoAlpha = 1.0
    /// The margin of simpo.
    package var simpoGamma = 1.0
    /// The shape of rewards in cpo and simpo, α; 0 leaves log-probabilities as they are.
    package var alpha = 0.0
    /// What kto multiplies the losses of good answers by.
    package var desirableWeight = 1.0
    /// The same of bad answers.
    package var undesirableWeight = 1.0
    /// The weight of what keeps rewards around zero; nil leaves it out.
    package var centerRewardsCoefficient: Double?
    /// Which tokens count; nil is `last_round`, and every answer for orpo.
    package var lossScale: LossScale?
    /// How a model learns from answers that it gives itself.
    package var policy = PolicySettings()
    /// What it learns of experts beside them.
    package var experts = ExpertSettings()
    /// How it learns from them token by token.
    package var proximal = ProximalSettings()
    /// What the rewards that are built in are made with.
    package var rewards = RewardSettings()
    /// Rewards that a program brings along; its runs are told apart by their names alone.
    package var ownRewards: [any RewardFunction] = []
    /// What gkd learns from a teacher.
    package var distillation = DistillationSettings()

    package init(_ method: PreferenceMethod = .dpo) { self.method = method }
}

extension PreferenceSettings: SettingsPart {
    package static let fields: [SettingsField<PreferenceSettings>] =
        [
            SettingsField("rlhf_type", \.method, affectsNumbers: true),
            SettingsField("ref_model", \.refModel, affectsNumbers: true),
            SettingsField("ref_adapters", \.refAdapters, affectsNumbers: true),
            SettingsField("precompute_ref_log_probs", \.precomputesReference, affectsNumbers: true),
            SettingsField("beta", \.beta, affectsNumbers: true),
            SettingsField("label_smoothing", \.labelSmoothing, affectsNumbers: true),
            SettingsField("rpo_alpha", \.rpoAlpha, affectsNumbers: true),
            SettingsField("ld_alpha", \.ldAlpha, affectsNumbers: true),
            SettingsField("ld_alpha_reference", \.ldAlphaReference, affectsNumbers: true),
            SettingsField("discopop_tau", \.discopopTau, affectsNumbers: true),
            SettingsField("f_divergence_type", \.fDivergenceType, affectsNumbers: true),
            SettingsField("f_alpha_divergence_coef", \.fAlphaDivergenceCoef, affectsNumbers: true),
            SettingsField("loss_type", \.lossType, affectsNumbers: true),
            SettingsField("loss_weights", \.lossWeights, affectsNumbers: true),
            SettingsField("cpo_alpha", \.cpoAlpha, affectsNumbers: true),
            SettingsField("simpo_gamma", \.simpoGamma, affectsNumbers: true),
            SettingsField("alpha", \.alpha, affectsNumbers: true),
            SettingsField("desirable_weight", \.desirableWeight, affectsNumbers: true),
            SettingsField("undesirable_weight", \.undesirableWeight, affectsNumbers: true),
            SettingsField("center_rewards_coefficient", \.centerRewardsCoefficient, affectsNumbers: true),
            SettingsField("loss_scale", \.lossScale),
        ] + PolicySettings.fields.map { $0.inside(\.policy) } + RewardSettings.fields.map { $0.inside(\.rewards) }
        + ProximalSettings.fields.map { $0.inside(\.proximal) }
        + DistillationSettings.fields.map { $0.inside(\.distillation) }
        + MovingReferenceSettings.fields.map { $0.inside(\.moving) }
        + ExpertSettings.fields.map { $0.inside(\.experts) }
}

// MARK: Computed defaults

extension PreferenceSettings {
    /// `beta`, or the method's.
    package var chosenBeta: Double {
        if let beta { return beta }
        return switch method {
        case .simpo: 2
        case .grpo: 0.04
        case .gkd: 0.5
        default: 0.1
        }
    }

    /// `lossType`, or the method's.
    package var chosenLossTypes: [PreferenceLossType] { lossType.isEmpty ? Array(method.losses.prefix(1)) : lossType }

    /// `lossScale`, or the method's.
    package var chosenLossScale: LossScale { lossScale ?? (method == .orpo ? .everyAnswer : .lastRound) }

    /// Whether anything is learned of which `lossScale` says which tokens; of experts' answers it does.
    var readsLossScale: Bool { (!samplesAnswers || learnsExperts) && method != .rewardModel }

    /// Whether the trained model is compared with another.
    var usesReference: Bool {
        switch method {
        case .dpo, .kto: true
        case .grpo: chosenBeta > 0
        case .ppo: proximal.klCoef > 0
        default: false
        }
    }

    /// Whether what the model is compared with follows it.
    var movesReference: Bool { moving.syncRefModel && method.options.contains("sync_ref_model") }

    /// Whether it learns answers of experts beside its own.
    var learnsExperts: Bool { method == .grpo && experts.areGiven }

    /// Whether the model learns from its own answers.
    var samplesAnswers: Bool { method == .grpo || method == .ppo }

    /// What is minimised of the model's own answers.
    var policyForm: PolicyLossForm { PolicyLossForm(rawValue: chosenLossTypes.first?.rawValue ?? "") ?? .grpo }
}

// MARK: Checks

extension PreferenceSettings {
    /// - Throws: `SettingsError` for settings that contradict each other.
    func check() throws {
        let word = method.rawValue
        try checkBeta()
        if method == .gkd { try distillation.check() }
        if method == .grpo, let flag = distillation.teacherFlag {
            throw SettingsError(
                "--\(flag): ms-swift's grpo learns from a teacher too, Apus's does not yet. Give --rlhf_type gkd, which does, "
                    + "or leave it out.")
        }
        for loss in lossType where !method.losses.contains(loss) {
            throw SettingsError(
                "--loss_type \(loss.rawValue) does not go with --rlhf_type \(word). "
                    + (method.losses.isEmpty
                        ? "It has one loss; leave --loss_type out."
                        : "Give \(method.losses.map(\.rawValue).joined(separator: ", "))."))
        }
        guard lossType.count <= 1 || method == .dpo else {
            throw SettingsError(
                "--loss_type \(lossType.map(\.rawValue).joined(separator: " ")): losses are mixed by --rlhf_type dpo alone. "
                    + "Give one.")
        }
        guard Set(lossType).count == lossType.count else {
            throw SettingsError("--loss_type: a loss is named twice. Give its weight with --loss_weights instead.")
        }
        guard lossWeights.isEmpty || lossWeights.count == chosenLossTypes.count else {
            throw SettingsError(
                "--loss_weights: \(lossWeights.count) weights for \(chosenLossTypes.count) losses "
                    + "(\(chosenLossTypes.map(\.rawValue).joined(separator: ", "))). Give one for each.")
        }
        if chosenLossTypes.contains(.robust), labelSmoothing >= 0.5 {
            throw SettingsError(
                "--label_smoothing \(readable(labelSmoothing)): the loss robust wants less than 0.5, the share of pairs that "
                    + "are the wrong way round.")
        }
        try checkDivergence()
        try checkAnswerStarts()
        guard usesReference || refModel == nil && refAdapters.isEmpty else {
            let price = method == .grpo ? "--beta 0" : method == .ppo ? "--kl_coef 0" : nil
            throw SettingsError(
                "--\(refModel == nil ? "ref_adapters" : "ref_model"): --rlhf_type \(word) "
                    + (price.map { "with \($0) compares with no reference. Leave it out, or give more than 0." }
                        ?? "compares with no reference. Leave it out, or give --rlhf_type dpo, kto, grpo or ppo."))
        }
        try checkMoving()
        guard refAdapters.count <= 1 else {
            throw SettingsError("--ref_adapters: got \(refAdapters.count), wanted one. Merge the others first.")
        }
        guard refModel == nil || refAdapters.isEmpty else {
            throw SettingsError(
                "--ref_model and --ref_adapters both name the reference: an adapter goes on --model. Give one of them, or "
                    + "merge the adapter into that model (apus merge-lora).")
        }
    }

    private func checkMoving() throws {
        guard movesReference else { return }
        guard usesReference else {
            throw SettingsError(
                "--sync_ref_model true: --rlhf_type \(method.rawValue) with --beta 0 compares with no reference. Leave it out, "
                    + "or give more than 0.")
        }
        guard !(precomputesReference && method.options.contains("precompute_ref_log_probs")) else {
            throw SettingsError(
                "--sync_ref_model true moves the reference, and --precompute_ref_log_probs true asks it once before the run. "
                    + "Leave one of them out.")
        }
    }

    private func checkBeta() throws {
        guard let beta, method.options.contains("beta") else { return }
        guard method == .gkd ? beta <= 1 : beta > 0 || method == .grpo else {
            throw SettingsError(
                "--beta \(readable(beta)): --rlhf_type \(method.rawValue) wants "
                    + (method == .gkd ? "0 (KL of the teacher) to 1 (KL of the student)." : "more than 0."))
        }
    }

    private func checkDivergence() throws {
        if method == .dpo, scoreShape != .plain,
            let loss = chosenLossTypes.first(where: { $0.pairLoss.map { !$0.takesDivergences } ?? false })
        {
            let fitting = method.losses.filter { $0.pairLoss?.takesDivergences ?? true }.map(\.rawValue)
            throw SettingsError(
                "--f_divergence_type \(fDivergenceType.rawValue): the loss \(loss.rawValue) is made for reverse_kl. Give one "
                    + "of \(fitting.joined(separator: ", ")), or leave it out.")
        }
        if method == .dpo, ldAlphaReference, ldAlpha != nil, precomputesReference {
            throw SettingsError(
                "--precompute_ref_log_probs true keeps one number for each answer, and --ld_alpha_reference true weighs the "
                    + "tokens of it. Leave one of them out.")
        }
    }

    /// What becomes of scores before they are compared.
    private var scoreShape: ScoreShape {
        switch method {
        case .dpo:
            switch fDivergenceType {
            case .reverseKL: .plain
            case .forwardKL: .forwardKL
            case .jensenShannon: .jensenShannon
            case .alphaDivergence: .alpha(fAlphaDivergenceCoef)
            }
        case .cpo, .simpo: alpha == 0 ? .plain : .power(alpha)
        default: .plain
        }
    }

    /// What is minimised of pairs.
    var pairTerms: PairTerms {
        let types = chosenLossTypes
        let weights = lossWeights.isEmpty ? types.map { _ in 1.0 } : lossWeights
        let usesMargin = types == [.simpo] || types == [.alphaPO]
        let options = PairLossOptions(
            beta: chosenBeta, labelSmoothing: labelSmoothing, discopopTau: discopopTau,
            margin: usesMargin ? simpoGamma : 0, shape: scoreShape)
        if method == .orpo { return PairTerms([(.oddsRatio, 1)], options, likelihoodWeight: 1, logsMeans: true) }
        let losses = zip(types, weights).compactMap { type, weight in type.pairLoss.map { ($0, weight) } }
        let ofMix = zip(types, weights).reduce(0) { $1.0 == .sft ? $0 + $1.1 : $0 }
        guard method == .dpo else {
            return PairTerms(
                losses, options, likelihoodWeight: types == [.alphaPO] ? 0 : cpoAlpha,
                logsMeans: usesMargin || types == [.ipo])
        }
        var terms = PairTerms(losses, options, likelihoodWeight: (rpoAlpha ?? 0) + ofMix, tailWeight: ldAlpha)
        terms.weighsReferenceTails = ldAlphaReference
        return terms
    }

    var judgedLoss: JudgedLoss {
        JudgedLoss(
            beta: chosenBeta, desirableWeight: desirableWeight, undesirableWeight: undesirableWeight,
            comparesWithOthers: chosenLossTypes == [.kto])
    }

    var rewardLoss: RewardLoss { RewardLoss(centerCoefficient: centerRewardsCoefficient) }

    /// Whether the loss looks at the pairs of a micro-batch together.
    var comparesPairs: Bool {
        method == .dpo && (pairTerms.losses.contains { $0.loss.comparesPairs } || chosenLossTypes.contains(.bcoPair))
    }
}

extension PreferenceLossType {
    /// The loss of pairs; nil for what is none.
    fileprivate var pairLoss: PairLoss? {
        switch self {
        case .sigmoid: .sigmoid
        case .hinge: .hinge
        case .ipo: .ipo
        case .exoPair: .exoPair
        case .ncaPair: .ncaPair
        case .robust: .robust
        case .bcoPair: .bcoPair
        case .sppoHard: .sppoHard
        case .aot: .aot
        case .aotUnpaired: .aotUnpaired
        case .apoZero: .apoZero
        case .apoDown: .apoDown
        case .discopop: .discopop
        case .sigmoidNorm, .simpo, .alphaPO: .sigmoidNorm
        case .sft, .kto, .apoZeroUnpaired, .grpo, .bnpo, .drGRPO, .dapo, .cispo, .sapo, .fipo: nil
        }
    }
}
