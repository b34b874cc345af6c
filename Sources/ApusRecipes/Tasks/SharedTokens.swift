import ApusLanguageModel
import ApusRunLog
import ApusText

extension TrainingInputs {
    /// Looks whether a second model's tokens are those of the model that trains, whatever rows their tables have behind them.
    ///
    /// - Parameters:
    ///   - flag: What names the second model.
    ///   - role: What it is for.
    ///   - unequalTables: What becomes of the rows that one of the two has more, by the rows that both have.
    /// - Throws: `SettingsError` where an id stands for another token, or the second model has no row for one.
    func checkTokens(
        of other: CausalLanguageModel, _ source: ModelSource, match model: CausalLanguageModel, flag: String,
        role: String, unequalTables: (Int) -> String
    ) throws {
        let (own, theirs) = (text.tokenizer, try TextParts.tokenizer(of: source))
        func refusal(_ reason: String) -> SettingsError {
            SettingsError(
                "\(flag) \(source.name): \(reason). What two models find probable can only be compared over the same tokens; "
                    + "give a \(role) of the same family.")
        }
        if let difference = own.difference(from: theirs) { throw refusal(difference) }
        guard other.vocabularySize != model.vocabularySize else { return }
        let sizes = [other.vocabularySize, model.vocabularySize].map { Int32(clamping: $0) }.sorted()
        let shared = Int(sizes[0])
        if let token = (sizes[0]..<sizes[1]).first(where: { own.token(of: $0) != nil }) {
            throw refusal(
                "the tables have \(other.vocabularySize) rows and \(model.vocabularySize) in the trained model, and token "
                    + "\(token) (\"\(own.token(of: token) ?? "")\") has a row in one of them alone")
        }
        console.print(
            "note: the tables have \(model.vocabularySize) and \(other.vocabularySize) rows for the same "
                + "\(own.vocabularySize) tokens; \(unequalTables(shared))")
    }
}

extension Tokenizer {
    /// What tells it apart from another, as far as tokens go; nil where every id stands for the same token.
    fileprivate func difference(from other: Tokenizer) -> String? {
        guard vocabularySize == other.vocabularySize else {
            return "its tokenizer has \(other.vocabularySize) tokens, that of the trained model \(vocabularySize)"
        }
        // Ids may leave gaps; those behind the last token are nobody's.
        for id in 0..<Int32(clamping: 2 * vocabularySize) {
            let (own, theirs) = (token(of: id), other.token(of: id))
            guard own == theirs else {
                return "its token \(id) is \(theirs.map { "\"\($0)\"" } ?? "none"), that of the trained model "
                    + "\(own.map { "\"\($0)\"" } ?? "none")"
            }
        }
        return nil
    }
}
