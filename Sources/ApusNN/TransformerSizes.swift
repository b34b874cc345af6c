/// The sizes that decide what a model of layers keeps in memory.
public struct TransformerSizes: Sendable, Equatable {
    package let vocabulary: Int
    package let width: Int
    package let hidden: Int
    package let layers: Int
    package let heads: Int
    package let keyValueHeads: Int
    package let headSize: Int

    package init(
        vocabulary: Int, width: Int, hidden: Int, layers: Int, heads: Int, keyValueHeads: Int, headSize: Int
    ) {
        self.vocabulary = vocabulary
        self.width = width
        self.hidden = hidden
        self.layers = layers
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
    }
}
