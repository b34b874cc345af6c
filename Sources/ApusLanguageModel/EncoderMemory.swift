package import ApusNN
package import ApusTorch

// T' tokens of the encoder, T of the decoder, H heads, E head size, D width.

/// What an encoder made of the texts of a batch, for the layers of a decoder to look at.
package struct EncoderMemory {
    package let states: Tensor  // [T', D]
    /// Where the texts lie in it, one for each sequence of the decoder.
    package let spans: SequenceSpans

    package init(states: Tensor, spans: SequenceSpans) {
        self.states = states
        self.spans = spans
    }
}

/// The keys and values that one layer made of an encoder's states, once for all passes of a generation.
private final class CrossAttentionState: LayerState {
    var made: (keys: Tensor, values: Tensor, spans: SequenceSpans)?

    init(sequences: Int) {}

    /// Rows of dropped sequences are left where they are, unless the others change their order.
    func keep(_ sequences: [Int]) throws {
        guard let made else { return }
        let lengths = sequences.map { made.spans.lengths[$0] }
        if zip(sequences, sequences.dropFirst()).allSatisfy({ $0 < $1 }) {
            let spans = SequenceSpans(starts: sequences.map { made.spans.starts[$0] }, lengths: lengths)
            self.made = (made.keys, made.values, spans)
            return
        }
        func ordered(_ x: Tensor) throws -> Tensor {
            try concatenated(
                sequences.map {
                    try x.narrowed(0, start: Int(made.spans.starts[$0]), length: Int(made.spans.lengths[$0]))
                })
        }
        var start: Int32 = 0
        let starts = lengths.map { length in
            defer { start += length }
            return start
        }
        self.made = (try ordered(made.keys), try ordered(made.values), SequenceSpans(starts: starts, lengths: lengths))
    }
}

extension ForwardContext {
    /// Attention of q [T, H, E] over an encoder's states, all of which every query sees: [T, H, E].
    ///
    /// - Parameters:
    ///   - memory: nil in passes that go on, whose state has the keys and values of the first.
    ///   - keysAndValues: Makes k and v, [T', H, E] each, of the states [T', D].
    package func attend(
        _ q: Tensor, across memory: EncoderMemory?, layer: Int, _ options: AttentionOptions,
        keysAndValues: (Tensor) throws -> (keys: Tensor, values: Tensor)
    ) throws -> Tensor {
        let stored = state?.of(layer, make: CrossAttentionState.init)
        var made = stored?.made
        if let memory {
            let (keys, values) = try keysAndValues(memory.states)
            made = (keys, values, memory.spans)
            stored?.made = made
        }
        guard let made else {
            throw ModelError("a decoder looks at what an encoder read, and the first pass of this state read nothing")
        }
        return try attend(q, across: made.keys, made.values, keys: made.spans, layer: layer, options)
    }
}
