extension SFTSettings {
    /// Chooses what trains by the words of a command line.
    ///
    /// - Parameter options: Values by the names of flags, such as `num_virtual_tokens`; of lists with blanks between them.
    /// - Throws: An error that names the word which is not understood, or the option which is another's.
    package mutating func chooseTuner(_ name: String, _ options: [String: String]) throws {
        let table = OptionTable.table(for: .sft)
        let words = options.sorted { $0.key < $1.key }.flatMap { name, value in
            let isOfWords = table[name]?.kind.isList == true && !OptionPaths.names.contains(name)
            return ["--\(name)"] + (isOfWords ? value.split(whereSeparator: \.isWhitespace).map(String.init) : [value])
        }
        let others = Set(try ArgumentLine(words, for: .sft).arguments.keys).subtracting(Self.tunerOptions)
        guard others.isEmpty else {
            throw SettingsError(
                "\(others.sorted().map { "--\($0)" }.joined(separator: ", ")): no option of what trains; the settings of the run "
                    + "beside it have names of their own.")
        }
        var notices: [String] = []
        let base = ["--model", model.name ?? "model", "--dataset", "data", "--tuner_type", name]
        let given = try SFTSettings(ArgumentLine(base + words, for: .sft), notices: &notices)
        (model.tunerType, model.quantization) = (given.model.tunerType, given.model.quantization)
        (tuner, full, galore) = (given.tuner, given.full, given.galore)
    }

    /// The options that say what trains, and in how many bits the weights are that do not.
    private static let tunerOptions = Set(
        TunerSettings.fields.map(\.name) + FullTuningSettings.fields.map(\.name) + GaLoreSettings.fields.map(\.name)
            + QuantizationOptions.fields.map(\.name))
}
