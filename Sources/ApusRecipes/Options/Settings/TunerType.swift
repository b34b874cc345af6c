import ApusAdapters

/// What trains: an adapter of one of the methods that there are, or every weight.
public struct TunerType: RawRepresentable, Hashable, Sendable, CaseIterable {
    public let rawValue: String

    /// A low-rank adapter beside frozen weights.
    public static let lora = TunerType(known: "lora")
    /// Every weight.
    public static let full = TunerType(known: "full")

    public static let allCases = AdapterMethods.all.map { TunerType(known: $0.tunerType) } + [full]

    /// - Parameter rawValue: ms-swift's `tuner_type`; nil comes of one that there is not.
    public init?(rawValue: String) {
        guard Self.allCases.contains(where: { $0.rawValue == rawValue }) else { return nil }
        self.rawValue = rawValue
    }

    private init(known name: String) { rawValue = name }

    /// The options that say something of it; all others of adapters it has no use for.
    var options: Set<String> {
        guard let method = AdapterMethods.of(tunerType: rawValue) else { return [] }
        let layers = method.hangsOnLayers ? ["target_modules", "target_regex"] : []
        return Set(method.options.map(\.name) + layers + ["lora_dtype"])
    }
}

extension TunerType: OptionChoice {}
