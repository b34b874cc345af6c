/// Which layers of a file a model with more layers is made of.
package struct LayerPlan: Sendable, Equatable {
    /// For each layer of the model the layer of the file that it has the weights of.
    package let sources: [Int]
    /// Layers of the model whose output projections are zero at first, so that they add nothing.
    package let empty: Set<Int>

    package init(sources: [Int], empty: Set<Int> = []) {
        self.sources = sources
        self.empty = empty
    }
}
