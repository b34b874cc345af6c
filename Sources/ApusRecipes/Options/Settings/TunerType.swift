import ApusAdapters

/// What trains: an adapter of one of the methods that there are, or weights of the model itself.
package struct TunerType: RawRepresentable, Hashable, Sendable, CaseIterable {
    package let rawValue: String

    /// A low-rank adapter beside frozen weights.
    package static let lora = TunerType(known: "lora")
    /// Every weight, or those that other settings leave.
    package static let full = TunerType(known: "full")
    /// The model's biases, and the head of a task.
    ///
    /// Zaken et al. 2022, <https://arxiv.org/abs/2106.10199>.
    package static let bitFit = TunerType(known: "bitfit")

    package static let allCases = AdapterMethods.all.map { TunerType(known: $0.tunerType) } + [full, bitFit]

    /// Whether an adapter trains, and not weights of the model itself.
    var isAdapter: Bool { AdapterMethods.of(tunerType: rawValue) != nil }

    /// - Parameter rawValue: ms-swift's `tuner_type`; nil comes of one that there is not.
    package init?(rawValue: String) {
        guard Self.allCases.contains(where: { $0.rawValue == rawValue }) else { return nil }
        self.rawValue = rawValue
    }

    private init(known name: String) { rawValue = name }

    /// The options that say something of it; all others of adapters it has no use for.
    var options: Set<String> {
        guard let method = AdapterMethods.of(tunerType: rawValue) else { return FullTuningSettings.optionNames }
        let layers = method.hangsOnLayers ? ["target_modules", "target_regex"] : []
        return Set(method.options.map(\.name) + layers + ["lora_dtype", "modules_to_save"])
    }
}

extension TunerType: OptionChoice {}
