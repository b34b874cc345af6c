/// The settings of `params`: counting the parameters of a model that is not loaded.
package struct ParamsSettings: Sendable {
    package var model: ModelSettings
    package var tuner = TunerSettings()
    package var full = FullTuningSettings()
    package var hub = HubSettings()

    /// Settings for a model, with ms-swift's defaults.
    package init(model: String) {
        self.model = ModelSettings(model)
    }
}

extension ParamsSettings: CommandSettings {
    package static var command: Command { .params }

    package init() {
        model = ModelSettings()
    }

    package static let fields: [SettingsField<ParamsSettings>] =
        fields(of: \.model) + fields(of: \.tuner) + fields(of: \.full) + fields(of: \.hub)

    package mutating func settle(notices: inout [String]) throws {
        try SettingChecks.model(model.name, .params)
        try model.quantization.settle()
    }
}

/// The settings of `tokenize`: the tokens of a text, or the text of tokens.
package struct TokenizeSettings: Sendable {
    /// The folder of the tokenizer.
    package var model: String
    /// The text to encode; nil goes through the lines of standard input.
    package var text: String?
    /// Whether the lines are JSON lists of ids that become text again.
    package var decode = false
    /// Whether to add what the tokenizer puts around a text.
    package var addSpecialTokens = true
    package var hub = HubSettings()

    /// Settings for a tokenizer.
    package init(model: String) {
        self.model = model
    }
}

extension TokenizeSettings: CommandSettings {
    package static var command: Command { .tokenize }

    package init() {
        self.init(model: "")
    }

    package static let fields: [SettingsField<TokenizeSettings>] =
        [
            SettingsField("model", \.model),
            SettingsField("text", \.text),
            SettingsField("decode", \.decode),
            SettingsField("add_special_tokens", \.addSpecialTokens),
        ] + fields(of: \.hub)

    package mutating func settle(notices: inout [String]) throws {
        try SettingChecks.model(model, .tokenize)
    }
}

/// The settings of `template`: what a conversation becomes.
package struct TemplateSettings: Sendable {
    /// The folder of the tokenizer and its chat template.
    package var model: String
    /// The messages, as a JSON array.
    package var messages: String?
    /// The tools, as a JSON array.
    package var tools: String?
    /// Whether to end with the start of an answer.
    package var addGenerationPrompt = false
    /// Whether to mark the tokens that train.
    package var showLabels = false
    /// The system prompt of a conversation that brings none; nil takes the template's.
    package var system: String?
    /// One of ms-swift's templates, by its name; nil takes the model's own.
    package var template: String?
    /// Whether a named template writes the text, or the model's own.
    package var templateBackend = TemplateBackend.swift
    /// How a named template writes tools; nil takes its own way.
    package var agentTemplate: String?
    package var hub = HubSettings()

    /// Settings for one conversation.
    package init(model: String, messages: String) {
        self.model = model
        self.messages = messages
    }
}

extension TemplateSettings: CommandSettings {
    package static var command: Command { .template }

    package init() {
        model = ""
    }

    package static let fields: [SettingsField<TemplateSettings>] =
        [
            SettingsField("model", \.model),
            SettingsField("messages", \.messages),
            SettingsField("tools", \.tools),
            SettingsField("add_generation_prompt", \.addGenerationPrompt),
            SettingsField("show_labels", \.showLabels),
            SettingsField("system", \.system),
            SettingsField("template", \.template),
            SettingsField("template_backend", \.templateBackend),
            SettingsField("agent_template", \.agentTemplate),
        ] + fields(of: \.hub)

    package mutating func settle(notices: inout [String]) throws {
        try SettingChecks.model(model, .template)
        guard messages != nil else {
            throw UsageError(
                "--messages: not given. Give a JSON array of messages, or the path of a file that holds one.")
        }
    }
}
