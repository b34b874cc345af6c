/// What is minimised, where a task leaves a choice.
package enum LossType: String, Sendable, CaseIterable {
    /// The only loss of tasks that predict tokens or classes.
    case crossEntropy = "cross_entropy"
    /// The squared error of a pair's cosine against its label.
    case cosineSimilarity = "cosine_similarity"
    /// Near pairs drawn together, far ones pushed beyond a margin.
    case contrastive
    /// A text's positive among all positives and negatives of the batch.
    case infoNCE = "infonce"
    /// Each document by itself: does it answer?
    case pointwiseReranker = "pointwise_reranker"
    /// The documents of a question against each other.
    case listwiseReranker = "listwise_reranker"
}

/// An optimizer.
package enum OptimizerName: String, Sendable, CaseIterable {
    case fusedAdamW = "adamw_torch_fused"
    case adamW = "adamw_torch"
    /// AdamW whose moments are 8-bit numbers.
    case adamW8Bit = "adamw_8bit"
    /// AdamW whose moments lie in a mapped file.
    case pagedAdamW = "paged_adamw_32bit"
    /// AdamW whose moments are 8-bit numbers in a mapped file.
    case pagedAdamW8Bit = "paged_adamw_8bit"
    /// SGD whose gradients are followed and forgotten while the backward pass runs.
    case lomo
    /// Steps of adapted sizes, in the same way.
    case adaLOMO = "adalomo"
    case sgd
    /// A second moment of rows and columns.
    case adafactor
    /// Steps of one size along the sign of a momentum.
    case lion = "lion_32bit"
    case lion8Bit = "lion_8bit"
    case pagedLion = "paged_lion_32bit"
    case pagedLion8Bit = "paged_lion_8bit"
    case adagrad, rmsprop
    /// AdamW whose weights are averaged instead of a falling learning rate.
    case scheduleFreeAdamW = "schedule_free_adamw"
    case scheduleFreeSGD = "schedule_free_sgd"
    /// AdamW with shorter steps at large gradients.
    case stableAdamW = "stable_adamw"
    /// AdamW with a second, slower first moment.
    case adEMAMix = "ademamix"
    /// The same with moments in a mapped file.
    case pagedAdEMAMix = "paged_ademamix_32bit"
    /// Gradients scaled as AdamW would in a random projection of a low rank.
    case apollo = "apollo_adamw"
    /// AdamW that follows the slow part of gradients more strongly.
    case grokAdamW = "grokadamw"

    var isPaged: Bool { rawValue.hasPrefix("paged_") }
    var followsInPass: Bool { self == .lomo || self == .adaLOMO }
    /// Whether it warms up by itself, whatever the course of the learning rate.
    var warmsUp: Bool { self == .scheduleFreeAdamW || self == .scheduleFreeSGD }

    /// The options that say Adam's constants.
    static let adamConstants: Set = ["adam_beta1", "adam_beta2", "adam_epsilon"]

    /// Those of them that it reads, as in the Trainer.
    var readConstants: Set<String> {
        switch self {
        case .fusedAdamW, .adamW, .adamW8Bit, .pagedAdamW, .pagedAdamW8Bit, .stableAdamW, .adEMAMix, .pagedAdEMAMix,
            .apollo, .scheduleFreeAdamW:
            Self.adamConstants
        case .lion, .lion8Bit, .pagedLion, .pagedLion8Bit: ["adam_beta1", "adam_beta2"]
        case .sgd, .adafactor, .adagrad, .rmsprop, .scheduleFreeSGD, .lomo, .adaLOMO, .grokAdamW: []
        }
    }
}

/// One of ms-swift's optimizers beside those of `--optim`.
package enum OptimizerPlugin: String, Sendable, CaseIterable {
    /// What `--optim` says.
    case standard = "default"
    /// AdamW in gradients of a low rank: the same as `--use_galore true`.
    case galore
    /// LoRA+: `--lorap_lr_ratio` says how.
    case lorap
    /// Momentum whose matrices are made nearly orthogonal.
    case muon
}

/// When something happens that recurs.
package enum IntervalStrategy: String, Sendable, CaseIterable {
    case no
    case steps
    case epoch
}

/// Where the log also goes.
package enum ReportTarget: String, Sendable, CaseIterable {
    case tensorBoard = "tensorboard"
    case wandb, swanlab
    case none
}

/// The engine that generates.
package enum InferenceBackend: String, Sendable, CaseIterable {
    /// Apus' own, under the name of ms-swift's default.
    case transformers
}

extension LossType: OptionChoice {}
extension ExistingResult: OptionChoice {}
extension OptimizerName: OptionChoice {}
extension OptimizerPlugin: OptionChoice {}
extension IntervalStrategy: OptionChoice {}
extension ReportTarget: OptionChoice {}
extension InferenceBackend: OptionChoice {}
