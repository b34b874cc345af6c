/// The classes of `transformers` 5 around the models of SentencePiece.
extension TokenizerClass {
    /// Whether a class that is not known here builds its own steps around a SentencePiece model, or none.
    static func buildsOwnPieces(_ name: String) -> Bool { classesWithOwnPieces.contains(name) }

    private static let classesWithOwnPieces: Set<String> = [
        "BarthezTokenizer", "BartphoTokenizer", "BertGenerationTokenizer", "BertJapaneseTokenizer",
        "CodeLlamaTokenizer", "CpmTokenizer", "FNetTokenizer", "GPTSw3Tokenizer", "LasrTokenizer", "LayoutXLMTokenizer",
        "M2M100Tokenizer", "MBart50Tokenizer", "MBartTokenizer", "MLukeTokenizer", "MarianTokenizer",
        "NllbTokenizer", "PLBartTokenizer", "PegasusTokenizer", "ReformerTokenizer", "SeamlessM4TTokenizer",
        "SiglipTokenizer", "Speech2TextTokenizer", "SpeechT5Tokenizer", "UdopTokenizer", "VideoPrismTokenizer",
        "XGLMTokenizer", "XLMProphetNetTokenizer",
    ]

    // MARK: - Unigram

    /// Makes one of the classes that build a Unigram tokenizer.
    ///
    /// - Parameter roberta: The tokens of roles that RoBERTa has, and those of BERT.
    mutating func setUnigram(
        _ roberta: [TokenizerConfiguration.Role: String], _ bert: [TokenizerConfiguration.Role: String]
    ) {
        let ends: [TokenizerConfiguration.Role: String] = [.beginningOfSequence: "[CLS]", .endOfSequence: "[SEP]"]
        let albert = bert.merging(ends) { $1 }.merging([.unknown: "<unk>", .padding: "<pad>"]) { $1 }
        defaultTokens = albert
        switch name {
        case "T5Tokenizer":
            steps = .unigram(UnigramSteps(layout: .extraIDs, unknown: .id(2), mindsPrefixSpace: false))
            defaultTokens = [.endOfSequence: "</s>", .unknown: "<unk>", .padding: "<pad>"]
            boundaries = .t5
        case "AlbertTokenizer":
            steps = .unigram(
                UnigramSteps(
                    unknown: .id(1),
                    normalization: .albert(keepsAccents: false, lowercases: true, collapsesSpaces: false)))
            boundaries = .albert
        case "XLMRobertaTokenizer":
            steps = .unigram(UnigramSteps(layout: .fairseq, unknown: .id(3)))
            (boundaries, defaultTokens) = (.xlmRoberta, roberta)
        case "CamembertTokenizer":
            let unused = ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"]
            steps = .unigram(UnigramSteps(layout: .camembert, unknown: .named, extraNames: unused))
            (boundaries, defaultTokens, stripsBeforeMask) = (.xlmRoberta, roberta, true)
        case "DebertaV2Tokenizer":
            steps = .unigram(
                UnigramSteps(unknown: .unscored(orID: 1), normalization: .deberta, splitsSpace: false))
            (boundaries, defaultTokens) = (.bert, bert.merging(ends) { $1 })
            fallbackIDs = (0, 0)
        case "XLNetTokenizer":
            steps = .unigram(
                UnigramSteps(
                    unknown: .given(orID: 0),
                    normalization: .albert(keepsAccents: nil, lowercases: false, collapsesSpaces: false),
                    mindsPrefixSpace: false, extraNames: ["<eop>", "<eod>"]))
            (boundaries, defaultTokens, stripsBeforeMask) = (.xlnet, roberta, true)
            defaultTokens[.separator] = "<sep>"
            defaultTokens[.classification] = "<cls>"
        case "BigBirdTokenizer":
            steps = .unigram(
                UnigramSteps(unknown: .unscored(orID: 100), normalization: .bigBird, splitsSpace: false))
            (boundaries, stripsBeforeMask) = (.bert, true)
            defaultTokens = albert.merging([.beginningOfSequence: "<s>", .endOfSequence: "</s>"]) { $1 }
        default:
            steps = .unigram(
                UnigramSteps(
                    unknown: .id(2),
                    normalization: .albert(keepsAccents: true, lowercases: false, collapsesSpaces: true),
                    splitsSpace: false))
            (boundaries, renewal) = (.remBERT, .asSpecial)
        }
    }
}
