import ApusLanguageModel
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// Finds the likeliest tokens behind the masks of a text.
struct MaskReader {
    /// A token that may stand behind a mask.
    struct Candidate {
        let token: String
        let id: Int32
        let probability: Double
    }

    /// A text as the model sees it, with the places of its masks.
    typealias MaskedText = (encoded: EncodedText, places: [Int])

    let model: MaskedLanguageModel
    let mask: (id: Int32, text: String)
    private let tokenizer: Tokenizer

    /// - Throws: `ModelError` where the tokenizer has no mask token.
    init(_ model: MaskedLanguageModel, of source: ModelSource) throws {
        self.model = model
        tokenizer = try TextParts(source, of: model).tokenizer
        guard let id = tokenizer.maskTokenID, let name = tokenizer.maskToken else {
            throw ModelError(
                "--task fill-mask: the tokenizer of \(source.name) has no mask token. Give a BERT or RoBERTa.")
        }
        mask = (id, name)
    }

    /// - Parameter limit: The most tokens of a text; nil for what the model can see.
    func read(_ text: String, limit: Int?) throws -> MaskedText {
        let encoded = tokenizer.encode(text, pair: nil)
        if let error = ModelError(rowlessIn: encoded.ids, tokenizer) { throw error }
        let places = encoded.ids.indices.filter { encoded.ids[$0] == mask.id }
        guard !places.isEmpty else {
            throw ModelError(
                "--task fill-mask: there is no \(mask.text) in \"\(text.prefix(80))\". Put one where a word is wanted.")
        }
        let limit = model.limit(limit)
        guard encoded.ids.count <= limit else {
            throw ModelError("a text has \(encoded.ids.count) tokens, the limit is \(limit). Shorten it.")
        }
        return (encoded, places)
    }

    /// For each mask of a text the likeliest tokens, the best first.
    ///
    /// - Parameter count: How many, at least 1; where there are no more, all.
    /// - Throws: Also `ModelError` where scores are not numbers.
    func candidates(_ text: MaskedText, count: Int) throws -> [[Candidate]] {
        let (encoded, places) = text
        return try withoutGradients {
            let batch = TokenBatch([encoded.ids], segments: [encoded.segments])
            let context = try model.context(for: batch)
            let hidden = try model.hiddenStates(batch, context).indexed(
                0, Tensor(places.map(Int32.init), device: model.device))  // [N, D]
            let logits = try model.logits(hidden, context)
            let (values, ids) = try softmax(logits.to(.float32)).top(min(max(1, count), logits.shape[1]))
            let probabilities = try values.rows().map { try $0.checked() }
            let tokens: [Int] = try ids.values()
            return probabilities.enumerated().map { row, probabilities in
                probabilities.enumerated().map { column, probability in
                    let id = Int32(tokens[row * probabilities.count + column])
                    return Candidate(
                        token: tokenizer.decode([id]).trimmingCharacters(in: .whitespaces), id: id,
                        probability: probability)
                }
            }
        }
    }
}
