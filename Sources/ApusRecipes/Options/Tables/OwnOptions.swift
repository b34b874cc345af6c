extension OptionTable {
    /// Options of the commands that ms-swift does not have.
    static let ownOptions: [CommandOption] = [
        CommandOption(
            "text", .text, "Text to encode; without it the lines of standard input.", in: .command, for: [.tokenize]),
        CommandOption(
            "decode", .boolean, default: .boolean(false), "From JSON lists of ids to text.", in: .command,
            for: [.tokenize]),
        CommandOption(
            "add_special_tokens", .boolean, default: .boolean(true), "Add what the tokenizer puts around a text.",
            in: .command, for: [.tokenize]),
        CommandOption(
            "messages", .json, "Messages as JSON, or a JSON file: '[{\"role\": \"user\", \"content\": \"Hi\"}]'.",
            in: .command, for: [.template]),
        CommandOption("tools", .json, "Tools as JSON, or a JSON file.", in: .command, for: [.template]),
        CommandOption(
            "add_generation_prompt", .boolean, default: .boolean(false), "End with the start of an answer.",
            in: .command, for: [.template]),
        CommandOption(
            "show_labels", .boolean, default: .boolean(false), "Mark the tokens that train.", in: .command,
            for: [.template]),
    ]
}
