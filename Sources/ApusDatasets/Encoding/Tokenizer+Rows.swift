import ApusText

extension Tokenizer {
    /// Refuses a row with a token that the model has no row for.
    ///
    /// - Throws: `RowRejection` naming the token.
    func checkRows(_ ids: [Int32]) throws {
        if let token = rowless(ids) { throw RowRejection("a token that the model has no row for", token) }
    }
}
