/// How an answer is made; nil takes what the model's files say.
public struct GenerationSettings: Sendable {
    /// A text that every answer starts with.
    public var responsePrefix: String?
    /// The most tokens of one answer; nil goes on until the context is full.
    public var maxNewTokens: Int?
    /// 0 always takes the likeliest token.
    public var temperature: Double?
    /// Draw among this many likeliest tokens; -1 draws among all.
    public var topK: Int?
    /// Draw among the likeliest tokens that together have this probability.
    public var topP: Double?
    /// Above 1 makes tokens that were used less likely.
    public var repetitionPenalty: Double?
    /// Texts that end an answer.
    public var stopWords: [String] = []

    public init() {}
}

extension GenerationSettings: SettingsPart {
    package static let fields: [SettingsField<GenerationSettings>] = [
        SettingsField("response_prefix", \.responsePrefix),
        SettingsField("max_new_tokens", \.maxNewTokens),
        SettingsField("temperature", \.temperature),
        SettingsField("top_k", \.topK),
        SettingsField("top_p", \.topP),
        SettingsField("repetition_penalty", \.repetitionPenalty),
        SettingsField("stop_words", \.stopWords),
    ]
}
