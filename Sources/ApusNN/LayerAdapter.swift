public import ApusTorch

/// What can hang behind a layer of a trunk: it changes what the layer gives to the next one.
open class LayerAdapter: Adapter {
    /// Counts from 0.
    package let layer: Int

    package init(name: String, layer: Int) {
        self.layer = layer
        super.init(name: name)
    }

    /// What the next layer is given — hidden states [T, D].
    open func callAsFunction(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }
}

/// What looks at the hidden states of the model without adapters before the pass that counts.
///
/// It is one for all layers, whose parts refer to it.
open class PassAdapter: SharedAdapter {
    /// Takes up the last hidden states [T, D] of a pass without adapters over the same tokens.
    open func begin(_ hidden: Tensor, _ context: ForwardContext) throws {
        preconditionFailure("\(type(of: self)) does not say what it looks for")
    }
}

/// A trunk, as adapters of whole layers and of whole passes see it.
package protocol LayerHost: Module {
    var layerAdapters: [LayerAdapter] { get set }
    var passAdapters: [PassAdapter] { get set }
    var sizes: TransformerSizes { get }
    var isCausal: Bool { get }
    /// Whether an encoder reads a text first.
    var hasEncoder: Bool { get }
    /// While training, a sequence is attended to in groups of this share of its length; nil attends to it as a whole.
    var attentionGroups: Double? { get set }
}
