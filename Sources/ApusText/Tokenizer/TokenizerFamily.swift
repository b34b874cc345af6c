/// Tokenizers whose files alone do not say how they split text, so that the name of a class or model must.
enum TokenizerFamily {
    case gpt2, qwen2, roberta, bert

    /// - Parameters:
    ///   - className: The class in `transformers`, which decides where there is one.
    ///   - modelType: The `model_type` of a `config.json`.
    init?(className: String?, modelType: String?) {
        if let className {
            switch className {
            case "GPT2Tokenizer": self = .gpt2
            case "Qwen2Tokenizer": self = .qwen2
            case "RobertaTokenizer", "BartTokenizer", "LongformerTokenizer": self = .roberta
            case "BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer",
                "MobileBertTokenizer", "SqueezeBertTokenizer":
                self = .bert
            default: return nil
            }
        } else {
            switch modelType {
            case "gpt2", "gpt_neo", "gptj", "opt": self = .gpt2
            case "qwen2", "qwen2_moe", "qwen3", "qwen3_moe": self = .qwen2
            case "roberta", "roberta-prelayernorm", "bart", "longformer", "data2vec-text": self = .roberta
            case "bert", "convbert", "distilbert", "electra", "ernie", "layoutlm", "megatron-bert", "mobilebert",
                "nezha", "nomic_bert", "squeezebert":
                self = .bert
            default: return nil
            }
        }
    }

    /// The tokens of an encoder's class in `transformers`, for the roles that its files leave open.
    var defaultTokens: [TokenizerConfiguration.Role: String] {
        switch self {
        case .gpt2, .qwen2: [:]
        case .roberta:
            [
                .beginningOfSequence: "<s>", .endOfSequence: "</s>", .unknown: "<unk>", .separator: "</s>",
                .padding: "<pad>", .classification: "<s>", .mask: "<mask>",
            ]
        case .bert:
            [
                .unknown: "[UNK]", .separator: "[SEP]", .padding: "[PAD]", .classification: "[CLS]", .mask: "[MASK]",
            ]
        }
    }
}
