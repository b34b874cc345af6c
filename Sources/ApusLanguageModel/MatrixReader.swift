package import ApusNN

/// How matrices of layers come out of a store in fewer bits while a model is loaded, one after the other, so that the
/// model is never there in full.
package struct MatrixReader {
    /// The shape [out, in] of a matrix that the store holds in fewer bits; nil for all other tensors.
    package let shape: (_ stored: String) throws -> [Int]?
    /// The matrix of a layer in fewer bits; nil leaves it whole.
    ///
    /// - Parameter isWhole: Whether it would be left whole if the store did not hold it in fewer bits.
    package let storage: (_ stored: String, _ layer: Linear, _ isWhole: Bool) throws -> (any QuantizedStorage)?
    /// Paths of modules, or ends of them, whose layers stay whole.
    package let wholeModules: [String]

    package init(
        wholeModules: [String] = [], shape: @escaping (_ stored: String) throws -> [Int]? = { _ in nil },
        storage: @escaping (_ stored: String, _ layer: Linear, _ isWhole: Bool) throws -> (any QuantizedStorage)?
    ) {
        (self.wholeModules, self.shape, self.storage) = (wholeModules, shape, storage)
    }

    /// Whether a path is one of the whole modules or below one; as in `transformers`, an end of the path is enough.
    func isWhole(_ path: String) -> Bool {
        wholeModules.contains { path == $0 || path.hasPrefix($0 + ".") || path.hasSuffix("." + $0) }
    }
}

extension TextModel {
    /// The layers whose matrices may be kept in fewer bits, by path: all but the head that gives the scores of words, what
    /// sends tokens to experts, a matrix that is a table of vectors, and heads that a run with an adapter trains whole.
    package var layersToQuantize: [(path: String, layer: Linear)] {
        modules().compactMap { path, module in
            guard let layer = module as? Linear, !(layer is VocabularyHead), !(layer is Router), layer.storage == nil
            else { return nil }
            func isPart(of names: [String]) -> Bool { names.contains { path == $0 || path.hasPrefix($0 + ".") } }
            let isDecoder = layer.outputs == vocabularySize && isPart(of: headNames)
            return isDecoder || isPart(of: modulesToSave) ? nil : (path, layer)
        }
    }
}
