import ApusText

/// The tokens of an answer into which a text is put, behind which the model goes on.
///
/// All tokens of an answer are decoded as one text: a decoder that begins anew takes the space away that SentencePiece writes
/// before a word.
struct ContinuedAnswer {
    let tokenizer: Tokenizer

    /// What tokens say together.
    func text(of tokens: some Sequence<Int32>) -> String {
        var decoder = AnswerDecoder(tokenizer)
        return tokens.reduce(into: "") { $0 += decoder.append($1) } + decoder.finish()
    }

    /// The first tokens of an answer that together say no more than so many bytes of its text, and the rest of these.
    ///
    /// A token that straddles the end, as one for `.</` does where a tag is cut off, is not among them, and neither is one
    /// that ends within a character.
    func beginning(of tokens: [Int32], bytes: Int) -> (count: Int, rest: String) {
        let whole = Array(text(of: tokens).utf8)
        let wanted = min(bytes, whole.count)
        var decoder = AnswerDecoder(tokenizer)
        var (said, count, length) = (0, 0, 0)
        for (index, token) in tokens.enumerated() {
            guard length < wanted else { break }
            said += decoder.append(token).utf8.count
            guard said <= wanted else { break }
            // What waits for other tokens is said as well where no more come.
            var ending = decoder
            let waiting = Array(ending.finish().utf8)
            let end = said + waiting.count
            if end > length, end <= wanted, whole[said..<end].elementsEqual(waiting) {
                (count, length) = (index + 1, end)
            }
        }
        return (count, String(decoding: whole[length..<wanted], as: UTF8.self))
    }

    /// The ids of a text behind tokens that say something.
    ///
    /// A tokenizer that puts a space before every text puts none here where it can be told so.
    func ids(of text: String, behind tokens: [Int32]) -> [Int32] {
        let plain = tokenizer.encode(text, addSpecialTokens: false)
        let wanted = self.text(of: tokens) + text
        guard self.text(of: tokens + plain) != wanted else { return plain }
        // Behind a line break nothing is put before a text.
        let start = tokenizer.encode("\n", addSpecialTokens: false)
        let both = tokenizer.encode("\n" + text, addSpecialTokens: false)
        let exact = Array(both.dropFirst(start.count))
        return both.starts(with: start) && self.text(of: tokens + exact) == wanted ? exact : plain
    }
}
