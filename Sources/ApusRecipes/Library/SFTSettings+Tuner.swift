extension SFTSettings {
    /// Chooses what trains by the words of a command line.
    ///
    /// - Parameter options: Values by the names of flags, such as `num_virtual_tokens`.
    /// - Throws: An error that names the word which is not understood.
    package mutating func chooseTuner(_ name: String, _ options: [String: String]) throws {
        let words = ["--tuner_type", name] + options.sorted { $0.key < $1.key }.flatMap { ["--\($0.key)", $0.value] }
        var notices: [String] = []
        let base = ["--model", model.name ?? "model", "--dataset", "data"]
        let given = try SFTSettings(ArgumentLine(base + words, for: .sft), notices: &notices)
        (model.tunerType, tuner, full) = (given.model.tunerType, given.tuner, given.full)
    }
}
