extension GGUFArchitecture {
    /// Tensors that hold nothing which the model stores: frequencies that follow from the configuration.
    static let derived: Set<String> = ["rope_freqs", "attn_rot_embd"]
    /// The divisors of frequencies in texts beyond the first length and in those within it, which `config.json` has.
    static let longFactors = (long: "rope_factors_long.weight", short: "rope_factors_short.weight")

    /// All layers, in one stack or in two.
    var stacks: [Stack] { halves.isEmpty ? [Stack(file: "blk", model: layers, parts: parts)] : halves }

    var hasExperts: Bool { parts.contains { $0.form == .stacked } }

    /// Where a tensor goes in the Hugging Face model.
    enum Place: Equatable {
        case tensor(String, Form)
        case derived
    }

    /// The place of the tensor that a GGUF file calls `name`, or `nil` for a tensor the architecture does not have.
    func place(of name: String) -> Place? {
        guard let (stem, kind) = Self.parts(of: name) else { return nil }
        if let top = tops.first(where: { $0.file == stem }) { return .tensor("\(top.model).\(kind)", top.form) }
        if Self.derived.contains(stem) { return .derived }
        if hyperparameters.firstLength != nil, [Self.longFactors.long, Self.longFactors.short].contains(name) {
            return .derived
        }
        guard let stack = stacks.first(where: { stem.hasPrefix($0.file + ".") }) else { return nil }
        let fields = stem.dropFirst(stack.file.count + 1).split(separator: ".", omittingEmptySubsequences: false)
        guard fields.count == 2, let layer = Int(fields[0]), layer >= 0, String(layer) == fields[0] else { return nil }
        if Self.derived.contains(String(fields[1])) { return .derived }
        return stack.parts.first { $0.file == fields[1] && ($0.form != .first || layer == 0) }.map { part in
            let mark = part.form == .buffer ? "_" : "."
            return .tensor("\(stack.model).\(layer).\(part.model)\(mark)\(kind)", part.form)
        }
    }

    /// What the file calls the tensor that the Hugging Face model calls `name`, how it lies there, and the number of
    /// its expert; `nil` for a tensor the architecture does not have.
    func fileName(of name: String) -> (name: String, form: Form, expert: Int?)? {
        guard let (stem, kind) = Self.parts(of: name) else { return nil }
        if let top = tops.first(where: { $0.model == stem }) { return ("\(top.file).\(kind)", top.form, nil) }
        guard let stack = stacks.first(where: { stem.hasPrefix($0.model + ".") }) else { return nil }
        let fields = stem.dropFirst(stack.model.count + 1).split(separator: ".", omittingEmptySubsequences: false)
        guard let layer = fields.first.flatMap({ Int($0) }) else { return nil }
        func found(_ model: String, expert: Int?) -> (name: String, form: Form, expert: Int?)? {
            stack.parts.first { $0.model == model && ($0.form == .stacked) == (expert != nil) }.map {
                ("\(stack.file).\(layer).\($0.file).\(kind)", $0.form, expert)
            }
        }
        if let whole = found(fields.dropFirst().joined(separator: "."), expert: nil) { return whole }
        let expert = fields.dropFirst().compactMap { Int($0) }.first
        return found(fields.dropFirst().filter { Int($0) == nil }.joined(separator: "."), expert: expert)
    }

    /// A tensor's module and whether it is its weight or its bias.
    private static func parts(of name: String) -> (stem: String, kind: String)? {
        for kind in ["weight", "bias"] where name.hasSuffix("." + kind) {
            return (String(name.dropLast(kind.count + 1)), kind)
        }
        return nil
    }
}
