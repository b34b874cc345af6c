import ApusTorch
import ApusTraining

/// How accuracy is counted.
package enum AccuracyStrategy: String, Sendable, CaseIterable {
    /// The share of tokens that are right.
    case token
    /// The share of answers of which every token is.
    case seq
}

extension AccuracyStrategy: OptionChoice {}

/// What the loss is made of, and what is told of it.
package struct ObjectiveSettings: Sendable {
    /// The share of a label that is spread over all labels.
    package var labelSmoothingFactor = 0.0
    /// The strength of the noise on the vectors of words; nil and 0 are none.
    package var neftuneNoiseAlpha: Double?
    /// Whether a token's loss is multiplied by its probability.
    package var enableDFTLoss = false
    /// Whether the loss of each `channel` of the data is logged.
    package var enableChannelLoss = false
    /// How accuracy is counted.
    package var accStrategy = AccuracyStrategy.token

    package init() {}
}

extension ObjectiveSettings: SettingsPart {
    package static let fields: [SettingsField<ObjectiveSettings>] = [
        SettingsField("label_smoothing_factor", \.labelSmoothingFactor, affectsNumbers: true),
        SettingsField("neftune_noise_alpha", \.neftuneNoiseAlpha, affectsNumbers: true),
        SettingsField("enable_dft_loss", \.enableDFTLoss, affectsNumbers: true),
        SettingsField("enable_channel_loss", \.enableChannelLoss),
        SettingsField("acc_strategy", \.accStrategy),
    ]

    /// - Throws: `SettingsError` for two forms of the loss at once.
    func check() throws {
        guard !enableDFTLoss || labelSmoothingFactor == 0 else {
            throw SettingsError(
                "--enable_dft_loss true and --label_smoothing_factor \(readable(labelSmoothingFactor)) are two losses. Give "
                    + "one of them.")
        }
    }

    /// The loss of labels: classes, or masked tokens.
    var ofLabels: TokenLossForm { labelSmoothingFactor > 0 ? .smoothed(labelSmoothingFactor) : .crossEntropy }

    /// The loss over tokens and what is told of it.
    var tokens: TokenLossOptions {
        var options = TokenLossOptions()
        options.form = enableDFTLoss ? .dynamic : ofLabels
        options.countsAnswers = accStrategy == .seq
        options.tellsChannels = enableChannelLoss
        return options
    }
}
