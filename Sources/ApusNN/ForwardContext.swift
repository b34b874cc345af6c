package import ApusTorch

/// What the layers of one forward pass share.
///
/// Layers stay free of state: rotary tables, the boundaries of the flat batch, the cache, and the random stream all
/// travel here.
public final class ForwardContext {
    /// Offsets of the sequences among the T tokens, one more than there are sequences.
    package let bounds: [Int32]
    /// The same for attention; a device gets them once a pass.
    private let sequences: SequenceSpans
    /// What rotary positions turn by, a table for each kind of layer; none in models with other positions.
    private let angles: [RotaryAngles]
    /// Whether a token sees only those before it.
    package let isCausal: Bool
    /// What the layers remember of the tokens before this pass; nil where each pass stands alone.
    package let state: ModelState?
    package let isTraining: Bool
    /// The adapters that take part.
    package let adapters: AdapterSelection
    /// Those of them that every sequence has in front of it.
    package let prompts: [PromptAdapter]
    /// Runs each layer again in the backward pass instead of keeping what it computed.
    package let checkpointsLayers: Bool
    /// Names this micro-batch among all of a run; dropout draws from it.
    package let randomKey: UInt64
    /// Collects what routers choose; nil where nobody asks for it.
    package let balance: RouterBalance?
    /// How tokens are grouped that see each other; nil where a sequence is one group.
    private let groups: GroupedAttention?

    /// - Parameter groupShare: The share of a sequence that sees itself alone, by shifted sparse attention.
    package init(
        bounds: [Int32], angles: [RotaryAngles] = [], isCausal: Bool = true, state: ModelState? = nil,
        isTraining: Bool = false, adapters: AdapterSelection = .all, prompts: [PromptAdapter] = [],
        checkpointsLayers: Bool = false, randomKey: UInt64 = 0, groupShare: Double? = nil,
        balance: RouterBalance? = nil
    ) {
        self.bounds = bounds
        sequences = SequenceSpans(bounds)
        self.angles = angles
        self.isCausal = isCausal
        self.state = state
        self.isTraining = isTraining
        self.adapters = adapters
        self.prompts = prompts
        self.checkpointsLayers = checkpointsLayers
        self.randomKey = randomKey
        self.balance = balance
        groups = groupShare.map { GroupedAttention(bounds, share: $0) }
    }

    /// The same pass of the model without adapters, which remembers its own keys and values.
    package var ofBase: ForwardContext {
        ForwardContext(
            bounds: bounds, angles: angles, isCausal: isCausal, state: state?.beside(), isTraining: isTraining,
            adapters: .base, randomKey: randomKey)
    }

    /// q or k [T, H, E], rotated where the model has rotary positions.
    ///
    /// - Parameter table: The number of the trunk's table that the layer turns by.
    package func rotary(_ x: Tensor, table: Int = 0) throws -> Tensor { angles.isEmpty ? x : try angles[table](x) }

    /// Attention of q [T, H, E] over k, v [T, K, E], what prompts put in front of them, and what the layer's state
    /// holds of before: [T, H, E].
    ///
    /// - Parameters:
    ///   - biases: The rows that the options' buckets name, [buckets, H].
    ///   - sinks: Of each query head a score beside those of the keys, which has no value, [H].
    package func attend(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, layer: Int, _ options: AttentionOptions, biases: Tensor? = nil,
        sinks: Tensor? = nil
    ) throws -> Tensor {
        func prefix() throws -> AttentionPrefix? { try AttentionPrefix(prompts, layer: layer, self) }
        if let state {
            let places = state.places(adding: bounds, behind: AttentionPrefix.count(of: prompts))
            return try state.of(layer, make: KeyValueState.init).attend(
                q, k, v, behind: prefix, queries: sequences, at: places, undropped(options), biases: biases,
                sinks: sinks)
        }
        if let groups {
            let streams = (key(.attention, layer), key(.shiftedAttention, layer))
            return try groups(q, k, v, undropped(options), sinks: sinks, keys: streams)
        }
        let (k, v, keys) = try prefix()?.inFront(of: k, v, bounds: bounds) ?? (k, v, sequences)
        return try attention(
            q, k, v, queries: sequences, keys: keys, isCausal: isCausal, undropped(options), biases: biases,
            sinks: sinks, key: key(.attention, layer))
    }

    /// Attention of q [T, H, E] over the keys and values that are made from a latent row of each token, [T, C], which is
    /// all that the layer's state keeps: [T, H, E].
    ///
    /// - Parameter expand: The keys and values [T', H, E] of latent rows [T', C].
    package func attend(
        _ q: Tensor, latent: Tensor, layer: Int, _ options: AttentionOptions,
        expand: (Tensor) throws -> (keys: Tensor, values: Tensor)
    ) throws -> Tensor {
        try requireNoPrefix("this model's attention keeps latent rows")
        if let state {
            return try state.of(layer, make: LatentState.init).attend(
                q, latent, expand: expand, queries: sequences, at: state.places(adding: bounds), undropped(options))
        }
        let (keys, values) = try expand(latent)
        return try attention(
            q, keys, values, queries: sequences, keys: sequences, isCausal: isCausal, undropped(options),
            key: key(.attention, layer))
    }

    /// Refuses prompts that put keys and values in front, in layers that keep none.
    ///
    /// - Parameter reason: What such a layer keeps instead.
    package func requireNoPrefix(_ reason: String) throws {
        guard AttentionPrefix.count(of: prompts) == 0 else {
            throw TorchError(
                kind: .invalidOperation,
                message: reason
                    + ", in front of which no keys and values can lie; take an adapter that puts rows in front of the input, or "
                    + "changes matrices, instead of one that puts keys and values in front of attention")
        }
    }

    /// Attention of q [T, H, E] over k, v [T', K, E] of other sequences, all of which every query sees: [T, H, E].
    ///
    /// - Parameter keys: The sequences of `k` and `v`, one for each of the batch.
    package func attend(
        _ q: Tensor, across k: Tensor, _ v: Tensor, keys: SequenceSpans, layer: Int, _ options: AttentionOptions
    ) throws -> Tensor {
        try attention(
            q, k, v, queries: sequences, keys: keys, isCausal: false, undropped(options),
            key: key(.crossAttention, layer))
    }

    /// Weights are dropped while training alone.
    private func undropped(_ options: AttentionOptions) -> AttentionOptions {
        guard !isTraining else { return options }
        var options = options
        options.dropout = 0
        return options
    }

    /// Where a model's own dropout draws; each place in each layer has its own stream.
    package enum DropoutPlace: UInt64 {
        case attention, attentionOutput, feedForwardOutput, embedding, head, crossAttention
        case crossAttentionOutput, feedForward, output, shiftedAttention, words
    }

    /// `x` with elements dropped by chance while training.
    package func dropped(_ x: Tensor, _ probability: Double, _ place: DropoutPlace, layer: Int = 0) throws -> Tensor {
        guard isTraining, probability > 0 else { return x }
        return try dropout(x, probability: probability, key: key(place, layer))
    }

    /// Names the draw of the noise on the vectors of words.
    package var noiseKey: UInt64 { key(.words, 0) }

    // Adapters count their streams from 0; the model's own begin far above.
    private func key(_ place: DropoutPlace, _ layer: Int) -> UInt64 {
        streamKey(randomKey, 1 << 32 + place.rawValue, UInt64(layer))
    }

    /// One layer, run again in the backward pass where the run asks for that.
    package func layer(_ x: Tensor, _ body: @escaping (Tensor) throws -> Tensor) throws -> Tensor {
        try layer([x]) { try body($0[0]) }
    }

    /// The same for a layer that looks at more than what the one before it gave.
    package func layer(_ inputs: [Tensor], _ body: @escaping ([Tensor]) throws -> Tensor) throws -> Tensor {
        checkpointsLayers && isRecordingGradients ? try checkpointed(inputs, body) : try body(inputs)
    }

    /// The vectors [T', D] of texts that an encoder reads, with what prompts put in front of each, and where the texts lie
    /// then.
    ///
    /// - Parameter bounds: Offsets of the texts, one more than there are.
    package func behindPrompts(_ words: Tensor, bounds: [Int32]) throws -> (words: Tensor, bounds: [Int32]) {
        let fronts = try prompts.compactMap { prompt -> Tensor? in
            guard let input = prompt as? InputAdapter, input.sourceCount > 0 else { return nil }
            return try input.sourceRows(self)
        }
        guard let first = fronts.first else { return (words, bounds) }
        let front = try fronts.count == 1 ? first : concatenated(fronts)
        return (
            try inFront(front, of: words, bounds: bounds),
            bounds.enumerated().map { $1 + Int32($0 * front.shape[0]) }
        )
    }

    /// The same pass over other sequences, of which every token sees all: those of the encoder beside a decoder.
    package func ofEncoder(bounds: [Int32]) -> ForwardContext {
        ForwardContext(
            bounds: bounds, isCausal: false, isTraining: isTraining, adapters: adapters,
            checkpointsLayers: checkpointsLayers, randomKey: randomKey)
    }
}
