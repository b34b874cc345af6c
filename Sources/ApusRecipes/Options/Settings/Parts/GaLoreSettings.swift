import ApusOptimizers

/// Moments of a low rank, for the training of a model's own weights.
package struct GaLoreSettings: Sendable {
    /// Whether gradients of matrices are projected.
    package var isOn = false
    /// Parts of the names of the layers whose gradients are projected; nil takes all linear layers but the head.
    package var targetModules: [String]?
    /// The rank of the projection.
    package var rank = 128
    /// The steps after which the projection is found anew.
    package var updateGap = 50
    /// What steps are multiplied by when they are projected back.
    package var scale = 1.0
    /// The side whose singular vectors are used.
    var projection = GaLore.Projection.std
    /// Whether gradients of tables of words are projected too.
    package var includesEmbeddings = false
    /// Whether moments are bytes and the projection is found anew only where it turns (Q-GaLore).
    package var isQuantized = false
    /// Whether the projection is kept in few bits then.
    package var quantizesProjection = false
    /// The bits of the numbers of the projection.
    package var projectionBits = 4
    /// The numbers of the projection that share a smallest and a largest.
    package var projectionGroup = 256
    /// The likeness of a projection to the one before from which on it is found anew less often.
    package var likenessThreshold = 0.4
    /// What the steps between are multiplied by then.
    package var gapGrowth = 2
    /// How many of the last likenesses count.
    package var likenessMemory = 5

    package init() {}
}

extension GaLoreSettings: SettingsPart {
    package static let fields: [SettingsField<GaLoreSettings>] = [
        SettingsField("use_galore", \.isOn, affectsNumbers: true),
        SettingsField("galore_target_modules", \.targetModules, affectsNumbers: true),
        SettingsField("galore_rank", \.rank, affectsNumbers: true),
        SettingsField("galore_update_proj_gap", \.updateGap, affectsNumbers: true),
        SettingsField("galore_scale", \.scale, affectsNumbers: true),
        SettingsField("galore_proj_type", \.projection, affectsNumbers: true),
        SettingsField("galore_with_embedding", \.includesEmbeddings, affectsNumbers: true),
        SettingsField("galore_quantization", \.isQuantized, affectsNumbers: true),
        SettingsField("galore_proj_quant", \.quantizesProjection, affectsNumbers: true),
        SettingsField("galore_proj_bits", \.projectionBits, affectsNumbers: true),
        SettingsField("galore_proj_group_size", \.projectionGroup, affectsNumbers: true),
        SettingsField("galore_cos_threshold", \.likenessThreshold, affectsNumbers: true),
        SettingsField("galore_gamma_proj", \.gapGrowth, affectsNumbers: true),
        SettingsField("galore_queue_size", \.likenessMemory, affectsNumbers: true),
    ]

    static let ofQuantization = [
        "galore_proj_quant", "galore_proj_bits", "galore_proj_group_size", "galore_cos_threshold", "galore_gamma_proj",
        "galore_queue_size",
    ]

    /// How singular vectors are kept and found, where that is quantised.
    var lazy: LazyProjection? {
        guard isQuantized else { return nil }
        var lazy = LazyProjection()
        lazy.bits = quantizesProjection ? projectionBits : nil
        lazy.group = projectionGroup
        lazy.threshold = likenessThreshold
        lazy.growth = gapGrowth
        lazy.memory = likenessMemory
        return lazy
    }

    /// - Throws: `SettingsError` where gradients of the model's own weights are not what an optimizer follows.
    func check(_ tuner: TunerType, _ optimizer: OptimizerName) throws {
        guard isOn else { return }
        guard !tuner.isAdapter else {
            throw SettingsError(
                "--use_galore true projects the gradients of the model's own weights, and --tuner_type \(tuner.rawValue) "
                    + "trains an adapter. Give --tuner_type full, or leave --use_galore out.")
        }
        guard optimizer == .fusedAdamW || optimizer == .adamW else {
            throw SettingsError(
                "--use_galore true with --optim \(optimizer.rawValue) is not there yet; its moments are AdamW's. Give "
                    + "--optim adamw_torch.")
        }
    }

    /// Whether the gradient of a weight is projected; matrices alone are asked for.
    ///
    /// - Parameters:
    ///   - linear: The trained matrices of linear layers; other matrices are tables.
    ///   - heads: Paths of the modules that make the model's answer.
    func chooses(_ name: String, linear: Set<String>, heads: [String]) -> Bool {
        let module = name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
        guard let targetModules else { return linear.contains(name) ? !heads.contains(module) : includesEmbeddings }
        return targetModules.contains { module.contains($0) }
    }
}

extension GaLore.Projection: OptionChoice {}
