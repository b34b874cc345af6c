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
            "repetition_penalty", .number(.above(0)), computed: "generation_config.json",
            "Above 1 makes tokens that were used less likely.", in: .generation, for: [.infer]),
        CommandOption(
            "stop_words", .list, default: .list([]), "Texts that end an answer.", in: .generation, for: [.infer]),
        CommandOption(
            "stream", .boolean, computed: "true in a chat", "Print an answer while it is made.", in: .generation,
            for: [.infer]),
    ]
}
