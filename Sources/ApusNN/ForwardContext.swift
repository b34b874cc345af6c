package import ApusTorch

/// What the layers of one forward pass share.
///
/// Layers stay free of state: rotary tables, the boundaries of the flat batch, the cache, and the random stream all
/// travel here.
public final class ForwardContext {
    /// Offsets of the sequences among the T tokens, one more than there are sequences.
    package let bounds: [Int32]
    package let cosines: Tensor  // [T, E/2]
    package let sines: Tensor  // [T, E/2]
    package let cache: KVCache?
    package let isTraining: Bool
    /// Whether adapters take part; a reference model is the same model without them.
    package let usesAdapters: Bool
    /// Runs each layer again in the backward pass instead of keeping what it computed.
    package let checkpointsLayers: Bool
    /// Names this micro-batch among all of a run; dropout draws from it.
    package let randomKey: UInt64

    package init(
        bounds: [Int32], cosines: Tensor, sines: Tensor, cache: KVCache? = nil, isTraining: Bool = false,
        usesAdapters: Bool = true, checkpointsLayers: Bool = false, randomKey: UInt64 = 0
    ) {
        self.bounds = bounds
        self.cosines = cosines
        self.sines = sines
        self.cache = cache
        self.isTraining = isTraining
        self.usesAdapters = usesAdapters
        self.checkpointsLayers = checkpointsLayers
        self.randomKey = randomKey
    }

    /// The tables rotate q and k [T, H, E].
    package func rotary(_ x: Tensor) throws -> Tensor { try rotated(x, cosines: cosines, sines: sines) }

    /// Causal attention of q [T, H, E] over k, v [T, K, E] and, with a cache, over everything before: [T, H, E].
    package func attend(_ q: Tensor, _ k: Tensor, _ v: Tensor, layer: Int, scale: Double) throws -> Tensor {
        guard let cache else {
            return try attention(q, k, v, queryBounds: bounds, keyBounds: bounds, isCausal: true, scale: scale)
        }
        return try cache.attend(q, k, v, bounds: bounds, layer: layer, scale: scale)
    }

    /// One layer, run again in the backward pass where the run asks for that.
    package func layer(_ x: Tensor, _ body: @escaping (Tensor) throws -> Tensor) throws -> Tensor {
        checkpointsLayers && isRecordingGradients ? try checkpointed(x, body) : try body(x)
    }
}
