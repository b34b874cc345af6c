import ApusTorch

/// Keys and values that every sequence of a pass sees in front of its own, [n, K, E] each.
struct AttentionPrefix {
    let keys: Tensor
    let values: Tensor

    /// What the prompts of a pass give a layer; nil without any.
    init?(_ prompts: [PromptAdapter], layer: Int, _ context: ForwardContext) throws {
        let parts = try prompts.compactMap { try ($0 as? AttentionAdapter)?.keysAndValues(ofLayer: layer, context) }
        guard let first = parts.first else { return nil }
        (keys, values) =
            parts.count == 1
            ? first : (try concatenated(parts.map(\.keys)), try concatenated(parts.map(\.values)))
    }

    /// How many keys the prompts of a pass put in front, without computing them.
    static func count(of prompts: [PromptAdapter]) -> Int {
        prompts.reduce(0) { $0 + ($1 is AttentionAdapter ? $1.count : 0) }
    }

    /// k and v [T, K, E] with the prefix before each sequence, and where the sequences of keys are.
    func inFront(
        of k: Tensor, _ v: Tensor, bounds: [Int32]
    ) throws -> (keys: Tensor, values: Tensor, spans: SequenceSpans) {
        (
            try ApusNN.inFront(keys, of: k, bounds: bounds), try ApusNN.inFront(values, of: v, bounds: bounds),
            SequenceSpans(bounds.enumerated().map { $1 + Int32($0 * keys.shape[0]) })
        )
    }
}
