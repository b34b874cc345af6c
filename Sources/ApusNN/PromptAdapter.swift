public import ApusTorch

/// What can hang on a whole trunk: something that every sequence has in front of it.
open class PromptAdapter: Adapter {
    /// How many places it takes in front of each sequence; positions count on from there.
    package let count: Int
    /// How many it takes in front of each text that an encoder reads beside a sequence.
    package let sourceCount: Int

    package init(name: String, count: Int, sourceCount: Int = 0) {
        precondition(count + sourceCount > 0, "a prompt has at least one place")
        self.count = count
        self.sourceCount = sourceCount
        super.init(name: name)
    }

    override open var summary: String { "\(type(of: self))(\(max(count, sourceCount)))" }
}

/// Rows of input in front of each sequence: the vectors of words that do not exist.
open class InputAdapter: PromptAdapter {
    /// [count, D].
    open func rows(_ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it puts in front")
    }

    /// [sourceCount, D].
    open func sourceRows(_ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it puts in front of what is read")
    }
}

/// Keys and values in front of each sequence, in the attention of every layer.
open class AttentionAdapter: PromptAdapter {
    /// [count, K, E] each; keys as they are after their rotation.
    ///
    /// A layer that runs again in the backward pass asks again, so nothing is kept from call to call.
    open func keysAndValues(ofLayer layer: Int, _ context: ForwardContext) throws -> (keys: Tensor, values: Tensor) {
        preconditionFailure("\(type(of: self)) does not say what it puts in front")
    }
}

/// A trunk, as prompts see it.
package protocol PromptHost: Module {
    var prompts: [PromptAdapter] { get set }
    var sizes: TransformerSizes { get }
    /// The table of word vectors.
    var embedding: Embedding { get }
    var isCausal: Bool { get }
    /// The most places of a sequence.
    var maximumLength: Int { get }
    /// Whether an encoder reads a text first.
    var hasEncoder: Bool { get }
    /// The numbers of the layers that see what lies in front of a sequence, as they tell attention.
    var sequenceLayers: Range<Int> { get }
    /// Paths below the trunk by which `transformers` calls the same table again: stacks that read words by their own name.
    var embeddingCopies: [String] { get }
    /// How many layers its configuration speaks of: where it has an encoder, that one's.
    var configuredLayers: Int { get }
}

/// `front` [n, …] before the rows of each sequence that `begins`, in the type of the rows.
package func inFront(
    _ front: Tensor, of rows: Tensor, bounds: [Int32], where begins: (Int) -> Bool = { _ in true }
) throws -> Tensor {
    let front = try front.to(rows.dtype)
    var pieces: [Tensor] = []
    for sequence in 0..<(bounds.count - 1) {
        if begins(sequence) { pieces.append(front) }
        let (start, end) = (Int(bounds[sequence]), Int(bounds[sequence + 1]))
        if end > start { pieces.append(try rows.narrowed(0, start: start, length: end - start)) }
    }
    return try pieces.count == 1 ? pieces[0] : concatenated(pieces)
}
