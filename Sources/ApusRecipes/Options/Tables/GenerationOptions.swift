extension OptionTable {
    static let generationOptions: [CommandOption] = [
        CommandOption(
            "max_new_tokens", .integer(from: 1), computed: "until the context is full", "Most tokens of one answer.",
            in: .generation, for: [.infer]),
        CommandOption(
            "temperature", .number(.from(0)), computed: "generation_config.json", "0: always the likeliest token.",
            in: .generation, for: [.infer]),
        CommandOption(
            "top_k", .integer(from: -1), computed: "generation_config.json",
            "Draw among this many likeliest tokens; -1: all.", in: .generation, for: [.infer]),
        CommandOption(
            "top_p", .number(.above(0, upTo: 1)), computed: "generation_config.json",
            "Draw among the likeliest tokens that together have this probability.", in: .generation, for: [.infer]),
        CommandOption(
            "min_p", .number(.from(0, upTo: 1)), computed: "generation_config.json",
            "Draw among the tokens with at least this share of the likeliest one's probability.", in: .generation,
            for: [.infer]),
        CommandOption(
            "typical_p", .number(.above(0, upTo: 1)), computed: "generation_config.json",
            "Draw among the tokens of typical information, up to this probability.", in: .generation, for: [.infer]),
        CommandOption(
            "repetition_penalty", .number(.above(0)), computed: "generation_config.json",
            "Above 1 makes tokens that were used less likely.", in: .generation, for: [.infer]),
        CommandOption(
            "no_repeat_ngram_size", .integer(from: 0), computed: "generation_config.json",
            "No run of this many tokens comes twice; 0: all may.", in: .generation, for: [.infer]),
        CommandOption(
            "num_beams", .integer(1...1024), default: .integer(1),
            "Follow this many beginnings at once, and take the answer that is likeliest as a whole.", in: .generation,
            for: [.infer]),
        CommandOption(
            "length_penalty", .number(.any), computed: "generation_config.json, else 1",
            "With --num_beams: above 0 favours long answers.", in: .generation, for: [.infer]),
        CommandOption(
            "early_stopping", .choice(["true", "false", "never"]), computed: "generation_config.json, else false",
            "With --num_beams: end with as many answers as beams, when better ones are unlikely, or impossible.",
            in: .generation, for: [.infer]),
        CommandOption(
            "num_return_sequences", .integer(1...1024), default: .integer(1),
            "Answers to each row, written as \"responses\".", in: .generation, for: [.infer]),
        CommandOption(
            "logprobs", .boolean, default: .boolean(false),
            "Write the logarithm of each token's probability into the results.", in: .generation, for: [.infer]),
        CommandOption(
            "top_logprobs", .integer(0...1000),
            "With --logprobs: name this many of the likeliest tokens at each place.",
            in: .generation, for: [.infer]),
        CommandOption(
            "structured_outputs_regex", .text, "Answers match this regular expression as a whole.", in: .generation,
            for: [.infer]),
        CommandOption(
            "structured_outputs_json", .json, "Answers are JSON values of this schema (a file or JSON).",
            in: .generation, for: [.infer]),
        CommandOption(
            "structured_outputs_choice", .list, default: .list([]), "Answers are one of these texts.", in: .generation,
            for: [.infer]),
        CommandOption(
            "stop_words", .list, default: .list([]), "Texts that end an answer.", in: .generation, for: [.infer]),
        CommandOption(
            "stream", .boolean, computed: "true in a chat", "Print an answer while it is made.", in: .generation,
            for: [.infer]),
    ]
}
