package import ApusLanguageModel
package import ApusNN
import ApusTorch

/// What a model in training is compared with.
package enum Reference {
    /// Nothing: the loss asks for none.
    case none
    /// The model itself with some of its adapters, or with none of them.
    case adapters(AdapterSelection)
    /// Another model of the same vocabulary.
    case model(CausalLanguageModel)

    /// `-log p` of each target of a batch, without gradients; nil where there is no reference.
    ///
    /// - Parameter isTraining: Whether it is for a step; attention goes by groups then where the trained model's does.
    func losses(_ batch: TokenBatch, trained: CausalLanguageModel, isTraining: Bool) throws -> [Double]? {
        func losses(_ model: CausalLanguageModel, _ adapters: AdapterSelection?) throws -> [Double] {
            let context = try model.context(for: batch, adapters: adapters, groupsAttention: isTraining)
            return try TokenScores(model, batch, context).values
        }
        return try withoutGradients {
            switch self {
            case .none: nil
            case .adapters(let selection): try losses(trained, selection)
            case .model(let model): try losses(model, nil)
            }
        }
    }
}
