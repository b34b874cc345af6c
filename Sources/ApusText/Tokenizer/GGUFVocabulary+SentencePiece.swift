extension GGUFVocabulary {
    /// A byte-pair vocabulary of SentencePiece's kind, "▁" for spaces and `<0x00>`… for what it lacks, as llama.cpp's
    /// converter writes it: no merges, but a score for each token, those with the best made first.
    ///
    /// A `tokenizer.json` alone has merges in the place of scores, whose order says as much: a token's score is how many
    /// tokens are made before it, below zero. `transformers` makes the merges of a `tokenizer.model` in the order of ids,
    /// which is that of the scores as a rule.
    ///
    /// - Parameters:
    ///   - file: `tokenizer.model`, where there is one.
    ///   - takesScores: Whether its scores are taken, not those that merges say.
    mutating func setPieces(
        _ tokenizer: Tokenizer, _ bytePairs: BytePairModel, size: Int, file: SentencePieceModel?, takesScores: Bool
    ) {
        (tokens, tokenTypes, scores) = ([], [], [])
        model = "llama"
        preTokenizer = "default"
        let parts = tokenizer.parts
        let made = file == nil || !takesScores ? Self.scores(bytePairs.merges, of: bytePairs.vocabulary) : [:]
        for id in 0..<Int32(clamping: size) {
            let piece = file.flatMap { $0.pieces.indices.contains(Int(id)) ? $0.pieces[Int(id)] : nil }
            let token = parts.model.vocabulary.token(of: id).map { String(decoding: $0, as: UTF8.self) }
            var (text, kind, score) = (token ?? "[PAD\(id)]", PieceKind.unused, Self.aside)
            if let piece {
                kind = PieceKind(rawValue: piece.kind.rawValue) ?? .normal
                score = takesScores ? piece.score : made[id] ?? (kind == .normal ? Self.aside : 0)
            } else if let token {
                kind = id == unknownID ? .unknown : Self.isByte(token) ? .byte : .normal
                score = made[id] ?? (kind == .normal ? Self.aside : 0)
            }
            if let added = parts.added.tokens[id], kind != .unknown {
                let isControl = added.isSpecial || kind == .control || Self.looksSpecial(added.content)
                // llama.cpp looks for the texts of users as they are written.
                text = isControl ? added.content : added.content.replacing("▁", with: " ")
                if piece == nil || kind != .control { score = Self.aside }
                kind = isControl ? .control : .user
            }
            tokens.append(text)
            tokenTypes.append(kind.rawValue)
            scores.append(score)
        }
        let start = tokenizer.encode("a", addSpecialTokens: false).first.flatMap { tokenizer.token(of: $0) }
        addsPrefixSpace = start?.hasPrefix("▁") ?? false
    }

    /// A text that a reader of this vocabulary cuts otherwise than the tokenizer that it was made of; nil where it cuts all
    /// alike.
    func firstOtherText(than tokenizer: Tokenizer) throws -> String? {
        let copy = try Tokenizer(gguf: self)
        let sample = stride(from: 0, to: tokens.count, by: max(1, tokens.count / 512))
        let words = sample.filter { tokenTypes[$0] == PieceKind.normal.rawValue }.map {
            "x " + tokens[$0].replacing("▁", with: " ") + " y"
        }
        return (Self.probes + words).first {
            copy.encode($0, addSpecialTokens: false) != tokenizer.encode($0, addSpecialTokens: false)
        }
    }

    /// Texts of many kinds, among them what other normalisers than SentencePiece's spaces would change.
    private static let probes = [
        "", "Hello world, it's 2024!", " leading and trailing ", "two  spaces\n\n\tand tabs", "naïve café — ﬁ Ａ １２ Å",
        "中文的句子，和標點。", "日本語のテキスト", "नमस्ते दुनिया", "مرحبا بالعالم", "สวัสดีชาวโลก", "😀👍🏽👨‍👩‍👧", "def f(x):\n    return x + 1\n",
        "\u{0}\u{1F}\u{FFFD}\u{10FFFF}",
    ]

    /// What llama.cpp takes a token for.
    private enum PieceKind: Int32 {
        case normal = 1
        case unknown, control, user, unused, byte
    }

    /// The score of tokens that no text is cut into.
    private static let aside = -1000.0

    static func isByte(_ token: String) -> Bool {
        token.utf8.count == 6 && token.hasPrefix("<0x") && token.hasSuffix(">")
            && UInt8(token.dropFirst(3).dropLast(), radix: 16) != nil
    }

    /// A score for each token that merges make, by the first of them.
    private static func scores(_ merges: MergeTable, of vocabulary: Vocabulary) -> [Int32: Double] {
        var scores: [Int32: Double] = [:]
        for (left, right) in merges.pairs {
            guard let start = vocabulary.token(of: left), let end = vocabulary.token(of: right),
                let made = vocabulary.id(of: Array(start) + Array(end)), scores[made] == nil
            else { continue }
            scores[made] = -Double(scores.count + 1)
        }
        return scores
    }
}
