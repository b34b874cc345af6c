extension OptionTable {
    private static let rewarding: Set<Command> = [.sample, .rlhf]

    static let rewardOptions: [CommandOption] = [
        CommandOption(
            "reward_funcs", .list, default: .list([]),
            "Rewards: accuracy, format, cosine … by name, or a program of one's own (./score.py, 'exec:COMMAND').",
            in: .rewards, for: rewarding),
        CommandOption(
            "reward_weights", .numbers(.any), computed: "1 for each", "What each of --reward_funcs counts.",
            in: .rewards, for: rewarding),
        CommandOption(
            "reward_timeout", .number(.above(0)), default: .number(60),
            "Seconds that a program may write nothing while an answer waits.", in: .rewards, for: rewarding),
        CommandOption(
            "cosine_min_len_value_wrong", .number(.any), default: .number(-0.5),
            "cosine: of a wrong answer without tokens.", in: .rewards, for: rewarding),
        CommandOption(
            "cosine_max_len_value_wrong", .number(.any), default: .number(0),
            "cosine: of a wrong answer of the full length.", in: .rewards, for: rewarding),
        CommandOption(
            "cosine_min_len_value_correct", .number(.any), default: .number(1),
            "cosine: of a right answer without tokens.", in: .rewards, for: rewarding),
        CommandOption(
            "cosine_max_len_value_correct", .number(.any), default: .number(0.5),
            "cosine: of a right answer of the full length.", in: .rewards, for: rewarding),
        CommandOption(
            "cosine_max_len", .integer(from: 1), computed: "the most tokens of an answer", "cosine: the full length.",
            in: .rewards, for: rewarding),
        CommandOption(
            "repetition_n_grams", .integer(from: 1), default: .integer(3),
            "repetition: how many words are looked at together.", in: .rewards, for: rewarding),
        CommandOption(
            "repetition_max_penalty", .number(.any), default: .number(-1),
            "repetition: of nothing but repetition; at most 0.", in: .rewards, for: rewarding),
        CommandOption(
            "soft_max_length", .integer(from: 1), "soft_overlong: the length at which the reward is -1.", in: .rewards,
            for: rewarding),
        CommandOption(
            "soft_cache_length", .integer(from: 1), "soft_overlong: how far below that it begins to fall.",
            in: .rewards, for: rewarding),
    ]
}
