// Published models may have tokens that their table of words has no row for: Gemma 3 without its eyes keeps the token of
// pictures, copies of Llama 2 add one for padding. `transformers` loads them, and fails where such a token occurs.

extension Tokenizer {
    /// The ids that a table of so many rows has none for, in order: of the model's own tokens, and of those added to them.
    package func ids(beyond rows: Int) -> (own: [Int32], added: [Int32]) {
        let (vocabulary, added) = (parts.model.vocabulary, parts.added.tokens)
        let own = (min(rows, vocabulary.idBound)..<vocabulary.idBound).map { Int32($0) }.filter {
            added[$0] == nil && vocabulary.token(of: $0) != nil
        }
        return (own, added.keys.filter { $0 >= rows }.sorted())
    }

    /// The same tokenizer beside a model with so many rows.
    package func within(rows: Int) -> Tokenizer { Tokenizer(parts, configuration, notices: notices, rows: rows) }

    /// The first token among ids that the model has no row for, as people are told of it.
    package func rowless(_ ids: [Int32]) -> String? {
        guard let rows, let id = ids.first(where: { $0 >= rows }) else { return nil }
        return named(id)
    }

    /// A token with its id.
    package func named(_ id: Int32) -> String { "\(token(of: id) ?? "") (id \(id))" }
}
