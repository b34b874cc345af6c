import ApusAdapters

/// How several LoRA adapters become one.
package struct CombinationSettings: Sendable {
    /// The way; nil combines none.
    var kind: AdapterCombination.Kind?
    /// The weight of each adapter; empty weighs all by 1.
    package var weights: [Double] = []
    /// The share of numbers that stay, in ways that thin adapters out.
    package var density: Double?
    /// What decides which sign most numbers have.
    var majoritySign = AdapterCombination.MajoritySign.total
    /// The rank of the result, in ways that decompose; nil takes the largest.
    package var rank: Int?

    package init() {}
}

extension CombinationSettings: SettingsPart {
    package static let fields: [SettingsField<CombinationSettings>] = [
        SettingsField("combination_type", \.kind),
        SettingsField("adapter_weights", \.weightWords),
        SettingsField("density", \.density),
        SettingsField("majority_sign_method", \.majoritySign),
        SettingsField("svd_rank", \.rank),
    ]

    private var weightWords: [String]? {
        get { weights.isEmpty ? nil : weights.map { "\($0)" } }
        set { weights = (newValue ?? []).map { Double($0) ?? .nan } }
    }

    /// - Throws: `SettingsError` for weights that are no numbers.
    func check() throws {
        guard weights.allSatisfy(\.isFinite) else {
            throw SettingsError("--adapter_weights: got a word that is no number. Give one number for each adapter.")
        }
    }
}

extension AdapterCombination.Kind: OptionChoice {}
extension AdapterCombination.MajoritySign: OptionChoice {}
